"""Failures: which kind of wrong a case is. The first that matches, in the order of `KINDS`."""

from __future__ import annotations

import math
from types import MappingProxyType

from segqa.metrics import Counts
from segqa.outcome import Outcome

KINDS = MappingProxyType(
    {
        "error": "it could not be evaluated",
        "hallucinated": "something is predicted where the target is empty",
        "missed": "nothing is predicted",
        "wrong_object": "IoU below 0.05: a zero-IoU false positive, another object was segmented",
        "merged": "less than 60 % of the prediction is right: it swallows what is beside the object",
        "partial": "less than 60 % of the target is found",
        "boundary": "only the contour is wrong: away from it the IoU meets the threshold",
        "low": "below the threshold in another way",
    }
)
"""Every kind of failure and what it means."""

WRONG_OBJECT_IOU = 0.05
POOR_SHARE = 0.6


def kind_of(outcome: Outcome, threshold: float) -> str | None:
    """The kind of failure that an outcome is; None where the case met the threshold.

    Args:
        outcome: of the case.
        threshold: the IoU that a case has to reach.
    """
    if outcome.counts is None:
        return "error"
    counts = outcome.counts
    if counts.target == 0:
        return "hallucinated" if counts.predicted else None
    if counts.predicted == 0:
        return "missed"
    if counts.iou < WRONG_OBJECT_IOU:
        return "wrong_object"
    return None if counts.iou >= threshold else _kind_of_low(counts, outcome.inside, threshold)


def is_recoverable(outcome: Outcome, threshold: float) -> bool:
    """Whether picking lost the case, not the model: it failed, and its best proposal meets the threshold."""
    failed = kind_of(outcome, threshold) not in (None, "error")
    return failed and outcome.oracle is not None and outcome.oracle.iou >= threshold


def _kind_of_low(counts: Counts, inside: Counts | None, threshold: float) -> str:
    """The kind of a case that overlaps its target, but too little."""
    if counts.precision < POOR_SHARE:
        return "merged"
    if counts.recall < POOR_SHARE:
        return "partial"
    if inside is not None and (math.isnan(inside.iou) or inside.iou >= threshold):
        return "boundary"
    return "low"
