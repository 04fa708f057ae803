"""Runs: the outcomes of one model over one data set, their slices, and the store that keeps them."""
