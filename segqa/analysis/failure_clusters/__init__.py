"""Find slices that fail far more often than the rest."""
