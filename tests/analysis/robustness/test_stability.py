import math
from dataclasses import replace
from pathlib import Path

import pytest

from segqa.analysis.robustness.result import (
    Robustness,
    find_robustness,
    link_robustness,
    read_robustness,
    write_robustness,
)
from segqa.analysis.robustness.stability import PerturbationOutcome
from segqa.errors import StoreError
from segqa.runs.run import Run
from segqa.runs.store import Store

NAN = math.nan


def make_robustness(*trials: PerturbationOutcome) -> Robustness:
    return Robustness(
        model="m",
        dataset="d",
        run="r-changed",
        cases=3,
        left_out=("x",),
        trials=trials,
        command="pytest suites --model=m",
    )


def make_occluded(case_id: str, *ious: float) -> list[PerturbationOutcome]:
    """A case under more and more of a bar; it has IoU 0.8 without."""
    return [
        PerturbationOutcome(case_id, "occlusion", severity, 0.8, iou, 0.5) for severity, iou in enumerate(ious, start=1)
    ]


BLURRED = (
    PerturbationOutcome("a", "blur", 1, 0.9, 0.8, 0.9),
    PerturbationOutcome("b", "blur", 1, 0.8, 0.3, 0.4, "partial"),
    PerturbationOutcome("c", "blur", 1, 0.7, NAN, NAN, "error"),
)


def test_means_are_over_what_has_been_scored_and_errors_are_counted() -> None:
    mild = make_robustness(*BLURRED).select("blur")
    assert mild.agreement == pytest.approx(0.65)
    assert mild.drop == pytest.approx(0.3)
    assert mild.iou == pytest.approx(0.55)
    assert mild.before == pytest.approx(0.85)
    assert mild.tally == "2 scored, 1 error"
    assert mild.errors == pytest.approx(1 / 3)


def test_a_reading_tells_its_worst_trials_and_how_to_try_them_again() -> None:
    reading = make_robustness(*BLURRED).select("blur").drop
    assert reading.name == "drop of IoU, blur 1 (blurred by 0.001 of the diagonal),"
    assert reading.lines[0] == "m on d, blur 1 (blurred by 0.001 of the diagonal) (2 scored, 1 error)"
    assert reading.lines[2] == "  agreement 0.4000  IoU 0.8000 → 0.3000  partial  b~blur-1"
    assert reading.hints == (
        "just these: pytest suites --model=m --segqa-where 'id=b or id=a'",
        "the changed cases: segqa report r-changed --open",
    )


def test_nothing_scored_is_no_number() -> None:
    nothing = make_robustness().select("blur")
    assert math.isnan(nothing.agreement)
    assert math.isnan(nothing.drop)
    assert math.isnan(nothing.hallucinated)
    assert math.isnan(make_robustness().compute_rises("occlusion"))
    assert not make_robustness().compute_proven_gain("channel_swap") > 0


def test_a_share_leaves_out_what_was_not_answered() -> None:
    kinds = ("hallucinated", "", "", "error")
    trials = [
        PerturbationOutcome(f"c{i}", "blank", 1, 0.9, NAN if kind == "error" else 1.0, NAN, kind)
        for i, kind in enumerate(kinds)
    ]
    assert make_robustness(*trials).select_all("blank").hallucinated == pytest.approx(1 / 3)


def test_a_case_rises_where_any_step_does_by_more_than_the_slack() -> None:
    falls, noise = make_occluded("falls", 0.7, 0.5, 0.2), make_occluded("noise", 0.81, 0.5, 0.51)
    first, last = make_occluded("first", 0.9, 0.5, 0.4), make_occluded("last", 0.7, 0.2, 0.6)
    reading = make_robustness(*falls, *noise, *first, *last).compute_rises("occlusion")
    assert reading == 0.5
    assert reading.lines[1:] == (
        "  +0.4000  0.8000 → 0.7000 → 0.2000 → 0.6000  last",
        "  +0.1000  0.8000 → 0.9000 → 0.5000 → 0.4000  first",
    )


def test_a_gain_counts_as_far_as_it_is_proven() -> None:
    def swapped(gains: list[float]) -> Robustness:
        return make_robustness(
            *(PerturbationOutcome(f"c{i}", "channel_swap", 1, 0.8, 0.8 + gain, 0.9) for i, gain in enumerate(gains))
        )

    clear, chance = swapped([0.01, 0.02, 0.03] * 5), swapped([0.1, -0.08, 0.02, -0.01])
    assert 0.015 < clear.compute_proven_gain("channel_swap") < 0.02
    assert chance.compute_proven_gain("channel_swap") < 0
    assert clear.compute_proven_gain("channel_swap").lines[1] == "mean IoU 0.8000 → 0.8200, mean gain +0.0200"


def test_a_gain_of_cases_that_depend_on_each_other_is_proven_by_groups() -> None:
    trials = [
        PerturbationOutcome(f"c{i}", "channel_swap", 1, 0.8, 0.8 + (0.03, -0.01)[i // 10], 0.9) for i in range(20)
    ]
    alone, grouped = (
        make_robustness(*trials),
        replace(make_robustness(*trials), groups={f"c{i}": i // 10 for i in range(20)}),
    )
    assert alone.compute_proven_gain("channel_swap") > 0
    assert grouped.compute_proven_gain("channel_swap") < 0
    few = replace(make_robustness(*trials), groups={"c0": 0, "c1": 0})
    assert 0 < few.compute_proven_gain("channel_swap") < alone.compute_proven_gain("channel_swap")


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    store, found = Store(tmp_path), make_robustness(*BLURRED)
    write_robustness(found, store, "abc")
    kept = read_robustness(store, "r-changed", "abc")
    assert kept is not None
    assert str(kept.trials) == str(found.trials)
    assert (kept.left_out, kept.cases, kept.run) == (("x",), 3, "r-changed")
    assert read_robustness(store, "r-changed", "other predictions") is None
    assert read_robustness(store, "another run") is None


def test_a_run_leads_to_what_was_measured_with_it(tmp_path: Path) -> None:
    store, run = Store(tmp_path), Run("r", "m", "d", (), (), "product")
    assert find_robustness(store, run) is None
    write_robustness(make_robustness(*BLURRED), store, "abc")
    link_robustness(store, "r", "r-changed")
    found = find_robustness(store, run)
    assert found is not None
    assert [change.name for change in found.changes] == ["blur"]
    link_robustness(store, "r", "gone")
    assert find_robustness(store, run) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_robustness(make_robustness(), store, "abc")
    (tmp_path / "runs" / "r-changed" / "robustness.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"robustness\.json is damaged"):
        read_robustness(store, "r-changed")
