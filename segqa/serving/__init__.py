"""A model behind HTTP: the same object that the suites ask, with limits on what it is sent."""
