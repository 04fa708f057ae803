"""Serve a model over HTTP, with limits on requests."""
