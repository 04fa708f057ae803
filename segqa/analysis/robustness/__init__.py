"""Measure how stable a model's predictions are under perturbed images."""
