import math
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from segqa.errors import IncomparableError, SettingsError
from segqa.gate.comparison import compare
from segqa.runs.outcome import ProposalScore
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from tests.gate.paired_runs import case_of, run_of


def test_pairs_are_made_by_id_whatever_the_order() -> None:
    before, after = run_of([0.9, 0.8, 0.7]), run_of([0.9, 0.85, 0.6])
    shuffled = replace(after, outcomes=after.outcomes[::-1])
    found = compare(before, shuffled)
    assert {pair.case_id: round(pair.difference, 6) for pair in found.pairs} == {"0000": 0, "0001": 0.05, "0002": -0.1}
    assert (found.worse, found.better) == (1, 1)


def test_broken_and_fixed_cases() -> None:
    found = compare(run_of([0.9, 0.9, 0.9, 0.6, 0.02, 0.71]), run_of([0.3, 0.69, 0.0, 0.0, 0.9, 0.04]))
    assert [pair.case_id for pair in found.broken] == ["0000", "0002", "0003", "0005"]
    assert [pair.case_id for pair in found.fixed] == ["0004"]
    assert [pair.case_id for pair in found.worst(2)] == ["0002", "0005"]


def test_a_case_below_the_threshold_can_collapse_too() -> None:
    found = compare(run_of([0.62, 0.62]), run_of([0.0, 0.2]))
    assert [pair.case_id for pair in found.broken] == ["0000"]


def test_what_came_went_and_could_not_be_evaluated() -> None:
    before = run_of([0.9, None, 0.9, 0.9])
    after = run_of([0.9, 0.9, None, 0.9, 0.9])
    after = replace(after, outcomes=[*after.outcomes[:3], *after.outcomes[4:]])
    found = compare(before, after)
    assert found.new == ("0004",)
    assert found.missing == ("0003",)
    assert found.new_errors == ("0002",)
    assert found.recovered == ("0001",)
    assert not found.identical


def test_transitions_say_how_kinds_have_moved() -> None:
    found = compare(run_of([0.9, 0.9, 0.65, 0.0, 0.8]), run_of([0.0, 0.0, 0.9, 0.8, 0.9]))
    assert dict(found.transitions) == {
        ("passed", "wrong_object"): 2,
        ("low", "passed"): 1,
        ("wrong_object", "passed"): 1,
    }


def test_what_got_worse_or_better_is_counted_however_little() -> None:
    found = compare(run_of([0.9] * 7), run_of([0.8999, 0.3, 0.9, 0.9, 0.9, 0.9, 0.9001]))
    assert (found.worse, found.better) == (2, 1)


def test_a_run_is_identical_to_itself() -> None:
    run = run_of([0.9, None, 0.3])
    assert compare(run, run).identical


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dataset": "other"}, "data set"),
        ({"empty": "zero"}, "empty policy"),
        ({"pick": "first"}, "picker"),
        ({"provenance": {"metric_version": 99}}, "metric version"),
        ({"provenance": {"options": {"held-out": True}}}, "data set"),
    ],
    ids=str,
)
def test_what_was_made_in_another_way_is_incomparable(change: dict[str, object], field: str) -> None:
    run = run_of([0.9])
    with pytest.raises(IncomparableError, match=f"incomparable: the {field} differs"):
        compare(run, replace(run, **change))  # type: ignore[arg-type]


def test_two_pickers_compare_where_that_is_wanted() -> None:
    run = run_of([0.9])
    assert compare(run, replace(run, pick="first"), same_picker=False).identical
    with pytest.raises(IncomparableError, match="the data set differs, 'photos' in r, now 'other'"):
        compare(run, replace(run, dataset="other"), same_picker=False)


def test_names_are_compared_by_what_they_say() -> None:
    run = run_of([0.9])
    assert compare(run, replace(run, dataset=run.dataset.upper().lower(), pick=run.pick.upper().lower())).identical


def test_a_stricter_threshold_is_no_regression() -> None:
    run = run_of([0.8])
    assert not compare(run, replace(run, threshold=0.9)).broken
    assert compare(run, replace(run, threshold=0.9)).transitions == {}


def test_slices_are_those_of_the_cases_now() -> None:
    found = compare(run_of([0.9] * 40), run_of([0.8] * 10 + [0.9] * 30, tags=4))
    assert [(each.name, each.changed) for each in found.slices()] == [
        ("camera=C0", 3),
        ("camera=C1", 3),
        ("camera=C2", 2),
        ("camera=C3", 2),
    ]
    with pytest.raises(SettingsError, match="no case has a tag or property 'camra'; did you mean 'camera'"):
        found.slices("camra")


