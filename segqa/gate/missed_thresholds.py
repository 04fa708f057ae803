"""Find the thresholds that a run misses, without any test."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict

from segqa.runs.run import Run
from segqa.settings import Thresholds

_MIN_CASES = 8
"""Slices of fewer cases are ignored, as in `suites/test_slices.py`."""


def find_missed(thresholds: Thresholds, run: Run) -> dict[str, str]:
    """Find the thresholds that differ from their defaults and that a run misses.

    A default says nothing about what a user wants to be judged. An undefined score misses no bound.

    Returns:
        By the name of the threshold the score and its bound, as text.
    """
    defaults, bounds = asdict(Thresholds()), asdict(thresholds)
    values = ((name, value, is_minimum) for name, value, is_minimum in _measure(run) if not math.isnan(value))
    return {
        name: f"{name} {value:.4f} is {'below' if is_minimum else 'above'} {bounds[name]:.4f}"
        for name, value, is_minimum in values
        if bounds[name] != defaults[name] and (value < bounds[name] if is_minimum else value > bounds[name])
    }


def _measure(run: Run) -> Iterator[tuple[str, float, bool]]:
    """Measure what thresholds bound: name, score, and whether the bound is a minimum."""
    yield "mean_iou", float(run.mean_iou), True
    yield "p05", float(run.p05), True
    for kind in ("wrong_object", "missed", "hallucinated"):
        yield kind, float(run.failures(kind).share), False
    yield "errors", float(run.error_share), False
    yield "regret", float(run.regret), False
    worst = run.worst_slice(min_cases=_MIN_CASES)
    if worst is not None:
        yield "slice_drop", float(run.mean_iou) - float(worst.mean_iou), False
