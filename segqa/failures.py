"""Failures: which kind of wrong a case is. The first that matches, in the order of `KINDS`."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from segqa.mask import Mask
from segqa.metrics import shares
from segqa.outcome import Outcome
from segqa.outcomes.columns import Whole
from segqa.outcomes.outcomes import Outcomes

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

_AT_A_TIME = 1 << 16

WRONG_OBJECT_IOU = 0.05
POOR_SHARE = 0.6


def kind_codes(outcomes: Outcomes, threshold: float) -> NDArray[np.int8]:
    """The kind of failure that each case is, as its place among `KINDS`; -1 where the case met the threshold.

    Args:
        outcomes: of the cases.
        threshold: the IoU that a case has to reach.
    """
    counts, inside, failed = outcomes.counts, outcomes.inside, outcomes.failed
    found = np.empty(len(outcomes), np.int8)
    for start in range(0, len(found), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        found[some] = _codes_of(counts[some], inside[some], failed[some], threshold)
    return found


def _codes_of(counts: Whole, inside: Whole, failed: Mask, threshold: float) -> NDArray[np.int8]:
    """The same, from the columns that it depends on."""
    target, predicted = counts[:, 0] + counts[:, 2], counts[:, 0] + counts[:, 1]
    iou, interior = shares(counts, "iou"), shares(inside, "iou")
    tests = {
        "error": failed,
        "hallucinated": (target == 0) & (predicted > 0),
        "missed": (target > 0) & (predicted == 0),
        "wrong_object": iou < WRONG_OBJECT_IOU,
        "": (target == 0) | (iou >= threshold),
        "merged": shares(counts, "precision") < POOR_SHARE,
        "partial": shares(counts, "recall") < POOR_SHARE,
        "boundary": np.isnan(interior) | (interior >= threshold),
    }
    codes = [_CODES.get(kind, -1) for kind in tests]
    return np.select(list(tests.values()), codes, _CODES["low"]).astype(np.int8)


_CODES = {kind: code for code, kind in enumerate(KINDS)}

ZERO_IOU_CODES = tuple(_CODES[kind] for kind in ("hallucinated", "missed", "wrong_object"))
"""The codes of the kinds whose IoU is below `WRONG_OBJECT_IOU`: nothing of the answer is right."""


def kind_of(outcome: Outcome, threshold: float) -> str | None:
    """The kind of failure that one outcome is, see `kind_codes`; None where the case met the threshold."""
    return kind_name(int(kind_codes(Outcomes.of([outcome]), threshold)[0]))


def kind_name(code: int) -> str | None:
    """The kind with this code; None for -1."""
    return None if code < 0 else _NAMES[code]


_NAMES = tuple(KINDS)


def recoverable(outcomes: Outcomes, threshold: float) -> Mask:
    """Where picking lost a case, not the model: it failed, and its best proposal meets the threshold."""
    failed = kind_codes(outcomes, threshold) > _CODES["error"]
    # rightly nothing is no proposal that could be picked instead, but where nothing is there all that is needed
    return failed & (shares(outcomes.oracle, "iou") >= threshold)
