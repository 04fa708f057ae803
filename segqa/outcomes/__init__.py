"""Outcomes of many cases, as columns."""
