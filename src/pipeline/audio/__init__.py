"""Sound: reading it checked, cutting it into blocks, measuring it."""
