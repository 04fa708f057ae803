"""Evaluation: cases in, a run out; the one place where a model is asked for anything."""
