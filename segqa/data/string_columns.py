"""Compact columns of strings: categorical columns and plain ones."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.support.plurals import format_count

T_co = TypeVar("T_co", covariant=True)


class RowSequence(Sequence[T_co]):
    """A sequence that equals any other sequence with the same members in the same order."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equal to lists and tuples, which do not share a hash


_NAMES_CHUNK_SIZE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class CategoricalColumn:
    """A column of strings with few distinct values.

    Attributes:
        values: the different ones.
        codes: for each case the place of its name among them, `[n]`; -1 where it has none. In the smallest type that
            holds them.
    """

    values: tuple[str, ...]
    codes: NDArray[np.signedinteger[Any]]

    def __post_init__(self) -> None:
        smallest = np.result_type(np.min_scalar_type(-1), np.min_scalar_type(-max(1, len(self.values))))
        object.__setattr__(self, "codes", self.codes.astype(smallest, copy=False))

    def __iter__(self) -> Iterator[str | None]:
        values = (*self.values, None)  # -1 is the last
        parts = (
            self.codes[start : start + _NAMES_CHUNK_SIZE] for start in range(0, len(self.codes), _NAMES_CHUNK_SIZE)
        )
        return (values[code] for part in parts for code in part.tolist())

    def take(self, places: Places) -> CategoricalColumn:
        """Return the column of some cases."""
        return CategoricalColumn(self.values, self.codes[places])

    def equals(self, name: str) -> Mask:
        """Return which cases have this value."""
        found: Mask = self.codes == (self.values.index(name) if name in self.values else -2)
        return found

    def map_values(self, new: Callable[[str], str]) -> CategoricalColumn:
        """Map the values; several may become one."""
        names = [new(value) for value in self.values]
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        codes = np.array([*(places[name] for name in names), -1], np.int32)
        return CategoricalColumn(tuple(places), codes[self.codes])

    def fill_from(self, other: CategoricalColumn) -> CategoricalColumn:
        """Return the column, filled from another one where it has no value."""
        behind = np.where(other.codes < 0, -1, other.codes.astype(np.int32) + len(self.values))
        return CategoricalColumn(
            (*self.values, *other.values), np.where(self.codes < 0, behind, self.codes)
        ).map_values(str)

    @property
    def used(self) -> list[tuple[int, str]]:
        """The values in use with their codes, sorted."""
        there = np.flatnonzero(np.bincount(self.codes[self.codes >= 0]))
        return sorted(((code, self.values[code]) for code in there.tolist()), key=lambda pair: pair[1])


