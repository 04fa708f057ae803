"""Coverage: how many cases of a baseline a comparison judges, and which cases nothing judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segqa.data.string_columns import Texts
from segqa.errors import IncomparableError
from segqa.runs.run import Run

if TYPE_CHECKING:
    from segqa.comparison.comparison import Comparison


NAME_IT = "give it a name of its own by dataset_name in [tool.segqa] or by --segqa-dataset-name"
"""What to do about two data sets that share a name, and so a baseline."""


def require_shared(baseline: Run, candidate: Run) -> None:
    """Refuse a baseline that says nothing about a run: half of its cases at least have a score, and are in the run.

    Args:
        baseline: the cases that the run was asked for.
        candidate: the run, whatever became of its cases.

    Raises:
        IncomparableError: they are fewer; says how many.
    """
    asked = len(baseline.expected)
    if not asked:
        raise IncomparableError(
            f"incomparable: {baseline.id} has none of the {len(candidate.expected)} cases of this run"
        )
    scored = baseline.columns.take(~baseline.columns.failed).ids
    if 2 * len(scored) < asked:
        raise IncomparableError(
            f"incomparable: only {len(scored)} of the {asked} cases of {baseline.id} could be evaluated there, "
            "expected at least half"
        )
    shared = int((Texts.of(candidate.expected).places_of(scored) >= 0).sum())
    if 2 * shared < asked:
        raise IncomparableError(
            f"incomparable: only {shared} of the {asked} cases of {baseline.id} are in this run, expected at least "
            f"half; if this is another data set of the same name: {NAME_IT}"
        )


def require_judged(comparison: Comparison) -> None:
    """Refuse a pass that is said of fewer than half of the baseline's cases.

    Raises:
        IncomparableError: says how many there are.
    """
    baseline, judged = comparison.baseline, len(comparison.pairs)
    asked = len(baseline.expected)
    if 2 * judged < asked:
        raise IncomparableError(
            f"incomparable: only {judged} of the {asked} cases of {baseline.id} could be judged, expected at least "
            "half; the others have no outcome, an error, or another image or mask"
        )


def describe_coverage(comparison: Comparison) -> list[str]:
    """Say which cases nothing judges, a line for each reason."""
    baseline, candidate = comparison.baseline, comparison.candidate
    notes = []
    if comparison.left_out:
        options = " and ".join(f"--segqa-{name}" for name in candidate.narrowed_by)
        total = len(baseline.expected) + comparison.left_out
        notes.append(f"narrowed by {options}: {len(baseline.expected)} of the baseline's {total} cases are judged")
    if comparison.new:
        count = f"{len(comparison.new)} of {len(candidate.expected)} cases are not in the baseline"
        notes.append(f"{count}, so nothing judges them, such as {comparison.new[0]}")
    failed = baseline.errors.ids
    if len(failed):
        count = f"{len(failed)} of {len(baseline.expected)} cases are errors in the baseline"
        notes.append(f"{count}, so nothing judges them, such as {failed[0]}")
    if gone := sorted(baseline.columns.tags.keys() - candidate.columns.tags.keys()):
        notes.append(f"no case has the tags {', '.join(gone)} any more, so slices by them are not judged")
    return notes
