"""The lattice of rules: every conjunction of up to three predicates that enough cases meet, and how often it fails.

The idea of the search is SliceLine's (Sagadeeva and Boehm, SIGMOD 2021): go through the lattice level by level, prune
by support and by an upper bound of the score. The score is an exact p-value. It is computed for the outcomes as they
are and, in one pass, for permutations of them: a search finds something in every noise (Westfall and Young, 1993).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from segqa.cluster.exact import Whole, fewest, log_tail
from segqa.cluster.table import Table
from segqa.mask import Mask
from segqa.proposals import Floats

Combination: TypeAlias = tuple[int, ...]
"""Attributes, rising; with a code for each it is a rule."""

_CELLS = 65_536
"""Failures counted at a time: what fits into a processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Failing:
    """Which cases failed in which way, and the same at random.

    Attributes:
        cases: `[1 + permutations, failures]`; the first row as it was, each other one a random draw of cases.
        kind: `[failures]`, the kind's number, equal for all rows.
        totals: failures of each kind, then of all together if there is more than one kind.
        population: of how many cases they are.
    """

    cases: NDArray[np.int64]
    kind: NDArray[np.int64]
    totals: tuple[int, ...]
    population: int

    @classmethod
    def of(cls, kinds: Sequence[NDArray[np.int64]], population: int, permutations: int, seed: int) -> Failing:
        """From the cases of each kind; the permutations are the same each time."""
        random = np.random.default_rng(seed)
        as_it_was = np.concatenate(kinds)
        drawn = [random.choice(population, len(as_it_was), replace=False) for _ in range(permutations)]
        numbers = np.repeat(np.arange(len(kinds)), [len(cases) for cases in kinds])
        totals = [len(cases) for cases in kinds]
        whole = [sum(totals)] if len(kinds) > 1 else []
        return cls(np.stack([as_it_was, *drawn]), numbers, (*totals, *whole), population)


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that fails more often than one would expect of the best of its length.

    Attributes:
        row: 0 for the outcomes as they were, else the permutation.
        kind: the number of the kind.
        rule: pairs of attribute and code.
        failing: failures in it.
        support: cases in it.
        log_p: of that many failures or more, by chance.
        log_q: the same, times the number of rules that are as short.
    """

    row: int
    kind: int
    rule: tuple[tuple[int, int], ...]
    failing: int
    support: int
    log_p: float
    log_q: float


@dataclass(slots=True, eq=False)
class Lattice:
    """All rules of a table that enough cases meet.

    Attributes:
        table: the cases.
        min_cases: of a rule.
        depth: predicates in a rule, at most.
        supports: for each combination of attributes, how many cases meet each rule; 0 where it is no rule of its own.
    """

    table: Table
    min_cases: int
    depth: int
    supports: dict[Combination, Whole] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        met: dict[Combination, Whole] = {}
        for combination in self._combinations():
            parts = [met[part] for part in combinations(combination, len(combination) - 1) if part]
            if not all(part.any() for part in parts):
                continue
            counts = self._support(combination)
            enough = np.where((counts >= self.min_cases) & (counts < self.table.codes.shape[1]), counts, 0)
            # a predicate that no case of a rule fails to meet says nothing: the shorter rule stands for both
            own = enough * _differs(enough, combination, met)
            met[combination] = enough
            if own.any():
                self.supports[combination] = own

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of rules on each level."""
        found = [0] * self.depth
        for combination, supports in self.supports.items():
            found[len(combination) - 1] += int((supports > 0).sum())
        return tuple(found)

    @property
    def log_weights(self) -> Floats:
        """For each level the logarithm of how many rules are as short: of rules alike, the shorter counts more."""
        weights: Floats = np.log(np.maximum(1, np.cumsum(self.sizes)))
        return weights

    def hits(self, failing: Failing) -> list[Hit]:
        """The rules, for each row of `failing`, whose p-value times the number of rules as short is at most 1."""
        need = self._need(failing)
        rows = max(1, _CELLS // max(1, len(failing.kind)))
        found: list[Hit] = []
        for start in range(0, len(failing.cases), rows):
            counter = _Counter(self.table, failing, start, start + rows)
            found += self._hits(counter, need)
        return self._scored(found, failing)

    def _combinations(self) -> Iterator[Combination]:
        """Of one attribute, then of two, then of three."""
        for level in range(1, self.depth + 1):
            yield from combinations(range(len(self.table.predicates)), level)

    def _support(self, combination: Combination) -> Whole:
        """How many cases meet each rule of a combination, an axis an attribute."""
        shape = [len(self.table.predicates[attribute]) + 1 for attribute in combination]
        code = np.zeros(self.table.codes.shape[1], dtype=np.int64)
        for attribute, size in zip(combination, shape, strict=True):
            code = code * size + self.table.codes[attribute]
        counts = np.bincount(code, minlength=int(np.prod(shape))).reshape(shape)
        return counts[tuple(slice(0, -1) for _ in shape)]

    def _need(self, failing: Failing) -> list[list[Whole]]:
        """By level and kind, for each support: the failures from which a rule is a hit."""
        most = self.table.codes.shape[1]
        needed = []
        for level, log_weight in enumerate(self.log_weights.tolist(), start=1):
            occurring = {int(s) for c, table in self.supports.items() if len(c) == level for s in np.unique(table)}
            supports = np.array(sorted(occurring - {0}), dtype=np.int64)
            by_kind = []
            for total in failing.totals:
                need = np.full(most + 1, most + 1, dtype=np.int64)
                if len(supports):
                    need[supports] = fewest(supports, total, failing.population, -log_weight)
                by_kind.append(need)
            needed.append(by_kind)
        return needed

    def _hits(self, counter: _Counter, need: list[list[Whole]]) -> list[Hit]:
        """The hits among some rows, not yet scored."""
        found = []
        bounds: dict[Combination, Whole] = {}
        for combination, supports in self.supports.items():
            wanted = np.stack([by_support[supports] for by_support in need[len(combination) - 1]])
            if len(combination) > 2 and not (_bound(combination, bounds, wanted.shape) >= wanted).any():
                continue
            counts = counter.count(combination)
            if len(combination) < self.depth:
                bounds[combination] = counts.max(axis=0)
            for row, kind, *codes in np.argwhere(counts >= wanted).tolist():
                rule = tuple(zip(combination, codes, strict=True))
                at = (row, kind, *codes)
                found.append(Hit(counter.start + row, kind, rule, int(counts[at]), int(supports[tuple(codes)]), 0, 0))
        return found

    def _scored(self, hits: list[Hit], failing: Failing) -> list[Hit]:
        """The hits with their p-values, the rarest first; of equal ones the shortest."""
        scored: list[Hit] = []
        logs = self.log_weights
        for kind, total in enumerate(failing.totals):
            of_kind = [hit for hit in hits if hit.kind == kind]
            f, s = (np.array([getattr(hit, name) for hit in of_kind], np.int64) for name in ("failing", "support"))
            for hit, log_p in zip(of_kind, log_tail(f, s, total, failing.population).tolist(), strict=True):
                log_q = log_p + float(logs[len(hit.rule) - 1])
                scored.append(Hit(hit.row, hit.kind, hit.rule, hit.failing, hit.support, log_p, log_q))
        return sorted(scored, key=lambda hit: (hit.log_q, len(hit.rule), hit.rule, hit.kind))


class _Counter:
    """Counts the failures in every rule of a combination, for some rows at once."""

    def __init__(self, table: Table, failing: Failing, start: int, stop: int) -> None:
        cases = failing.cases[start:stop]
        self.start = start
        self._sizes = [len(predicates) + 1 for predicates in table.predicates]
        self._codes = [column[cases] for column in table.codes]
        self._kinds = int(failing.kind.max(initial=0)) + 1
        self._rows = len(cases)
        self._cell = np.arange(self._rows)[:, None] * self._kinds + failing.kind
        self._pair: tuple[Combination, NDArray[np.int64]] = ((), self._cell)
        self._buffer = np.empty_like(self._cell)

    def count(self, combination: Combination) -> Whole:
        """`[rows, kinds, codes of the first attribute, …]`; the last kind is all together if there are several."""
        *first, last = combination
        code = self._prefix(tuple(first))
        np.multiply(code, self._sizes[last], out=self._buffer)
        self._buffer += self._codes[last]
        shape = (self._rows, self._kinds, *(self._sizes[attribute] for attribute in combination))
        counts = np.bincount(self._buffer.ravel(), minlength=int(np.prod(shape))).reshape(shape)
        counts = counts[(slice(None), slice(None), *(slice(0, -1) for _ in combination))]
        if self._kinds == 1:
            return counts
        return np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1)

    def _prefix(self, combination: Combination) -> NDArray[np.int64]:
        """The cell and the codes of all attributes but the last, as one number; kept for the next combination."""
        if self._pair[0] != combination:
            code = self._cell
            for attribute in combination:
                code = code * self._sizes[attribute] + self._codes[attribute]
            self._pair = (combination, code)
        return self._pair[1]


def _differs(enough: Whole, combination: Combination, met: Mapping[Combination, Whole]) -> Mask:
    """Where a rule means fewer cases than each of the rules with one predicate less."""
    own = np.ones(enough.shape, dtype=np.bool_)
    for axis in range(len(combination)):
        part = combination[:axis] + combination[axis + 1 :]
        if part:
            own &= enough < np.expand_dims(met[part], axis)
    return own


def _bound(combination: Combination, bounds: Mapping[Combination, Whole], shape: tuple[int, ...]) -> Floats | Whole:
    """The failures that a rule can have at most: no more than any of the rules with one predicate less."""
    most = np.full(shape, np.iinfo(np.int64).max)
    for axis in range(len(combination)):
        part = combination[:axis] + combination[axis + 1 :]
        if part in bounds:
            most = np.minimum(most, np.expand_dims(bounds[part], axis + 1))
    return most
