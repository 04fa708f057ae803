"""Data sets: where cases come from."""
