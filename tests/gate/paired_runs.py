"""Runs for tests of comparisons, from the IoU of each case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts

AREA = 10_000


def case_of(case_id: str, iou: float | None, tags: Mapping[str, str] | None = None, **rest: Any) -> Outcome:
    """A case with an IoU as near as its area allows; None makes an error."""
    values: dict[str, Any] = {"digest": "d", "tags": tags or {}, **rest}
    if iou is None:
        return Outcome(case_id=case_id, error="Traceback\nValueError: no", **values)
    tp = round(iou * AREA)
    counts = Counts(tp, 0 if tp else 1, AREA - tp, AREA if tp else AREA - 1)
    return Outcome(
        case_id=case_id,
        proposal_scores=(ProposalScore(counts, counts),),
        picked=0,
        empty_prediction=Counts(0, 0, AREA, AREA),
        **values,
    )


def run_of(ious: Sequence[float | None], *, id: str = "r", tags: int = 0, **rest: Any) -> Run:  # noqa: A002
    """A run with these IoUs, its cases in so many cameras."""
    cameras = [{"camera": f"C{case % tags}"} if tags else {} for case in range(len(ious))]
    outcomes = tuple(case_of(f"{case:04}", iou, own) for case, (iou, own) in enumerate(zip(ious, cameras, strict=True)))
    ids = tuple(outcome.case_id for outcome in outcomes)
    values: dict[str, Any] = {"model": "unet", "dataset": "photos", "pick": "product", **rest}
    return Run(id=id, expected=ids, outcomes=outcomes, **values)
