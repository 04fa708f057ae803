"""Training the networks that come with segqa, on any data set."""
