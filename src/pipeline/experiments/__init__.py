"""Runs as DVC experiments: their parameters checked, queued, followed, and found again."""