def test_groups_are_numbered_and_cases_without_the_tag_stand_alone() -> None:
    run = run_of([0.9] * 4, tags=2)
    run = replace(run, outcomes=(*run.outcomes[:3], case_of("0003", 0.9)))
    groups = compare(run, run).groups("camera")
    assert groups is not None
    assert groups.tolist() == [0, 1, 0, 2]
    assert compare(run, run).groups("") is None
    with pytest.raises(SettingsError, match="no case has a tag 'video'"):
        compare(run, run).groups("video")


def test_seconds_are_compared_where_both_are_known() -> None:
    def timed(seconds: float) -> Run:
        return replace(run_of([0.9]), outcomes=(case_of("0000", 0.9, seconds=seconds),))

    assert compare(timed(0.1), timed(0.3)).latency(50) == pytest.approx(3)
    assert compare(timed(0), timed(0.3)).latency(50) != compare(timed(0), timed(0.3)).latency(50)


def test_cases_can_be_left_out() -> None:
    found = compare(run_of([0.9, 0.9, 0.9]), run_of([0.0, 0.9, None])).exclude({"0000", "0002"})
    assert not found.broken
    assert not found.new_errors
    assert not found.missing
    assert found.identical


@pytest.mark.parametrize(
    ("before", "after", "threshold", "broken"),
    [
        (0.9, 0.4, 0.7, True),
        (0.9, 0.41, 0.7, False),
        (0.9, 0.4, 0.4, False),
        (0.9, 0.35, 0.3, False),
        (0.9, 0.3, 0.4, True),
        (0.5, 0.04, 0.5, True),
        (0.52, 0.04, 0.5, True),
        (0.5, 0.05, 0.5, False),
        (0.49, 0.04, 0.5, False),
    ],
)
def test_what_collapses_loses_half_or_falls_from_the_threshold_to_nothing(
    before: float, after: float, threshold: float, broken: bool
) -> None:
    found = compare(run_of([before]), run_of([after], threshold=threshold))
    assert bool(found.broken) is broken


@pytest.mark.parametrize(
    ("before", "after"),
    [([0.9], [0.9, 0.9]), ([0.9, 0.9], [0.9]), ([0.9], [None]), ([None, 0.9], [0.9, 0.9]), ([0.9], [0.8])],
    ids=["new", "missing", "error", "recovered", "changed"],
)
def test_identical_is_nothing_new_missing_broken_or_recovered(
    before: list[float | None], after: list[float | None]
) -> None:
    assert not compare(run_of(before), run_of(after)).identical


def test_other_metrics_have_their_differences() -> None:
    nothing = Counts(0, 0, 0, 100)
    empty = replace(case_of("0001", 0.9), proposal_scores=(ProposalScore(nothing, nothing),), empty_prediction=nothing)
    runs = [run_of([iou, 0.9], empty="zero") for iou in (0.9, 0.6)]
    found = compare(*(replace(run, outcomes=(run.outcomes[0], empty)) for run in runs))
    assert found.metric_differences("recall").tolist() == pytest.approx([-0.3, 0])
    assert found.metric_differences("precision").tolist() == [0, 0]
    assert found.metric_differences("dice").tolist() == pytest.approx([1.2 / 1.6 - 1.8 / 1.9, 0])
    assert found.differences.tolist() == pytest.approx([-0.3, 0])


def test_five_are_the_worst() -> None:
    found = compare(run_of([0.9] * 8), run_of([0.9, 0.8, 0.7, 0.6, 0.7, 0.3, 0.2, 0.1]))
    assert [pair.case_id for pair in found.worst()] == ["0007", "0006", "0005", "0003", "0002"]


def test_a_slice_has_eight_cases_or_more_and_not_all() -> None:
    run = run_of([0.9] * 15, tags=2)
    assert [each.name for each in compare(run, run).slices()] == ["camera=C0"]
    assert [each.name for each in compare(run, run).slices(min_cases=7)] == ["camera=C0", "camera=C1"]
    assert [int(each.members.sum()) for each in compare(run, run).slices(min_cases=7)] == [8, 7]
    same = run_of([0.9] * 300, tags=1)
    assert compare(same, same).slices() == []


def tagged(run: Run, *cameras: str) -> Run:
    """The run with these cameras, one a case."""
    return replace(run, outcomes=[replace(o, tags={"camera": c}) for o, c in zip(run.outcomes, cameras, strict=True)])


def test_slices_by_the_tags_of_the_baseline_stay_where_a_case_has_another_tag_now() -> None:
    run = run_of([0.9] * 20)
    before, after = tagged(run, *"A" * 10, *"B" * 10), tagged(run, "C", *"A" * 9, *"B" * 10)
    found = compare(before, after).slices()
    assert [each.name for each in found] == ["camera=A", "camera=B", "camera=A of the baseline"]
    assert [each.size for each in found] == [9, 10, 10]
    assert [each.is_former for each in found] == [False, False, True]


