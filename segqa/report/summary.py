"""The summary at the top of the HTML report: verdict, headline numbers, histogram, the worst cases as strips."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from segqa.cluster.cluster import Clusters
from segqa.failures import KINDS
from segqa.labels import Suspicion
from segqa.outcome import Outcome
from segqa.report.charts import histogram
from segqa.report.lineup import line_up
from segqa.report.strips import read_strip
from segqa.run import Run
from segqa.store import Store

WORST = 20
"""So many cases are shown as strips."""

EXEMPLARS = 3
"""So many of each cluster."""

_WHERE = {
    "fp_boundary": "too much at the boundary",
    "fp_extent": "reaching too far",
    "fp_segment": "segments elsewhere",
    "fn_boundary": "too little at the boundary",
    "fn_extent": "not reaching far enough",
    "fn_segment": "segments not found",
}
_LEAST_SHARE = 0.005


def select_worst(run: Run) -> list[Outcome]:
    """The worst cases of a run that did not reach its threshold, at most 20 (all others passed)."""
    return [outcome for outcome in run.worst(len(run.outcomes)) if run.kind(outcome) is not None][:WORST]


def select_shown(found: Clusters) -> list[Outcome]:
    """The cases of a run that the summary shows as strips: the worst, and the exemplars of its clusters."""
    exemplars = [outcome for cluster in found for outcome in cluster.failing[:EXEMPLARS]]
    return list({outcome.case_id: outcome for outcome in [*select_worst(found.run), *exemplars]}.values())


def render_summary(
    found: Iterable[Clusters],
    store: Store,
    *,
    failing: Sequence[tuple[str, str]],
    complete: bool = True,
    suspicions: Sequence[Suspicion] = (),
) -> str:
    """The summary as a piece of HTML; everything that comes from outside is escaped by the template.

    Args:
        found: what was found in each run; one section each.
        store: where the strips of the runs are.
        failing: the tests that failed, name and reason each.
        suspicions: the labels that one should check.
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
    found = list(found)
    runs = [clusters.run for clusters in found]
    return environment.get_template("summary.html").render(
        sections=[_section(clusters, store) for clusters in found],
        suspicions=suspicions,
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
    wrong: list[tuple[str, float]]


def _section(found: Clusters, store: Store) -> dict[str, Any]:
    """What the template needs to know of a run."""
    run = found.run
    ious = run.ious
    return {
        "run": run,
        "histogram": histogram(ious, run.threshold, f"Histogram of the IoU of {len(ious)} cases of {run.title}"),
        "zeros": int((ious == 0).sum()),
        "kinds": [(kind, count, run.failures(kind).recoverable) for kind, count in run.kinds().most_common()],
        "notes": [(o.case_id, o.note) for o in run.outcomes if o.note],
        "found": found,
        "clusters": [
            (cluster, [_shown(run, outcome, store) for outcome in cluster.failing[:EXEMPLARS]]) for cluster in found
        ],
        "slices": list(run.slices(min_cases=8)),
        "worst": [_shown(run, outcome, store) for outcome in select_worst(run)],
    }


def _shown(run: Run, outcome: Outcome, store: Store) -> _Shown:
    strip = read_strip(run, outcome, store)
    encoded = base64.b64encode(strip).decode() if strip else ""
    shares = outcome.breakdown.shares if outcome.breakdown else {}
    wrong = [(_WHERE[name], share) for name, share in shares.items() if share >= _LEAST_SHARE]
    return _Shown(outcome, run.iou(outcome), run.kind(outcome) or "", run.recoverable(outcome), encoded, wrong)
