"""Robustness: whether a model stays with its answer when an image changes a little."""
