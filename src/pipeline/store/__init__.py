"""The files between stages: where they lie, tables, arrays; written whole or not at all, checked when opened."""
