"""Failures: which kind of wrong a case is. The first that matches, in the order of `KINDS`."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.runs.outcome import Outcome
from segqa.runs.outcome_columns import Whole
from segqa.runs.outcomes import Outcomes
from segqa.scoring.metrics import shares
from segqa.settings import KnownFailure
from segqa.settings.checks import one_of

KINDS = MappingProxyType(
    {
        "error": "it could not be evaluated",
        "hallucinated": "something is predicted where the target is empty",
        "missed": "nothing is predicted",
        "wrong_object": "IoU below 0.05: a zero-IoU false positive, another object was segmented",
        "merged": "less than 60 % of the prediction is right: it swallows what is beside the object",
        "partial": "less than 60 % of the target is found",
        "boundary": "most wrong pixels lie along the contour, and without these the IoU would meet the threshold",
        "low": "below the threshold in another way",
    }
)
"""Every kind of failure and what it means."""

_AT_A_TIME = 1 << 16

WRONG_OBJECT_IOU = 0.05
POOR_SHARE = 0.6


def kind_codes(outcomes: Outcomes, threshold: float, by_counts: Mask | None = None) -> NDArray[np.int8]:
    """The kind of failure that each case is, as its place among `KINDS`; -1 where the case met the threshold.

    Args:
        outcomes: of the cases.
        threshold: the IoU that a case has to reach.
        by_counts: for which cases a breakdown is ignored, bool `[n]`; for none by default. Where there is none,
            `boundary` is what meets the threshold away from the target's contour.
    """
    counts, inside, failed, wrong = outcomes.counts, outcomes.inside, outcomes.failed, outcomes.wrong
    if by_counts is not None:
        wrong = np.where(by_counts[:, None], -1, wrong)
    found = np.empty(len(outcomes), np.int8)
    for start in range(0, len(found), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        found[some] = _codes_of(counts[some], inside[some], wrong[some], failed[some], threshold)
    return found


def paired_kind_codes(before: Outcomes, after: Outcomes, threshold: float) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the kinds of failure of the same cases in two runs, decided in the same way on both sides.

    A baseline of earlier versions has no breakdowns. Where one side of a pair failed and has none, that of the other
    side is ignored, too: or each such pair would seem to have changed.
    """
    lacks = np.zeros(len(before), np.bool_)
    for side in (before, after):
        lacks |= (side.metric("iou") < threshold) & (side.picked >= 0) & (side.wrong[:, 0] < 0)
    return kind_codes(before, threshold, lacks), kind_codes(after, threshold, lacks)


def _codes_of(counts: Whole, inside: Whole, wrong: Whole, failed: Mask, threshold: float) -> NDArray[np.int8]:
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
        "boundary": _only_contour_wrong(counts, wrong, np.isnan(interior) | (interior >= threshold), threshold),
    }
    codes = [_CODES.get(kind, -1) for kind in tests]
    return np.select(list(tests.values()), codes, _CODES["low"]).astype(np.int8)


def _only_contour_wrong(counts: Whole, wrong: Whole, right_inside: Mask, threshold: float) -> Mask:
    """Return which cases are wrong along the contour: by their breakdown, or without one by their interior."""
    at_contour, elsewhere = wrong[:, 0], wrong[:, 1]
    union = np.maximum(counts[:, :3].sum(axis=1), 1)
    told: Mask = (elsewhere <= at_contour) & (1 - elsewhere / union >= threshold)
    return np.where(at_contour < 0, right_inside, told)


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


def read_expected_kinds(known: KnownFailure) -> tuple[str, ...]:
    """Return the kinds of failure that an entry of `[[tool.segqa.known]]` expects.

    By default that is every kind but `error`: a model that raises fails for another reason than the known one.

    Raises:
        SettingsError: the entry names an unknown kind.
    """
    check = one_of(KINDS)
    kinds = tuple(check(name, "[[tool.segqa.known]] kinds") for name in known.kinds)
    return kinds or tuple(kind for kind in KINDS if kind != "error")
