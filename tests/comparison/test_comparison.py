from dataclasses import replace

import pytest

from segqa.comparison.comparison import compare
from segqa.errors import IncomparableError, SettingsError
from segqa.run import Run
from tests.comparison.runs import case_of, run_of


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
    found = compare(run_of([0.9, 0.9, 0.65]), run_of([0.0, 0.0, 0.9]))
    assert dict(found.transitions) == {("passed", "wrong_object"): 2, ("low", "passed"): 1}


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


def test_another_image_under_the_same_id_is_incomparable() -> None:
    run = run_of([0.9, 0.9])
    other = replace(run, outcomes=(run.outcomes[0], case_of("0001", 0.9, digest="e")))
    with pytest.raises(IncomparableError, match="image, mask or prompt of 1 cases differs from r, such as 0001"):
        compare(run, other)


def test_two_pickers_compare_where_that_is_wanted() -> None:
    run = run_of([0.9])
    assert compare(run, replace(run, pick="first"), same_picker=False).identical


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
    found = compare(run_of([0.9, 0.9, 0.9]), run_of([0.0, 0.9, None])).without({"0000", "0002"})
    assert not found.broken
    assert not found.new_errors
    assert not found.missing
    assert found.identical
