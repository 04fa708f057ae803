"""Names are a column of texts of which many are the same: the different ones, and a number a case."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segqa.mask import Mask
from segqa.texts import Places

_AT_A_TIME = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """A column of names of which many are the same.

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
        parts = (self.codes[start : start + _AT_A_TIME] for start in range(0, len(self.codes), _AT_A_TIME))
        return (values[code] for part in parts for code in part.tolist())

    def take(self, places: Places) -> Names:
        """Those of some cases."""
        return Names(self.values, self.codes[places])

    def mask(self, name: str) -> Mask:
        """Which cases have this name."""
        found: Mask = self.codes == (self.values.index(name) if name in self.values else -2)
        return found

    def renamed(self, new: Callable[[str], str]) -> Names:
        """The column with other names, of which several may become one."""
        names = [new(value) for value in self.values]
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        codes = np.array([*(places[name] for name in names), -1], np.int32)
        return Names(tuple(places), codes[self.codes])

    def or_else(self, other: Names) -> Names:
        """The column, with the names of another one where it has none."""
        behind = np.where(other.codes < 0, -1, other.codes.astype(np.int32) + len(self.values))
        return Names((*self.values, *other.values), np.where(self.codes < 0, behind, self.codes)).renamed(str)

    @property
    def used(self) -> list[tuple[int, str]]:
        """The names that a case has, each with its code, in the order of the alphabet."""
        there = np.flatnonzero(np.bincount(self.codes[self.codes >= 0]))
        return sorted(((code, self.values[code]) for code in there.tolist()), key=lambda pair: pair[1])


class Naming:
    """Names as they come, one by one, of cases in their order."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes = array("i")

    def put(self, place: int, name: str) -> None:
        """The name of a case; those before it without one have none."""
        self._codes.extend([-1] * (place - len(self._codes)))
        self._codes.append(self._known.setdefault(name, len(self._known)))

    def names(self, cases: int) -> Names:
        """The column for so many cases."""
        self._codes.extend([-1] * (cases - len(self._codes)))
        return Names(tuple(self._known), np.array(self._codes))
