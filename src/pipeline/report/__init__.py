"""One self-contained page about a run: its numbers, its pictures, and how they came about."""
