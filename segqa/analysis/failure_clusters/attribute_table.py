"""A table of cases by attributes, as small numbers: what the search for clusters goes through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.data.string_columns import CategoricalColumn
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import Predicate
from segqa.runs.slices import Edges, attributes_of, slices_by


@dataclass(frozen=True, slots=True, eq=False)
class AttributeTable:
    """Which slice of each attribute each case is in.

    Attributes:
        predicates: for each attribute those that can be part of a rule; the place is the code.
        codes: `[attributes, cases]` int16; a case in none of them has the number of predicates.
        twins: predicates that mean the same cases as one in the table, by that one.
    """

    predicates: tuple[tuple[Predicate, ...], ...]
    codes: NDArray[np.int16]
    twins: Mapping[Predicate, tuple[Predicate, ...]]

    @classmethod
    def from_cases(cls, cases: Iterable[Outcome], edges: Edges, *, min_cases: int) -> AttributeTable:
        """The table of some cases; only slices of `min_cases` and more, but not of all cases, can be part of a rule."""
        cases = Outcomes.of(cases)
        seen: dict[bytes, Predicate] = {}
        twins: dict[Predicate, tuple[Predicate, ...]] = {}
        predicates, codes = [], []
        for attribute in attributes_of(cases):
            kept, column = _encode_values(slices_by(cases, attribute, edges), min_cases)
            new = []
            for code, value in enumerate(kept):
                predicate = Predicate(attribute, "=", value)
                first = seen.setdefault(np.packbits(column == code).tobytes(), predicate)
                if first is predicate:
                    new.append(code)
                else:
                    twins[first] = (*twins.get(first, ()), predicate)
            if new:
                predicates.append(tuple(Predicate(attribute, "=", kept[code]) for code in new))
                codes.append(_renumber(column, new, len(kept)))
        stacked = np.array(codes, dtype=np.int16).reshape(len(codes), len(cases))
        return cls(tuple(predicates), stacked, twins)

    def find_members(self, rule: Sequence[tuple[int, int]]) -> Mask:
        """Which cases a rule means, bool `[cases]`; the rule as pairs of attribute and code."""
        inside = np.ones(self.codes.shape[1], dtype=np.bool_)
        for attribute, code in rule:
            inside &= self.codes[attribute] == code
        return inside


def _encode_values(names: CategoricalColumn, min_cases: int) -> tuple[list[str], NDArray[np.int16]]:
    """The values that are slices, and each case's place among them."""
    known = names.codes[names.codes >= 0]
    counts = dict(zip(names.values, np.bincount(known, minlength=len(names.values)).tolist(), strict=True))
    kept = sorted(value for value, times in counts.items() if value and min_cases <= times < len(names.codes))
    # more would not fit into the small numbers; the largest are the ones that a rule can say something about
    kept = sorted(sorted(kept, key=lambda value: -counts[value])[:10_000])
    place = {value: code for code, value in enumerate(kept)}
    to = [*(place.get(value, len(kept)) for value in names.values), len(kept)]
    return kept, np.array(to, dtype=np.int16)[names.codes]


def _renumber(column: NDArray[np.int16], kept: Sequence[int], none: int) -> NDArray[np.int16]:
    """The codes counted anew where some were left out."""
    to = np.full(none + 1, len(kept), dtype=np.int16)
    to[list(kept)] = np.arange(len(kept))
    return to[column]
