"""Failure kinds: their names, meanings and remedies, and the rules that classify a failed case.

`KINDS` is the one table. A new kind is a row of it; `tools/write_tables.py` writes the table in `docs/failures.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.models.protocol import Floats
from segqa.runs.outcome import Outcome
from segqa.runs.outcome_columns import Whole
from segqa.runs.outcomes import Outcomes
from segqa.scoring.metrics import compute_metric
from segqa.settings import KnownFailure
from segqa.settings.checks import one_of

_CHUNK_SIZE = 1 << 16

WRONG_OBJECT_IOU = 0.05
POOR_SHARE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScores:
    """Inputs of the failure classification: arrays `[n]`, one value per case.

    Attributes:
        failed: whether the case could not be evaluated.
        target: pixels of the target.
        predicted: pixels of the prediction.
        iou: NaN where both are empty, as are precision and recall where they are undefined.
        precision: share of the prediction that is correct.
        recall: share of the target that was found.
        only_contour: whether most wrong pixels lie along the contour and the IoU meets the threshold without them.
    """

    failed: Mask
    target: Whole
    predicted: Whole
    iou: Floats
    precision: Floats
    recall: Floats
    only_contour: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureKind:
    """A failure kind: one row of the table `KINDS`.

    Attributes:
        name: in code, on the page, in rules, and in `kinds` of `[[tool.segqa.known]]`.
        meaning: in the middle of a sentence, without a period.
        action: what to try, as a sentence without a period.
        action_for_one_mask: the same for a model that returns one mask an image, so that there is nothing to pick.
        test: which cases are of this kind, bool `[n]`, among those that failed and are of no kind above.
    """

    name: str
    meaning: str
    action: str
    action_for_one_mask: str
    test: Callable[[CaseScores], Mask]

    @property
    def code(self) -> int:
        """Index in the table, from 0."""
        return list(KINDS).index(self.name)


_TABLE = (
    FailureKind(
        name="error",
        meaning="the case could not be evaluated",
        action="Read the traceback; fix the file or the model's code",
        action_for_one_mask="Read the traceback; fix the file or the model's code",
        test=lambda cases: cases.failed,
    ),
    FailureKind(
        name="hallucinated",
        meaning="something is predicted although the target is empty",
        action="Raise the cutoff of the detection score, or add empty images to the training data",
        action_for_one_mask="Add empty images to the training data, or drop masks below a minimum size",
        test=lambda cases: (cases.target == 0) & (cases.predicted > 0),
    ),
    FailureKind(
        name="missed",
        meaning="nothing is predicted although the target is not empty",
        action="Lower the cutoff of the detection score, or try another prompt",
        action_for_one_mask="Lower the mask cutoff, or check that the training data contain such images",
        test=lambda cases: (cases.target > 0) & (cases.predicted == 0),
    ),
    FailureKind(
        name="wrong_object",
        meaning=f"zero-IoU false positive: the IoU is below {WRONG_OBJECT_IOU:g}, so another object was segmented",
        action="Look at the other proposals: if one is right, change the picker; if none is, change the detector",
        action_for_one_mask="Look at what is segmented instead, and check that the training data contain such images",
        test=lambda cases: cases.iou < WRONG_OBJECT_IOU,
    ),
    FailureKind(
        name="merged",
        meaning=f"the precision is below {POOR_SHARE:g}: the prediction includes what is beside the object",
        action="Look at what is included: try a tighter box, a higher mask cutoff or another proposal",
        action_for_one_mask="Look at what is included: try a higher mask cutoff, or training data with such neighbours",
        test=lambda cases: cases.precision < POOR_SHARE,
    ),
    FailureKind(
        name="partial",
        meaning=f"the recall is below {POOR_SHARE:g}: part of the object is missing",
        action="Look at what is missing: try a wider box, a lower mask cutoff or a larger input",
        action_for_one_mask="Look at what is missing: try a lower mask cutoff or a larger input",
        test=lambda cases: cases.recall < POOR_SHARE,
    ),
    FailureKind(
        name="boundary",
        meaning="at least half of the wrong pixels lie along the contour, and without them the IoU meets the threshold",
        action="Check how masks are resized and thresholded; try a larger input or a boundary loss",
        action_for_one_mask="Check how masks are resized and thresholded; try a larger input or a boundary loss",
        test=lambda cases: cases.only_contour,
    ),
    FailureKind(
        name="low",
        meaning="the IoU is below the threshold for another reason",
        action="Look at the error map",
        action_for_one_mask="Look at the error map",
        test=lambda cases: np.ones(len(cases.iou), np.bool_),
    ),
)

KINDS = MappingProxyType({kind.name: kind for kind in _TABLE})
"""Failure kinds by name; a case gets the first kind whose test it meets."""


def compute_kind_codes(outcomes: Outcomes, threshold: float, by_counts: Mask | None = None) -> NDArray[np.int8]:
    """Return the failure kind of each case as an index into `KINDS`; -1 where the case met the threshold.

    Args:
        outcomes: of the cases.
        threshold: the IoU that a case has to reach.
        by_counts: for which cases a breakdown is ignored, bool `[n]`; for none by default. Where there is none,
            `boundary` is what meets the threshold away from the target's contour.
    """
    counts, inside, failed, wrong = outcomes.counts, outcomes.interior_counts, outcomes.failed, outcomes.wrong
    if by_counts is not None:
        wrong = np.where(by_counts[:, None], -1, wrong)
    found = np.empty(len(outcomes), np.int8)
    for start in range(0, len(found), _CHUNK_SIZE):
        some = slice(start, start + _CHUNK_SIZE)
        found[some] = _classify(counts[some], inside[some], wrong[some], failed[some], threshold)
    return found


def compute_paired_kind_codes(
    before: Outcomes, after: Outcomes, threshold: float
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the failure kinds of the same cases in two runs, classified by the same rules on both sides.

    A baseline of earlier versions has no breakdowns. Where one side of a pair failed and has none, that of the other
    side is ignored, too: or each such pair would seem to have changed.
    """
    lacks = np.zeros(len(before), np.bool_)
    for side in (before, after):
        lacks |= (side.metric("iou") < threshold) & (side.picked >= 0) & (side.wrong[:, 0] < 0)
    return compute_kind_codes(before, threshold, lacks), compute_kind_codes(after, threshold, lacks)


