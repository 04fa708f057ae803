"""Statistical tests."""