def test_a_slice_that_is_only_renamed_is_there_once() -> None:
    run = run_of([0.9] * 20)
    found = compare(tagged(run, *"A" * 10, *"B" * 10), tagged(run, *"B" * 10, *"X" * 10)).slices()
    assert [each.name for each in found] == ["camera=B", "camera=X"]


def test_slices_that_became_one_are_judged_apart_too() -> None:
    run = run_of([0.9] * 30)
    found = compare(tagged(run, *"A" * 10, *"B" * 20), tagged(run, *"A" * 29, "B")).slices()
    assert [each.name for each in found] == ["camera=A", "camera=A of the baseline", "camera=B of the baseline"]


def test_slices_by_a_tag_that_is_gone_are_those_of_the_baseline() -> None:
    found = compare(run_of([0.9] * 20, tags=2), run_of([0.9] * 20)).slices()
    assert [each.name for each in found] == ["camera=C0 of the baseline", "camera=C1 of the baseline"]


def test_a_change_is_a_loss_or_a_gain() -> None:
    found = compare(run_of([0.9] * 20), run_of([0.8, 0.95, 0.95, *[0.9] * 17], tags=2))
    assert [each.changed for each in found.slices()] == [2, 1]


def test_a_tag_may_have_any_name() -> None:
    run = run_of([0.9] * 32, tags=2)
    marked = tuple(replace(o, tags={**o.tags, "#": str(n // 16)}) for n, o in enumerate(run.outcomes))
    found = compare(run, replace(run, outcomes=marked))
    assert [each.name for each in found.slices("#")] == ["#=0", "#=1"]
    with pytest.raises(SettingsError, match="no case has a tag or property '!'"):
        found.slices("!")


def test_slices_of_one_attribute_alone() -> None:
    run = run_of([0.9] * 32, tags=2)
    two = replace(
        run, outcomes=tuple(replace(o, tags={**o.tags, "take": str(n // 16)}) for n, o in enumerate(run.outcomes))
    )
    assert [each.name for each in compare(two, two).slices("take")] == ["take=0", "take=1"]
    assert {each.attribute for each in compare(two, two).slices("take")} == {"take"}
    assert len(compare(two, two).slices()) == 4


def test_without_any_pair_a_tag_cannot_be_wrong() -> None:
    assert compare(run_of([0.9]), run_of([None])).groups("video") is not None


def test_seconds_are_compared_at_a_percentile() -> None:
    def timed(*seconds: float) -> Run:
        run = run_of([0.9] * len(seconds))
        return replace(run, outcomes=tuple(replace(o, seconds=s) for o, s in zip(run.outcomes, seconds, strict=True)))

    found = compare(timed(1, 1, 1, 1, 0), timed(2, 2, 2, 6, 0))
    assert found.latency(50) == 2
    assert found.latency(100) == 6
    assert math.isnan(compare(timed(1), timed(0)).latency(50))


@pytest.mark.parametrize("change", [{"part": "camera=C1"}, {"provenance": {"options": {"limit": 1}}}], ids=str)
def test_a_part_misses_nothing_of_the_rest(change: dict[str, Any]) -> None:
    whole, part = run_of([0.9, 0.8, 0.7]), run_of([0.9, 0.8], **change)
    found = compare(whole, replace(part, outcomes=part.outcomes[:1]))
    assert [pair.case_id for pair in found.pairs] == ["0000"]
    assert found.missing == ("0001",)
    assert found.baseline.part == ""
    assert compare(whole, replace(part, part="", provenance={})).missing == ("0002",)


@pytest.mark.parametrize("ious", [(None, 0.9), (0.9, None), (None, None)])
def test_what_could_not_be_read_is_no_other_image(ious: tuple[float | None, float | None]) -> None:
    before, after = (
        replace(run_of([iou, 0.9]), outcomes=(case_of("0000", iou, digest=str(iou)), case_of("0001", 0.9)))
        for iou in ious
    )
    assert len(compare(before, after).pairs) == 1


def test_cases_that_are_left_out_are_left_out_of_the_pairs() -> None:
    found = compare(run_of([0.9, 0.8], id="before"), run_of([0.9, 0.7], id="after")).exclude({"0000"})
    assert (found.baseline.id, found.candidate.id) == ("before", "after")
    assert [pair.case_id for pair in found.pairs] == ["0001"]
    assert [outcome.case_id for outcome in found.baseline.outcomes] == ["0001"]


def test_a_comparison_cannot_be_changed() -> None:
    found = compare(run_of([0.9] * 16, tags=2), run_of([0.9] * 16, tags=2))
    for made in (found, found.pairs[0], found.slices()[0]):
        with pytest.raises(FrozenInstanceError):
            setattr(made, fields(made)[0].name, None)
        assert not hasattr(made, "__dict__")
    assert found != replace(found)
