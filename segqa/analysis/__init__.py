"""Explain the failures of a run."""