def _classify(counts: Whole, inside: Whole, wrong: Whole, failed: Mask, threshold: float) -> NDArray[np.int8]:
    """Return the kind of each case as in `compute_kind_codes`, from the columns that it depends on."""
    iou, interior = compute_metric(counts, "iou"), compute_metric(inside, "iou")
    cases = CaseScores(
        failed=failed,
        target=counts[:, 0] + counts[:, 2],
        predicted=counts[:, 0] + counts[:, 1],
        iou=iou,
        precision=compute_metric(counts, "precision"),
        recall=compute_metric(counts, "recall"),
        only_contour=_is_only_contour_wrong(counts, wrong, np.isnan(interior) | (interior >= threshold), threshold),
    )
    # a zero-IoU false positive fails at any threshold
    passed = ~failed & (((cases.target == 0) & (cases.predicted == 0)) | (iou >= max(threshold, WRONG_OBJECT_IOU)))
    tests = [passed, *(kind.test(cases) for kind in _TABLE)]
    return np.select(tests, range(-1, len(_TABLE))).astype(np.int8)


def _is_only_contour_wrong(counts: Whole, wrong: Whole, right_inside: Mask, threshold: float) -> Mask:
    """Return which cases are wrong only at the contour, by the error breakdown or else by the interior counts."""
    at_contour, elsewhere = wrong[:, 0], wrong[:, 1]
    union = np.maximum(counts[:, :3].sum(axis=1), 1)
    told: Mask = (elsewhere <= at_contour) & (1 - elsewhere / union >= threshold)
    return np.where(at_contour < 0, right_inside, told)


ZERO_IOU_CODES = tuple(KINDS[kind].code for kind in ("hallucinated", "missed", "wrong_object"))
"""Codes of the failure kinds with an IoU below `WRONG_OBJECT_IOU`: almost no predicted pixel is correct."""


def find_kind(outcome: Outcome, threshold: float) -> str | None:
    """Return the failure kind of one outcome, see `compute_kind_codes`; None where the case met the threshold."""
    return get_kind_name(int(compute_kind_codes(Outcomes.from_outcomes([outcome]), threshold)[0]))


def get_kind_name(code: int) -> str | None:
    """Return the failure kind with this code; None for -1."""
    return None if code < 0 else _TABLE[code].name


def find_recoverable(outcomes: Outcomes, threshold: float) -> Mask:
    """Return which failed cases have a proposal that meets the threshold: the picker chose the wrong mask."""
    failed = compute_kind_codes(outcomes, threshold) > KINDS["error"].code
    # an empty mask is no proposal to pick instead, but where the target is empty it is all that is needed
    return failed & (compute_metric(outcomes.oracle, "iou") >= threshold)


def read_expected_kinds(known: KnownFailure) -> tuple[str, ...]:
    """Return the failure kinds that an entry of `[[tool.segqa.known]]` expects.

    By default that is every kind but `error`: a model that raises fails for another reason than the known one.

    Raises:
        SettingsError: the entry names an unknown kind.
    """
    check = one_of(KINDS)
    kinds = tuple(check(name, "[[tool.segqa.known]] kinds") for name in known.kinds)
    return kinds or tuple(kind for kind in KINDS if kind != "error")
