"""A case that is rightly empty has no IoU under `empty = "nan"`, and 0 under `"zero"`; it is compared all the same."""

import math
from dataclasses import replace

import numpy as np
import pytest

from segqa.gate.comparison import METRICS, compare
from segqa.gate.pairs import compute_change
from segqa.gate.rules import resolve_rules
from segqa.gate.self_test import run_self_test
from segqa.gate.verdict import Verdict, judge
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from segqa.settings import EmptyPolicy
from tests.gate.paired_runs import case_of, run_of

POLICIES: tuple[EmptyPolicy, ...] = ("one", "zero", "nan")


def empty_target(case_id: str, predicted: int) -> Outcome:
    """A case where nothing is to be found, with so many pixels predicted."""
    nothing, counts = Counts(0, 0, 0, 100), Counts(0, predicted, 0, 100 - predicted)
    offers = (ProposalScore(counts, counts),)
    return Outcome(case_id=case_id, digest="d", proposal_scores=offers, picked=0, empty_prediction=nothing)


def run_with(*predicted: int | None, good: int = 0, empty: EmptyPolicy = "nan") -> Run:
    """A run over empty targets (None for an error), behind so many good cases."""
    outcomes = [case_of(f"good-{number:04}", 0.9) for number in range(good)]
    outcomes += [
        case_of(f"x{place}", None) if pixels is None else empty_target(f"x{place}", pixels)
        for place, pixels in enumerate(predicted)
    ]
    ids = tuple(each.case_id for each in outcomes)
    return Run("r", "unet", "photos", ids, tuple(outcomes), "product", empty=empty)


@pytest.mark.parametrize("empty", POLICIES)
def test_a_rightly_empty_answer_that_becomes_a_hallucination_is_broken(empty: EmptyPolicy) -> None:
    found = compare(run_with(0, 0, good=20, empty=empty), run_with(0, 9, good=20, empty=empty))
    assert not found.identical
    assert [pair.case_id for pair in found.broken] == ["x1"]
    assert dict(found.transitions) == {("passed", "hallucinated"): 1}
    assert [pair.case_id for pair in compare(found.candidate, found.baseline).fixed] == ["x1"]
    verdict = judge(found)
    assert (verdict.name, [finding.rule for finding in verdict.findings]) == ("regressed", ["broken:0"])


@pytest.mark.parametrize("empty", POLICIES)
def test_a_hallucination_counts_for_the_rule_of_its_kind(empty: EmptyPolicy) -> None:
    found = compare(run_with(0, 0, good=20, empty=empty), run_with(0, 9, good=20, empty=empty))
    (finding,) = judge(found, resolve_rules(["broken:off", "hallucinated:+0"])).findings
    assert finding.text == "hallucinated 0 → 1 of 22 cases"
    assert list(finding.cases) == ["x1"]


def judged(before: Run, after: Run, *rules: str) -> Verdict:
    return judge(compare(before, after), resolve_rules(["broken:off", *rules]))


def test_hallucinations_lower_the_mean_that_is_tested() -> None:
    before, after = run_with(*[0] * 12, good=60), run_with(*[9] * 12, good=60)
    verdict = judged(before, after)
    assert verdict.name == "regressed"
    assert verdict.mean is not None
    assert verdict.mean.mean == pytest.approx(-12 / 72)
    assert "-0.1667 over 72 cases" in verdict.headline
    for metric in METRICS:
        assert judged(before, after, "mean_iou:off", "slice(*).mean_iou:off", f"mean_{metric}:-0.01").findings


def test_what_is_undefined_on_both_sides_is_left_out_of_the_mean_and_of_nothing_else() -> None:
    found = compare(run_with(0, 0, 0), run_with(0, 0, 9))
    assert len(found.pairs) == 3
    assert [pair.case_id for pair in found.defined.pairs] == ["x2"]
    assert found.defined.metric_differences("recall").tolist() == [-1.0]
    assert np.isnan(found.metric_differences("precision")).tolist() == [True, True, False]
    assert (found.worse, found.better) == (1, 0)


def test_a_change_that_is_undefined_comes_last() -> None:
    found = compare(run_with(0, 0, 9), run_with(0, 9, 0))
    assert [pair.case_id for pair in found.pairs.sort_by_change()] == ["x1", "x2", "x0"]
    assert [pair.change for pair in found.worst(3)] == [
        "undefined → 0.0000",
        "0.0000 → undefined",
        "undefined → undefined",
    ]
    assert [pair.difference for pair in found.worst(2)] == [-1.0, 1.0]
    assert math.isnan(found.worst(3)[2].difference)


def test_change_of_counts_undefined_as_1_only_where_the_other_side_is_defined() -> None:
    nan = math.nan
    changes = compute_change(np.array([[nan, 0.25], [0.25, nan], [nan, nan], [0.5, 0.25]]))
    np.testing.assert_array_equal(changes, [-0.75, 0.75, nan, -0.25])


def test_runs_of_rightly_empty_answers_are_identical_and_have_no_mean() -> None:
    found = compare(run_with(0, 0), run_with(0, 0))
    verdict = judge(found)
    assert (verdict.name, verdict.mean, len(found.pairs)) == ("identical", None, 2)


def test_an_error_on_either_side_is_no_pair() -> None:
    found = compare(run_with(0, None, None, good=3), run_with(None, 9, None, good=3))
    assert len(found.pairs) == 3
    assert (found.new_errors, found.recovered) == (("x0",), ("x1",))


def test_a_slice_counts_the_cases_that_changed_without_those_that_are_undefined() -> None:
    tagged = [
        replace(run, outcomes=tuple(replace(each, tags={"camera": each.case_id[:1]}) for each in run.outcomes))
        for run in (run_with(*[0] * 9, good=9), run_with(*[0] * 7, 9, 9, good=9))
    ]
    assert [(each.name, each.changed) for each in compare(*tagged).slices()] == [("camera=g", 0), ("camera=x", 2)]


def test_a_threshold_of_zero_does_not_switch_broken_off() -> None:
    found = compare(run_of([0.9, 0.9]), run_of([0.9, 0.0], threshold=0.0))
    assert [pair.case_id for pair in found.broken] == ["0001"]


@pytest.mark.parametrize("empty", POLICIES)
def test_the_selftest_breaks_rightly_empty_answers_too(empty: EmptyPolicy) -> None:
    trials = run_self_test(run_with(*[0] * 30, good=60, empty=empty))
    assert not [trial for trial in trials if not trial.passed]
    only_empty = {trial.name: trial for trial in run_self_test(run_with(*[0] * 12, empty="zero"))}
    assert only_empty["10 good cases to zero"].passed
    assert only_empty["noise of 1 point"].passed
