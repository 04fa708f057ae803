"""Outcome of one case: its proposals and their scores, the pick, the pixel counts, or the error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from segqa.scoring.error_breakdown import Breakdown, compute_empty_breakdown
from segqa.scoring.metrics import Counts


@dataclass(frozen=True, slots=True)
class ProposalScore:
    """Stored record of a proposal: everything that pickers and metrics need, without the pixels.

    Attributes:
        counts: the proposal's mask against the target, at the target's own size.
        interior_counts: counts away from the target's contour, see `metrics.count_interior`.
        mask_score: the model's score of the mask quality; None where unknown.
        box_score: the model's confidence in the detection; None where unknown.
        breakdown: its error breakdown, if it was picked and its IoU is below the run's threshold; else None.
    """

    counts: Counts
    interior_counts: Counts
    mask_score: float | None = None
    box_score: float | None = None
    breakdown: Breakdown | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Counts, then interior counts, in the order of the files."""
        return *self.counts, *self.interior_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Evaluation result of one case.

    Attributes:
        case_id: the case.
        prompt: the prompt given to the model.
        tags: the case's tags.
        properties: measured on image and target, see `CaseProperties.measure`, and the number of `proposals`.
        digest: hex, changes when the files of image or target do.
        pixels: hex, changes when their pixels do, see `properties.digest_pixels`; empty where it is not known.
        proposals_key: hex, under which the proposals are kept; empty for an error.
        proposal_scores: scores of the proposals, in the model's order.
        picked: index of the proposal that is the prediction; None where there was none.
        empty_prediction: an empty prediction against the target, so its area and size; None for an error.
        seconds: inference, the case's part of its batch; as it was then if the proposals come from the store.
        cached: whether the proposals come from the store.
        note: something odd that did not stop the case.
        error: the traceback; empty without an error.
    """

    case_id: str
    prompt: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    properties: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    digest: str = ""
    pixels: str = ""
    proposals_key: str = ""
    proposal_scores: tuple[ProposalScore, ...] = ()
    picked: int | None = None
    empty_prediction: Counts | None = None
    seconds: float = 0.0
    cached: bool = False
    note: str = ""
    error: str = ""

    @property
    def status(self) -> str:
        """`"ok"` or `"error"`."""
        return "error" if self.error else "ok"

    @property
    def reason(self) -> str:
        """Line of the traceback that names the exception; empty without an error."""
        return find_exception_line(self.error)

    @property
    def counts(self) -> Counts | None:
        """Counts of the prediction against the target; None for an error."""
        return self.empty_prediction if self.picked is None else self.proposal_scores[self.picked].counts

    @property
    def interior_counts(self) -> Counts | None:
        """Counts away from the target's contour; None where nothing was picked."""
        return None if self.picked is None else self.proposal_scores[self.picked].interior_counts

    @property
    def breakdown(self) -> Breakdown | None:
        """Error breakdown of the prediction; None for an error, or where the case met the run's threshold."""
        if self.picked is not None:
            return self.proposal_scores[self.picked].breakdown
        return None if self.empty_prediction is None else compute_empty_breakdown(self.empty_prediction.fn)

    @property
    def best(self) -> int | None:
        """Index of the proposal with the highest IoU, the first of equals; a correct empty mask wins. May be None."""
        ious = [offer.counts.iou for offer in self.proposal_scores]
        ranked = [2.0 if math.isnan(iou) else iou for iou in ious]
        return ranked.index(max(ranked)) if ranked else None

    @property
    def oracle(self) -> Counts | None:
        """Counts of the best proposal against the target; None for an error."""
        return self.empty_prediction if self.best is None else self.proposal_scores[self.best].counts


def find_exception_line(text: str) -> str:
    r"""Return the line of a traceback that names the exception, without segqa's own module in front.

    A message may have several lines, of which the first says what went wrong; if it ends in a colon, the next follows.

    >>> find_exception_line('Traceback (most recent call last):\n  File "m.py", line 1\nValueError: no mask\nsee above')
    'ValueError: no mask'
    """
    lines = [line for line in text.splitlines() if line.strip()]
    headers = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    after = lines[headers[-1] + 1 if headers else 0 :]
    begin = next((number for number, line in enumerate(after) if not line[0].isspace()), 0)
    found = " ".join(line.strip() for line in after[begin : begin + 2])
    if begin < len(after) and not after[begin].rstrip().endswith(":"):
        found = after[begin].strip()
    return found.removeprefix("segqa.errors.")
