"""Plain-text summaries of a run for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from segqa.analysis.failure_clusters.clusters import Clusters
from segqa.analysis.label_errors import LabelError
from segqa.analysis.robustness.result import Robustness
from segqa.inference.spot_check import describe_stored
from segqa.runs.run import Run
from segqa.support.plurals import format_count


def paragraph(run: Run) -> list[str]:
    """Summarize a run in a few lines: scores, failures by kind, and data anomalies."""
    resumed, parts = run.provenance.get("resumed_at"), run.provenance.get("parts")
    lines = [
        f"{run.title}: mean IoU {run.mean_iou:.4f} ({run.tally})",
        f"  5th percentile {run.p05:.4f}, pooled {run.pooled_iou:.4f}",
        f"  picked by {run.pick}: regret {run.regret:.4f} against the oracle's {run.oracle_iou:.4f}",
        f"  {len(run.failures())} failing (threshold {run.threshold:g})" + _kinds(run),
        *(f"  {line}" for line in describe_stored(run)),
    ]
    if resumed is not None:
        lines.insert(1, f"  resumed: {format_count(resumed, 'case')} had been done before")
    if parts:
        lines.insert(
            1,
            f"  merged of {format_count(len(parts), 'shard')}, {run.provenance['inference_seconds']:.1f} s of "
            "inference",
        )
    return lines + [f"  note: {note}" for note in run.provenance.get("notes", [])]


def findings(clusters: Clusters) -> list[str]:
    """List the failure clusters of a run, one line each; nothing if there are none."""
    gap = [f"  {clusters.gap}"] if clusters.gap else []
    note = [f"  clusters: {clusters.note}"] if clusters.note else []
    return [*gap, *(f"  cluster {cluster}" for cluster in clusters), *note]


def steadiness(found: Robustness) -> list[str]:
    """Summarize a model's robustness in two lines, with the mild change that does the most harm."""
    mild = [found.select(change.name) for change in found.changes if change.behaviour == "INV"]
    known = [trials for trials in mild if not math.isnan(trials.agreement)]
    cases, images = format_count(found.cases, "case"), format_count(len(found.trials), "changed image")
    lines = [f"  robustness: {cases}, {images}, run {found.run}"]
    if known:
        worst = min(known, key=lambda trials: float(trials.agreement))
        moved = f"mean IoU {worst.before:.4f} → {float(worst.iou):.4f}"
        lines.append(f"    least steady under {worst.title}: agreement {float(worst.agreement):.4f}, {moved}")
    return lines


def suspicions(found: Sequence[LabelError], limit: int = 10) -> list[str]:
    """List the cases whose label should be checked, one line each."""
    lines = [str(each) for each in found[:limit]]
    if len(found) > limit:
        lines.append(f"… and {format_count(len(found) - limit, 'more label')} to check: `segqa labels` lists all")
    return lines


def _kinds(run: Run) -> str:
    """Count the failures by kind."""
    kinds = run.kinds().most_common()
    return ": " + ", ".join(f"{count} {kind}" for kind, count in kinds) if kinds else ""