class CategoricalBuilder:
    """Builds a categorical column case by case."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes = array("i")

    def put(self, place: int, name: str) -> None:
        """Set the value of a case; cases before it that were left out have none."""
        self._codes.extend([-1] * (place - len(self._codes)))
        self._codes.append(self._known.setdefault(name, len(self._known)))

    def build(self, cases: int) -> CategoricalColumn:
        """Build the column for a number of cases."""
        self._codes.extend([-1] * (cases - len(self._codes)))
        return CategoricalColumn(tuple(self._known), np.array(self._codes))


Places: TypeAlias = NDArray[np.int64]
"""Which ones of many, by their numbers."""

_CHUNK_SIZE = 1 << 16
_FEW = 32


@dataclass(frozen=True, eq=False)
class JoinedStrings:
    """Strings concatenated into one.

    Attributes:
        text: all of them.
        starts: where each begins in it, `[n + 1]`; the last number is where the last one ends.
    """

    text: str
    starts: Places

    @cached_property
    def is_rising(self) -> bool:
        """Return whether each string is greater than the one before it, as the ids of a run are."""
        return all(before < after for before, after in pairwise(StringColumn(self)))


@dataclass(frozen=True, slots=True, eq=False)
class StringColumn(RowSequence[str]):
    """A sequence of strings.

    Attributes:
        joined: these, and perhaps others.
        places: which of them these are, in this order; None for all.
    """

    joined: JoinedStrings
    places: Places | None = None

    @classmethod
    def from_strings(cls, texts: Iterable[str]) -> StringColumn:
        """Build from any strings.

        >>> list(StringColumn.from_strings(["C1", "", "C22"]))
        ['C1', '', 'C22']
        """
        if isinstance(texts, StringColumn):
            return texts
        joining = StringBuilder()
        joining.extend(texts)
        return joining.build()

    def take(self, places: Places) -> StringColumn:
        """Return some of the strings, by their indices."""
        return StringColumn(self.joined, places if self.places is None else self.places[places])

    def sort_order(self) -> Places:
        """Return the indices that sort the strings."""
        if self.joined.is_rising:
            return np.arange(len(self)) if self.places is None else np.argsort(self.places, kind="stable")
        texts = list(self)
        return np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)

    def is_among(self, others: Collection[str]) -> Mask:
        """Return which strings are among others, bool `[n]`."""
        if not self.joined.is_rising or _FEW * len(others) > len(self):
            known = others if isinstance(others, (set, frozenset, dict)) else set(others)
            return np.array([text in known for text in self], np.bool_)
        everything = StringColumn(self.joined)
        found = np.zeros(len(everything), np.bool_)
        for text in others:
            place = bisect_left(everything, text)
            found[place : place + 1] = everything[place : place + 1] == [text]
        return found if self.places is None else found[self.places]

    def find_places(self, others: StringColumn) -> Places:
        """Return the index of each of some other strings; -1 where it is missing.

        >>> StringColumn.from_strings(["a", "b", "c"]).find_places(StringColumn.from_strings(["c", "d", "a"])).tolist()
        [2, -1, 0]
        """
        if self.places is None and StringColumn(others.joined).is_same(self):
            return np.arange(len(others)) if others.places is None else others.places
        if self._rises and others.joined.is_rising:
            found, order = np.empty(len(others), np.int64), others.sort_order()
            found[order] = np.fromiter(_merge_sorted(iter(self), iter(others.take(order))), np.int64, len(others))
            return found
        known = {text: place for place, text in enumerate(self)}
        return np.fromiter((known.get(text, -1) for text in others), np.int64, len(others))

    def exclude(self, others: StringColumn) -> StringColumn:
        """Return the strings that are not among others.

        >>> list(StringColumn.from_strings(["a", "b", "c"]).exclude(StringColumn.from_strings(["b"])))
        ['a', 'c']
        """
        return self.take(np.flatnonzero(others.find_places(self) < 0))

    def is_same(self, other: StringColumn) -> bool:
        """Return whether two columns are equal, as far as that shows without comparing string by string."""
        if self.joined is other.joined and self.places is other.places:
            return True
        if self.places is not None or other.places is not None:
            return False
        mine, its = self.joined, other.joined
        return mine.text == its.text and np.array_equal(mine.starts, its.starts)

    @property
    def _rises(self) -> bool:
        """Return whether each string is greater than the one before it."""
        return self.joined.is_rising and (self.places is None or bool((np.diff(self.places) > 0).all()))

    def __contains__(self, text: object) -> bool:
        if isinstance(text, str) and self._rises:
            place = bisect_left(self, text)
            return place < len(self) and self[place] == text
        return any(each == text for each in self)

    def __len__(self) -> int:
        return len(self.joined.starts) - 1 if self.places is None else len(self.places)

    def __iter__(self) -> Iterator[str]:
        text, edges = self.joined.text, self.joined.starts
        # numbers take five times as much as objects of Python
        for first in range(0, len(self), _CHUNK_SIZE):
            some = slice(first, first + _CHUNK_SIZE)
            where = np.arange(len(self))[some] if self.places is None else self.places[some]
            for start, end in zip(edges[where].tolist(), edges[where + 1].tolist(), strict=True):
                yield text[start:end]

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> StringColumn: ...

    def __getitem__(self, place: int | slice) -> str | StringColumn:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        at = range(len(self))[place] if self.places is None else int(self.places[place])
        return self.joined.text[self.joined.starts[at] : self.joined.starts[at + 1]]

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, StringColumn) and self.is_same(other)) or RowSequence.__eq__(self, other)

    __hash__ = None  # as there

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:3]))
        return f"<{format_count(len(self), 'text')}: {shown}{', …' if len(self) > 3 else ''}>"


class StringBuilder:
    """Builds a string column string by string, joining chunks; single strings would take ten times the memory."""

    def __init__(self) -> None:
        self._last: list[str] = []
        self._parts: list[str] = []
        self._lengths: list[Places] = []

    def append(self, text: str) -> None:
        """Append a string."""
        self._last.append(text)
        if len(self._last) == _CHUNK_SIZE:
            self._join()

    def extend(self, texts: Iterable[str]) -> None:
        """Append several strings."""
        rest = iter(texts)
        self._join()
        while some := list(islice(rest, _CHUNK_SIZE)):
            self._last = some
            self._join()

    def build(self) -> StringColumn:
        """Build the column."""
        self._join()
        starts = np.zeros(sum(map(len, self._lengths)) + 1, np.int64)
        np.cumsum(np.concatenate([starts[:0], *self._lengths]), out=starts[1:])
        return StringColumn(JoinedStrings("".join(self._parts), starts))

    def _join(self) -> None:
        if not self._last:
            return
        self._lengths.append(np.array([len(text) for text in self._last], np.int64))
        self._parts.append("".join(self._last))
        self._last = []


def _merge_sorted(known: Iterator[str], others: Iterator[str]) -> Iterator[int]:
    """Return the index of each of some sorted strings among sorted known ones; -1 where it is missing."""
    place, current = 0, next(known, None)
    for text in others:
        while current is not None and current < text:
            place, current = place + 1, next(known, None)
        yield place if current == text else -1
