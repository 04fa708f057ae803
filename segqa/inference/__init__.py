"""Ask a model for predictions and turn them into a run."""
