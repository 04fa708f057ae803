"""Clusters: rules of up to three predicates that fail far more than the rest; and the gap above a spike at zero."""
