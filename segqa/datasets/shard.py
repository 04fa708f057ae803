"""A shard is one n-th of a data set: the cases whose ids fall into it by their hash, on every machine the same."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np

from segqa.datasets.roster import Roster
from segqa.errors import SettingsError

_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of so many.

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

    def has(self, case_id: str) -> bool:
        """Whether the case with this id falls into it."""
        digest = hashlib.sha256(case_id.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest, "big") % self.of == self.number - 1

    def of_cases(self, cases: Roster) -> Roster:
        """Those of some cases that fall into it; perhaps none."""
        return cases.take(np.array([place for place, each in enumerate(cases.own_ids) if self.has(each)], np.int64))


def parse_shard(text: str) -> Shard:
    """The shard that a text such as `2/4` means.

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
