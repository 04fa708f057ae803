"""A label suspicion: a case that fails in the same way under every model. Perhaps it is the target that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segqa.outcome import Outcome
from segqa.run import Run


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A case whose label one should check.

    Attributes:
        case_id: the case.
        kind: of its failure, the same under every model.
        models: that were evaluated on it.
        best_iou: the highest IoU that one of them reached.
    """

    case_id: str
    kind: str
    models: tuple[str, ...]
    best_iou: float

    def __str__(self) -> str:
        """In one line."""
        many = "both" if len(self.models) == 2 else f"all {len(self.models)}"
        return f"check the label of {self.case_id}: {self.kind} under {many} of {', '.join(self.models)}"


def suspicious_labels(runs: Sequence[Run]) -> tuple[Suspicion, ...]:
    """The cases that fail in the same way under every model evaluated on them, two models at least; sorted by id.

    Two runs evaluated the same case if it has the same id, image and target in both. An error says nothing of a label
    and is passed over, as is all but the last run of a model.
    """
    latest = {run.model: run for run in runs}
    seen: dict[tuple[str, str], list[tuple[Run, Outcome]]] = {}
    for run in latest.values():
        for outcome in run.outcomes:
            if not outcome.error:
                seen.setdefault((outcome.case_id, outcome.digest), []).append((run, outcome))
    found = (_suspicion(pairs) for pairs in seen.values() if len(pairs) > 1)
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.case_id))


def _suspicion(pairs: Sequence[tuple[Run, Outcome]]) -> Suspicion | None:
    """Whether one case failed in the same way in several runs."""
    kinds = {run.kind(outcome) for run, outcome in pairs}
    kind = kinds.pop()
    if kinds or kind is None:
        return None
    models = tuple(sorted(run.model for run, _ in pairs))
    return Suspicion(pairs[0][1].case_id, kind, models, max(run.iou(outcome) for run, outcome in pairs))
