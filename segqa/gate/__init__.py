"""Compare a run with its baseline, and decide whether it is a regression."""
