from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.model_selection import train_test_split

from segqa.data.folder import open_folder
from segqa.data.subsets import split, split_indices
from segqa.errors import DatasetError


@pytest.mark.parametrize("count", [2, 3, 10, 48, 804, 1192])
@pytest.mark.parametrize(("held_out", "seed"), [(0.2, 42), (0.25, 0), (0.5, 7)])
def test_the_split_is_scikit_learns(count: int, held_out: float, seed: int) -> None:
    theirs = train_test_split(list(range(count)), test_size=held_out, random_state=seed)
    assert split_indices(count, held_out=held_out, seed=seed) == tuple(theirs)


def test_no_case_is_in_both_parts_and_none_in_neither(squares: Callable[[int], Path]) -> None:
    data = open_folder(squares(12))
    train, test = split(data)
    assert (len(train), len(test)) == (9, 3)
    assert sorted([case.id for case in train] + [case.id for case in test]) == [case.id for case in data]


@pytest.mark.parametrize(("count", "held_out"), [(1, 0.2), (10, 0.0), (10, 1.0), (10, float("nan"))])
def test_a_split_that_leaves_a_part_empty_is_refused(count: int, held_out: float) -> None:
    with pytest.raises(DatasetError, match="both parts need a case"):
        split_indices(count, held_out=held_out)
