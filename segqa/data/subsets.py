"""Subsets of a data set: shards by the hash of the case id, and a seeded split into training and validation."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, replace

import numpy as np

from segqa.data.case_table import CaseTable
from segqa.data.dataset import Dataset
from segqa.errors import DatasetError, SettingsError
from segqa.support.plurals import format_count

_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of `count`.

    Which cases it has depends on their ids alone: not on their order, on which others there are, or on Python's seed.

    Attributes:
        number: which one, from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __str__(self) -> str:
        """As it is typed: `2/4`."""
        return f"{self.number}/{self.of}"

    def contains(self, case_id: str) -> bool:
        """Return whether the case with this id is in the shard."""
        digest = hashlib.sha256(case_id.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest, "big") % self.of == self.number - 1

    def select_cases(self, cases: CaseTable) -> CaseTable:
        """Select the cases that are in the shard; perhaps none."""
        return cases.take(
            np.array([place for place, each in enumerate(cases.own_ids) if self.contains(each)], np.int64)
        )


def parse_shard(text: str) -> Shard:
    """Parse a shard such as `2/4`.

    Raises:
        SettingsError: it means none.

    >>> parse_shard("2/4")
    Shard(number=2, of=4)
    >>> parse_shard("5/4")
    Traceback (most recent call last):
    segqa.errors.SettingsError: --segqa-shard must read i/n with i from 1 to n, such as 2/4; got '5/4'
    """
    found = _FORM.fullmatch(text)
    number, of = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise SettingsError(f"--segqa-shard must read i/n with i from 1 to n, such as 2/4; got {text!r}")
    return Shard(number, of)


HELD_OUT = 0.2
SEED = 42


def split(dataset: Dataset, *, held_out: float = HELD_OUT, seed: int = SEED) -> tuple[Dataset, Dataset]:
    """Split a data set into training cases and held-out cases, each sorted.

    The same cases as `sklearn.model_selection.train_test_split(cases, test_size=held_out, random_state=seed)` gives.

    Args:
        dataset: at least two cases.
        held_out: the share to hold out, between 0 and 1; rounded up to whole cases.
        seed: of the shuffle.

    Raises:
        DatasetError: one of the two parts would be empty.
    """
    train, test = split_indices(len(dataset), held_out=held_out, seed=seed)
    first, second = (replace(dataset, cases=dataset.cases.take(np.sort(part))) for part in (train, test))
    return first, second


def split_indices(count: int, *, held_out: float = HELD_OUT, seed: int = SEED) -> tuple[list[int], list[int]]:
    """Return training and held-out indices, in the order of scikit-learn.

    >>> split_indices(10)
    ([5, 0, 7, 2, 9, 4, 3, 6], [8, 1])
    """
    size = math.ceil(count * held_out) if 0 < held_out < 1 else 0
    if not 0 < size < count:
        raise DatasetError(f"cannot hold {held_out:g} of {format_count(count, 'case')} out: both parts need a case")
    # the legacy generator on purpose: scikit-learn's own, whose sequence numpy guarantees not to change
    shuffled = np.random.RandomState(seed).permutation(count).tolist()
    return shuffled[size:], shuffled[:size]
