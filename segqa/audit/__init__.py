"""Whether a data set is sound, before a model is blamed."""
