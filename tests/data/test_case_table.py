"""A roster is a data set whose cases are made when they are asked for; else it is one as any other."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segqa.data.case import Case, Unreadable
from segqa.data.case_table import CaseTable
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.string_columns import CategoricalColumn, StringColumn
from segqa.data.subsets import Shard
from segqa.errors import DatasetError
from segqa.inference.evaluator import evaluate
from tests.inference.test_merge_shards import Bright, Squares, timeless


def roster_of(cases: Sequence[Case]) -> CaseTable:
    """The same cases, made when they are asked for."""
    prompts = sorted({case.prompt for case in cases if case.prompt})
    codes = [prompts.index(case.prompt) if case.prompt else -1 for case in cases]
    tags = {name for case in cases for name in case.tags}
    columns = {}
    for name in sorted(tags):
        values = sorted({case.tags[name] for case in cases if name in case.tags})
        places = [values.index(case.tags[name]) if name in case.tags else -1 for case in cases]
        columns[name] = CategoricalColumn(tuple(values), np.array(places))
    sources = [case.source for case in cases]
    return CaseTable(
        StringColumn.from_strings(case.id for case in cases),
        sources.__getitem__,
        CategoricalColumn(tuple(prompts), np.array(codes)),
        columns,
    )


CASES = tuple(
    Case(
        f"case {number:02}",
        "dog." if number % 3 == 0 else "",
        Unreadable(str(number)),
        {"odd": "yes"} if number % 2 else {},
    )
    for number in range(20)
)
SHUFFLED = (*CASES[1::2], *CASES[::2])
PLAIN, LARGE = Dataset.from_cases("d", SHUFFLED), Dataset.from_cases("d", roster_of(CASES))


def test_the_cases_are_those_that_were_given() -> None:
    assert tuple(PLAIN) == CASES
    assert PLAIN.cases == CASES
    assert PLAIN.cases != CASES[1:]
    assert [case.source for case in PLAIN] == [case.source for case in CASES]
    assert PLAIN.ids == [case.id for case in CASES]
    assert set(PLAIN.tag_names) == {"odd"}
    assert PLAIN.cases[::2] == CASES[::2]
    assert not Dataset.from_cases("d", CASES[::2]).tag_names
    assert repr(PLAIN.cases) == "<20 cases: case 00, case 01, case 02, …>"


def test_a_tag_may_be_empty_and_a_prompt_is_none_then() -> None:
    case = Case("a", "", Unreadable(""), {"camera": ""})
    assert list(Dataset.from_cases("d", [case]).with_prompt("dog.")) == [replace(case, prompt="dog.")]


def test_the_cases_are_those_of_a_plain_data_set() -> None:
    assert list(LARGE) == list(PLAIN)
    assert (LARGE.cases[3], LARGE.cases[-1], len(LARGE)) == (PLAIN.cases[3], PLAIN.cases[-1], len(PLAIN))
    assert list(LARGE.cases[4:9:2]) == list(PLAIN.cases[4:9:2])


def test_what_is_made_of_it_is_what_is_made_of_a_plain_one() -> None:
    assert list(LARGE.with_prompt("person.")) == list(PLAIN.with_prompt("person."))
    assert list(LARGE.limit(7)) == list(PLAIN.limit(7))
    assert (LARGE.stamp(), LARGE.listing()) == (PLAIN.stamp(), PLAIN.listing())
    for number in (1, 2, 3):
        assert list(Shard(number, 3).select_cases(LARGE.limit(15).cases)) == list(
            Shard(number, 3).select_cases(PLAIN.limit(15).cases)
        )
    wanted = {"case 03", "case 11", "case 99"}
    assert LARGE.select_ids(wanted) == PLAIN.select_ids(wanted)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ids": StringColumn.from_strings(["b", "a"])}, "ids that are not sorted"),
        ({"ids": StringColumn.from_strings(["a", "a"])}, "1 id twice, such as 'a'"),
        ({"ids": StringColumn.from_strings([])}, "no cases"),
        ({"tags": {"id": CategoricalColumn(("x",), np.zeros(20, np.int8))}}, "a tag called id"),
    ],
    ids=["not sorted", "twice", "none", "a tag called id"],
)
def test_what_is_no_data_set_is_refused(change: dict[str, object], problem: str) -> None:
    with pytest.raises(DatasetError, match=problem):
        Dataset.from_cases("d", replace(roster_of(CASES), **change))  # type: ignore[arg-type] # one of its attributes


def test_it_is_evaluated_as_any_other(squares: Squares, tmp_path: Path) -> None:
    plain = open_folder(squares(6))
    large = Dataset.from_cases(plain.name, roster_of(plain.cases))
    found, wanted = (evaluate(Bright(), each, directory=tmp_path / name) for name, each in (("a", large), ("b", plain)))
    assert timeless(found.outcomes) == timeless(wanted.outcomes)
