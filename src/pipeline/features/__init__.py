"""What one block of sound becomes before a classifier sees it."""
