"""Helpers that know nothing of segmentation; every package may use them."""
