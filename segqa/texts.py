"""Texts are many strings in one: a few bytes each, where a string of its own takes sixty and a place in a list."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from segqa.mask import Mask

Places: TypeAlias = NDArray[np.int64]
"""Which ones of many, by their numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Texts(Sequence[str]):
    """Strings by their places.

    Attributes:
        joined: all of them, one behind the other.
        starts: where each begins in it, `[n + 1]`; the last number is where the last one ends.
        places: which of them these are, in this order; None for all.
    """

    joined: str
    starts: Places
    places: Places | None = None

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Any strings.

        >>> list(Texts.of(["C1", "", "C22"]))
        ['C1', '', 'C22']
        """
        if isinstance(texts, Texts):
            return texts
        texts = list(texts)
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=starts[1:])
        return cls("".join(texts), starts)

    def take(self, places: Places) -> Texts:
        """Some of them."""
        return Texts(self.joined, self.starts, places if self.places is None else self.places[places])

    def order(self) -> Places:
        """The places of all of them, sorted by what they are."""
        texts = list(self)
        return np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)

    def among(self, others: Container[str]) -> Mask:
        """Which of them are among others, bool `[n]`."""
        return np.array([text in others for text in self], np.bool_)

    def __len__(self) -> int:
        return len(self.starts) - 1 if self.places is None else len(self.places)

    def __iter__(self) -> Iterator[str]:
        starts, ends = self.starts[:-1], self.starts[1:]
        if self.places is not None:
            starts, ends = starts[self.places], ends[self.places]
        joined = self.joined
        return (joined[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True))

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Texts: ...

    def __getitem__(self, place: int | slice) -> str | Texts:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        at = range(len(self))[place] if self.places is None else int(self.places[place])
        return self.joined[self.starts[at] : self.starts[at + 1]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equal to lists and tuples, which do not share a hash

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:3]))
        return f"<{len(self)} texts: {shown}{', …' if len(self) > 3 else ''}>"
