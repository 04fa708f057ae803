"""Render the images and masks of the embedded data set `studio`."""
