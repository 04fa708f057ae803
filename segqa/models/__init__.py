"""Models that come with segqa, one module each."""
