"""Check a data set for flaws before a model is blamed."""
