from dataclasses import FrozenInstanceError

import pytest

from segqa.analysis.failure_clusters.attribute_table import AttributeTable, _encode_values
from segqa.data.string_columns import CategoricalColumn
from segqa.runs.outcome import Outcome
from segqa.runs.query import Predicate
from segqa.runs.slices import assign_slices


def test_rare_slices_and_those_of_all_are_left_out() -> None:
    tags = [{"camera": f"C{n % 2}", "take": str(n), "place": "here"} for n in range(10)]
    table = AttributeTable.from_cases(
        [Outcome(case_id=str(n), tags=own) for n, own in enumerate(tags)], {}, min_cases=4
    )
    assert table.predicates == ((Predicate("camera", "=", "C0"), Predicate("camera", "=", "C1")),)
    assert table.codes.tolist() == [[0, 1] * 5]
    assert table.find_members([(0, 1)]).tolist() == [False, True] * 5


def test_predicates_that_mean_the_same_cases_are_twins() -> None:
    tags = [{"camera": f"C{n % 2}", "lens": f"L{n % 2}"} for n in range(10)]
    cases = [Outcome(case_id=str(n), tags=own, properties={"brightness": n % 2 / 2}) for n, own in enumerate(tags)]
    table = AttributeTable.from_cases(cases, {"brightness": (0.0,)}, min_cases=2)
    assert len(table.predicates) == 1
    assert table.twins[Predicate("camera", "=", "C1")] == (
        Predicate("lens", "=", "L1"),
        Predicate("brightness", "=", "bright"),
    )


def test_a_case_without_the_tag_is_in_no_slice_of_it() -> None:
    cases = [Outcome(case_id=str(n), tags={"camera": "C1"} if n < 4 else {}) for n in range(10)]
    table = AttributeTable.from_cases(cases, {}, min_cases=2)
    assert table.find_members([(0, 0)]).sum() == 4


def test_what_is_left_of_an_attribute_is_numbered_anew() -> None:
    places = ["here", "there", "there", "nowhere"] * 3
    tags = [{"camera": "C0" if place == "here" else "C1", "place": place} for place in places]
    tags += [{"camera": "C0", "place": "here"}] * 2 + [{}]
    table = AttributeTable.from_cases(
        [Outcome(case_id=str(n), tags=own) for n, own in enumerate(tags)], {}, min_cases=3
    )
    assert table.predicates[1] == (Predicate("place", "=", "nowhere"), Predicate("place", "=", "there"))
    assert table.codes.tolist() == [[0, 1, 1, 1] * 3 + [0, 0, 2], [2, 1, 1, 0] * 3 + [2, 2, 2]]
    assert table.twins == {Predicate("camera", "=", "C0"): (Predicate("place", "=", "here"),)}


def make_column(texts: list[str | None]) -> CategoricalColumn:
    return assign_slices([Outcome(case_id="", tags={} if text is None else {"tag": text}) for text in texts], "tag", {})


def test_a_slice_of_just_enough_cases_is_one() -> None:
    cases = [Outcome(case_id=str(n), tags={"camera": "C1"} if n < 4 else {}) for n in range(10)]
    assert len(AttributeTable.from_cases(cases, {}, min_cases=4).predicates) == 1
    assert not AttributeTable.from_cases(cases, {}, min_cases=5).predicates
    assert not AttributeTable.from_cases(cases[:4], {}, min_cases=2).predicates
    assert not AttributeTable.from_cases(cases[:4] * 100, {}, min_cases=2).predicates


def test_of_too_many_values_the_largest_are_kept() -> None:
    values = [f"{n:05}" for n in range(10_002)]
    kept, codes = _encode_values(make_column([*values, values[-1], None]), 1)
    assert len(kept) == 10_000
    assert kept == sorted(kept)
    assert kept[-1] == values[-1]
    assert codes.tolist() == [*range(9_999), 10_000, 10_000, 9_999, 9_999, 10_000]


def test_an_empty_value_is_none() -> None:
    kept, codes = _encode_values(make_column(["a", "", "a", None, ""]), 1)
    assert kept == ["a"]
    assert codes.tolist() == [0, 1, 0, 1, 1]


def test_a_table_cannot_be_changed() -> None:
    table = AttributeTable.from_cases([], {}, min_cases=2)
    with pytest.raises(FrozenInstanceError):
        table.predicates = ()  # type: ignore[misc]
    assert not hasattr(table, "__dict__")
    assert table != AttributeTable.from_cases([], {}, min_cases=2)
