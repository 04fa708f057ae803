"""The summary at the top of the HTML report: verdict, headline numbers, histogram, the worst cases as strips."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from segqa.failures import KINDS
from segqa.outcome import Outcome
from segqa.report.charts import histogram
from segqa.report.lineup import line_up
from segqa.report.strips import read_strip
from segqa.run import Run
from segqa.store import Store

WORST = 20
"""So many cases are shown as strips."""


def select_worst(run: Run) -> list[Outcome]:
    """The worst cases of a run that did not reach its threshold, at most 20 (all others passed)."""
    return [outcome for outcome in run.worst(len(run.outcomes)) if run.kind(outcome) is not None][:WORST]


def render_summary(
    runs: Iterable[Run], store: Store, *, failing: Sequence[tuple[str, str]], complete: bool = True
) -> str:
    """The summary as a piece of HTML; everything that comes from outside is escaped by the template.

    Args:
        runs: one section each.
        store: where their strips are.
        failing: the tests that failed, name and reason each.
        complete: whether all tests had their turn; the verdict is "passed" only if so, and none failed.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("segqa.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    runs = list(runs)
    return environment.get_template("summary.html").render(
        sections=[_section(run, store) for run in runs],
        side_by_side=line_up(runs).shown() if len(runs) > 1 else None,
        failing=failing,
        complete=complete,
        kinds=KINDS,
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """A case as the template shows it."""

    outcome: Outcome
    iou: float
    kind: str
    recoverable: bool
    strip: str


def _section(run: Run, store: Store) -> dict[str, Any]:
    """What the template needs to know of a run."""
    ious = run.ious
    return {
        "run": run,
        "histogram": histogram(ious, run.threshold, f"Histogram of the IoU of {len(ious)} cases of {run.title}"),
        "zeros": int((ious == 0).sum()),
        "kinds": [(kind, count, run.failures(kind).recoverable) for kind, count in run.kinds().most_common()],
        "notes": [(o.case_id, o.note) for o in run.outcomes if o.note],
        "slices": list(run.slices(min_cases=8)),
        "worst": [_shown(run, outcome, store) for outcome in select_worst(run)],
    }


def _shown(run: Run, outcome: Outcome, store: Store) -> _Shown:
    strip = read_strip(run, outcome, store)
    encoded = base64.b64encode(strip).decode() if strip else ""
    return _Shown(outcome, run.iou(outcome), run.kind(outcome) or "", run.recoverable(outcome), encoded)
