"""Encode the attributes of cases as integer codes for the search of failure clusters."""

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
from segqa.runs.slices import Edges, assign_slices, list_attributes


@dataclass(frozen=True, slots=True, eq=False)
class AttributeTable:
    """The slice of each case for each attribute.

    Attributes:
        predicates: for each attribute the predicates that can be part of a rule; the index is the code.
        codes: `[attributes, cases]` int16; for a case in no slice, the number of predicates.
        twins: for a predicate of the table, the other predicates that match the same cases.
    """

    predicates: tuple[tuple[Predicate, ...], ...]
    codes: NDArray[np.int16]
    twins: Mapping[Predicate, tuple[Predicate, ...]]

    @classmethod
    def from_cases(cls, cases: Iterable[Outcome], edges: Edges, *, min_cases: int) -> AttributeTable:
        """Make a table; slices with fewer than `min_cases` cases, and slices of all cases, are left out."""
        cases = Outcomes.from_outcomes(cases)
        seen: dict[bytes, Predicate] = {}
        twins: dict[Predicate, tuple[Predicate, ...]] = {}
        predicates, codes = [], []
        for attribute in list_attributes(cases):
            kept, column = _encode_values(assign_slices(cases, attribute, edges), min_cases)
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
        """Return the mask of the cases that match a rule (pairs of attribute and code), bool `[cases]`."""
        inside = np.ones(self.codes.shape[1], dtype=np.bool_)
        for attribute, code in rule:
            inside &= self.codes[attribute] == code
        return inside


def _encode_values(names: CategoricalColumn, min_cases: int) -> tuple[list[str], NDArray[np.int16]]:
    """Return the values that are slices, and the code of each case."""
    known = names.codes[names.codes >= 0]
    counts = dict(zip(names.values, np.bincount(known, minlength=len(names.values)).tolist(), strict=True))
    kept = sorted(value for value, times in counts.items() if value and min_cases <= times < len(names.codes))
    # int16 holds no more codes; the largest slices have the most power
    kept = sorted(sorted(kept, key=lambda value: -counts[value])[:10_000])
    place = {value: code for code, value in enumerate(kept)}
    to = [*(place.get(value, len(kept)) for value in names.values), len(kept)]
    return kept, np.array(to, dtype=np.int16)[names.codes]


def _renumber(column: NDArray[np.int16], kept: Sequence[int], none: int) -> NDArray[np.int16]:
    """Renumber the codes without those that were left out."""
    to = np.full(none + 1, len(kept), dtype=np.int16)
    to[list(kept)] = np.arange(len(kept))
    return to[column]
