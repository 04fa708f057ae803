"""Find likely label errors: cases that fail in the same way under every model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segqa.runs.failure_kinds import get_kind_name
from segqa.runs.run import Run


@dataclass(frozen=True, slots=True)
class LabelError:
    """A case whose label should be checked.

    Attributes:
        case_id: the case.
        kind: its failure kind, the same under every model.
        models: names of the models evaluated on it.
        best_iou: highest IoU that any of them reached.
    """

    case_id: str
    kind: str
    models: tuple[str, ...]
    best_iou: float

    def __str__(self) -> str:
        """Describe the suspicion in one line."""
        many = "both" if len(self.models) == 2 else f"all {len(self.models)}"
        return f"check the label of {self.case_id}: {self.kind} under {many} of {', '.join(self.models)}"


def find_label_errors(runs: Sequence[Run]) -> tuple[LabelError, ...]:
    """Return the cases that fail in the same way under all of at least two models, sorted by id.

    Two runs evaluated the same case if its id, image and target are the same in both. Errors are ignored: they say
    nothing about the label. Only the last run of each model counts. A model and the same model served over HTTP count
    as one.
    """
    latest = _select_latest_runs(runs)
    if len(latest) < 2:
        return ()
    failing = {case_id for run in latest.values() for case_id in run.columns.take(run.kind_codes > 0).ids}
    seen: dict[tuple[str, str], list[tuple[str, int, float]]] = {}
    for run in latest.values():
        answered = ~run.columns.failed & run.columns.ids.is_among(failing)
        outcomes = run.columns.take(answered)
        told = run.kind_codes[answered].tolist(), run.all_ious[answered].tolist()
        for case_id, digest, *how in zip(outcomes.ids, outcomes.digests, *told, strict=True):
            seen.setdefault((case_id, digest), []).append((run.model, *how))
    found = (_find_label_error(case_id, answers) for (case_id, _), answers in seen.items() if len(answers) > 1)
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.case_id))


def _select_latest_runs(runs: Sequence[Run]) -> dict[str, Run]:
    """Return the last run of each model; match served models by name or fingerprint."""
    last = {run.model: run for run in runs}
    served: dict[str, Mapping[str, str]] = {name: run.provenance.get("served", {}) for name, run in last.items()}
    names = {each["fingerprint"]: each["name"] for each in served.values() if each.get("fingerprint")}
    distinct = {}
    for model, run in last.items():
        fingerprint = str(served[model].get("fingerprint") or run.provenance.get("fingerprint"))
        distinct[names.get(fingerprint) or served[model].get("name") or model] = run
    return distinct


def _find_label_error(case_id: str, answers: Sequence[tuple[str, int, float]]) -> LabelError | None:
    """Return the label error if all answers (model, kind code, IoU) fail in the same way, else None."""
    models, kinds, ious = zip(*answers, strict=True)
    kind = get_kind_name(kinds[0])
    if kind is None or len(set(kinds)) > 1:
        return None
    return LabelError(case_id, kind, tuple(sorted(models)), max(ious))
