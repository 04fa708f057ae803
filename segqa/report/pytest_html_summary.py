"""Summary of verdict and findings at the top of pytest-html's report, with links to the review page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from segqa.analysis.failure_clusters.clusters import Clusters
from segqa.report.charts import histogram
from segqa.report.session_result import SessionResult
from segqa.report.tables import has_choice, show_line_up
from segqa.report.templates import render
from segqa.support.plurals import format_count


def render_summary(found: Iterable[Clusters], ending: SessionResult, page: str, group_by: str = "") -> str:
    """Render the summary as an HTML fragment; the template escapes all external text.

    Args:
        found: the runs with their verdicts, one section each.
        ending: the test results.
        page: the address of the review page, as seen from the report; empty for none.
        group_by: the tag that groups dependent cases; empty for none.
    """
    found = list(found)
    pieces = render(
        "summary.html",
        sections=[_section(clusters) for clusters in found],
        side_by_side=show_line_up([clusters.run for clusters in found], group_by),
        ending=ending,
        page=page,
    )
    return "".join(pieces)


def _section(found: Clusters) -> dict[str, Any]:
    """Return the template values of a run."""
    run = found.run
    title = f"Histogram of the IoU of {format_count(len(run.ious), 'case')} of {run.title}"
    return {
        "run": run,
        "found": found,
        "choice": has_choice(run),
        "histogram": histogram(run.ious, run.threshold, title),
        "zeros": int((run.ious == 0).sum()),
        "kinds": run.kinds().most_common(),
    }
