"""Reports read a run and nothing else, so they can be made again at any time."""
