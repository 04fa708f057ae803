"""Compare a predicted mask with its target: metrics, error breakdown, image properties."""
