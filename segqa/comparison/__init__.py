"""Comparing two runs case by case: what broke, what is proven, and how small a loss could have been seen."""
