"""Rows: what many columns are, seen one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T_co = TypeVar("T_co", covariant=True)


class Rows(Sequence[T_co]):
    """A sequence that is equal to any other one with the same members in the same order, a list or tuple, say."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equal to lists and tuples, which do not share a hash
