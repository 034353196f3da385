"""The papers: files of rows with what each reports -> runs -> a table of what was claimed beside what came out."""
