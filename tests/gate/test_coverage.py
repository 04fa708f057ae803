from collections.abc import Sequence
from dataclasses import replace

import pytest

from segqa.errors import IncomparableError
from segqa.gate.comparison import compare
from segqa.gate.rules import resolve_rules
from segqa.gate.verdict import Verdict, judge
from segqa.runs.run import Run
from tests.gate.paired_runs import run_of

OFF = ("broken:off", "errors:off", "missing:off", "mean_iou:off", "slice(*).mean_iou:off")


def limited(run: Run, count: int) -> Run:
    """The run, narrowed to its first cases."""
    return replace(run.only(run.outcomes[:count], ""), provenance={"options": {"limit": count}})


def judged(before: Run | Sequence[float | None], after: Run | Sequence[float | None], *rules: str) -> Verdict:
    runs = [run if isinstance(run, Run) else run_of(run) for run in (before, after)]
    return judge(compare(*runs), resolve_rules(rules))


def renamed(run: Run, letter: str) -> Run:
    """The run with other ids."""
    outcomes = tuple(replace(outcome, case_id=f"{letter}{outcome.case_id}") for outcome in run.outcomes)
    return replace(run, outcomes=outcomes, expected=tuple(outcome.case_id for outcome in outcomes))


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        (run_of([]), "r has none of the 4 cases of this run"),
        (run_of([None] * 4), "only 0 of the 4 cases of r could be evaluated there"),
        (run_of([0.9, None, None, None]), "only 1 of the 4 cases of r could be evaluated there"),
        (renamed(run_of([0.9] * 4), "x"), "only 0 of the 4 cases of r are in this run"),
        (run_of([0.9] * 9), "only 4 of the 9 cases of r are in this run, expected at least half"),
    ],
    ids=["no case", "only errors", "mostly errors", "other ids", "mostly gone"],
)
def test_a_baseline_that_says_nothing_is_incomparable(before: Run, problem: str) -> None:
    with pytest.raises(IncomparableError, match=problem):
        compare(before, run_of([0.1] * 4))


def test_half_of_the_baseline_is_enough() -> None:
    assert judged([0.9] * 8, [0.9] * 4, "missing:4").passed
    assert judged([0.9, 0.9, None, None], [0.9] * 4).passed


@pytest.mark.parametrize("after", [[None] * 4, [0.9, None, None, None]], ids=["all", "most"])
def test_errors_are_no_pass_where_their_rule_is_off(after: Sequence[float | None]) -> None:
    assert [finding.rule for finding in judged([0.9] * 4, after).findings] == ["errors:+0"]
    with pytest.raises(IncomparableError, match=r"only \d of the 4 cases of r could be judged, expected at least half"):
        judged([0.9] * 4, after, *OFF)


def test_cases_without_an_outcome_are_no_pass_where_their_rule_is_off() -> None:
    run = run_of([0.9] * 4)
    with pytest.raises(IncomparableError, match="only 1 of the 4 cases"):
        judged(run, replace(run, outcomes=run.outcomes[:1]), *OFF)


def test_a_narrowed_run_is_asked_for_its_part_and_says_so() -> None:
    verdict = judged([0.9] * 40, limited(run_of([0.9] * 40), 3))
    assert verdict.passed
    assert "narrowed by --segqa-limit: 3 of the baseline's 40 cases are judged" in verdict.notes
    with pytest.raises(IncomparableError, match="r has none of the 3 cases of this run"):
        judged([0.9] * 40, limited(renamed(run_of([0.9] * 40), "x"), 3))


def test_cases_that_nothing_judges_are_counted() -> None:
    verdict = judged([0.9] * 4, [0.9] * 10)
    assert "6 of 10 cases are not in the baseline, so nothing judges them, such as 0004" in verdict.notes
    assert verdict.headline.endswith("; 6 of 10 cases are not in the baseline")
    assert "not in the baseline" not in judged([0.9] * 8, [0.9] * 10).headline
    verdict = judged([0.9, 0.9, None], [0.9, 0.9, None])
    assert "1 of 3 cases is an error in the baseline, so nothing judges it, such as 0002" in verdict.notes


def test_tags_that_are_gone_are_named() -> None:
    notes = judged(run_of([0.9] * 8, tags=2), run_of([0.9] * 8)).notes
    assert "no case has the tag camera any more, so slices by it are those of the baseline" in notes
    assert not judged(run_of([0.9] * 8), run_of([0.9] * 8, tags=2)).notes
