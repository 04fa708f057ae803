"""Data sets: cases, masks and images, and how they are read."""
