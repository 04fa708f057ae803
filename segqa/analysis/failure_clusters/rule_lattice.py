"""The lattice of rules: all conjunctions of up to three predicates with enough cases, and their failure counts.

The search follows SliceLine (Sagadeeva and Boehm, SIGMOD 2021): visit the lattice level by level, and prune by support
and by an upper bound of the score. The score is an exact p-value. One pass computes it for the observed outcomes and
for permutations of them, since a search finds something in any noise (Westfall and Young, 1993).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from segqa.analysis.failure_clusters.attribute_table import AttributeTable
from segqa.data.mask import Mask
from segqa.models.protocol import Floats
from segqa.stats.hypergeometric import Whole, compute_log_tail, find_fewest

Combination: TypeAlias = tuple[int, ...]
"""Attributes in ascending order; a rule adds a code for each."""

_CELLS = 65_536
"""Number of failures counted at a time: fits into the cache of a processor."""

_TABLE = 4_096
"""Maximum number of keys for a lookup table; more keys use binary search."""


@dataclass(frozen=True, slots=True, eq=False)
class FailureSamples:
    """The observed failures and random permutations of them.

    Attributes:
        cases: `[1 + permutations, failures]`; the first row has the observed cases, each other row a random draw.
        kind: `[failures]`, number of the failure kind, the same for all rows.
        totals: failures of each kind, then of all kinds together if there is more than one.
        population: total number of cases.
    """

    cases: NDArray[np.int64]
    kind: NDArray[np.int64]
    totals: tuple[int, ...]
    population: int

    @classmethod
    def draw(cls, kinds: Sequence[NDArray[np.int64]], population: int, permutations: int, seed: int) -> FailureSamples:
        """Draw permutations (fixed seed) of the failing cases of each kind."""
        random = np.random.default_rng(seed)
        as_it_was = np.concatenate(kinds)
        drawn = [random.choice(population, len(as_it_was), replace=False) for _ in range(permutations)]
        numbers = np.repeat(np.arange(len(kinds)), [len(cases) for cases in kinds])
        totals = [len(cases) for cases in kinds]
        whole = [sum(totals)] if len(kinds) > 1 else []
        return cls(np.stack([as_it_was, *drawn]), numbers, (*totals, *whole), population)


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that fails more often than expected of the best rule of its length.

    Attributes:
        row: 0 for the observed outcomes, else the number of the permutation.
        kind: number of the failure kind.
        rule: pairs of attribute and code.
        failing: number of failures in the rule.
        support: number of cases in the rule.
        log_p: logarithm of the p-value: as many failures or more by chance.
        log_q: logarithm of the p-value times the number of rules as short.
        rank: sort key; the lowest is reported first.
    """

    row: int
    kind: int
    rule: tuple[tuple[int, int], ...]
    failing: int
    support: int
    log_p: float = 0.0
    log_q: float = 0.0
    rank: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The rules of one combination of attributes that match enough cases.

    Attributes:
        sizes: number of codes of each attribute, including the code for no slice.
        keys: the codes of each rule as one number, ascending.
        supports: number of cases of each rule.
        is_minimal: whether each rule matches fewer cases than every rule with one predicate less.
        parents: for each attribute, the index of the rule without its predicate in the shorter combination.
        places: lookup table from key to index; None if it would be too large.
    """

    sizes: tuple[int, ...]
    keys: Whole
    supports: Whole
    is_minimal: Mask
    parents: tuple[Whole, ...]
    places: Whole | None

    def find(self, keys: Whole) -> Whole:
        """Return the indices of the rules with these keys; the number of rules for keys without a rule."""
        if self.places is not None:
            return self.places[keys]
        found = np.searchsorted(self.keys, keys)
        hit = self.keys[np.minimum(found, len(self.keys) - 1)] == keys
        return np.where(hit, found, len(self.keys))

    def decode_rule(self, combination: Combination, place: int) -> tuple[tuple[int, int], ...]:
        """Return a rule as pairs of attribute and code."""
        codes = np.unravel_index(self.keys[place], self.sizes)
        return tuple(zip(combination, map(int, codes), strict=True))


@dataclass(slots=True, eq=False)
class RuleLattice:
    """All rules of a table that match enough cases.

    Attributes:
        table: the attributes of the cases.
        min_cases: minimum number of cases of a rule.
        depth: maximum number of predicates of a rule.
        levels: the combinations of attributes that have a rule, the shortest first.
    """

    table: AttributeTable
    min_cases: int
    depth: int
    levels: dict[Combination, Level] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        attributes = range(len(self.table.predicates))
        lengths = range(1, self.depth + 1)
        for combination in chain.from_iterable(combinations(attributes, length) for length in lengths):
            parts = _list_parents(combination)
            if not all(part in self.levels for part in parts):
                continue
            level = self._build_level(combination, parts)
            if len(level.keys):
                self.levels[combination] = level

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of rules of each length."""
        found = [0] * self.depth
        for combination, level in self.levels.items():
            found[len(combination) - 1] += int(level.is_minimal.sum())
        return tuple(found)

    @property
    def log_weights(self) -> Floats:
        """For each length, the logarithm of the number of rules as short; this favours shorter rules."""
        weights: Floats = np.log(np.maximum(1, np.cumsum(self.sizes)))
        return weights

    def find_matches(self, failing: FailureSamples) -> list[RuleMatch]:
        """Return the rules of each row of `failing` whose p-value times the number of rules as short is at most 1."""
        need = self._compute_required(failing)
        rows = max(1, _CELLS // max(1, len(failing.kind)))
        found: list[RuleMatch] = []
        for start in range(0, len(failing.cases), rows):
            counter = _Counter(self.table, failing, start, start + rows)
            found += self._search_rows(counter, need)
        return self._score_matches(found, failing)

    def _build_level(self, combination: Combination, parts: list[Combination]) -> Level:
        """Build the rules of a combination."""
        sizes = tuple(len(self.table.predicates[attribute]) + 1 for attribute in combination)
        keys, supports = self._count_keys(combination, sizes)
        codes = np.unravel_index(keys, sizes)
        named = [code < size - 1 for code, size in zip(codes, sizes, strict=True)]
        kept = np.logical_and.reduce([*named, supports >= self.min_cases, supports < self.table.codes.shape[1]])
        keys, supports, codes = keys[kept], supports[kept], tuple(code[kept] for code in codes)
        own, parents = np.ones(len(keys), dtype=np.bool_), []
        for axis, part in enumerate(parts):
            others = [*range(axis), *range(axis + 1, len(sizes))]
            key = np.ravel_multi_index([codes[other] for other in others], [sizes[other] for other in others])
            parents.append(self.levels[part].find(key))
            # a predicate that excludes no case is redundant: only the shorter rule counts
            own &= supports < self.levels[part].supports[parents[-1]]
        return Level(sizes, keys, supports, own, tuple(parents), _build_place_table(keys, math.prod(sizes)))

    def _count_keys(self, combination: Combination, sizes: tuple[int, ...]) -> tuple[Whole, Whole]:
        """Count the keys; use a table, or sort if the table would be too large."""
        key = np.zeros(self.table.codes.shape[1], dtype=np.int64)
        for attribute, size in zip(combination, sizes, strict=True):
            key = key * size + self.table.codes[attribute]
        if math.prod(sizes) > _TABLE:
            return np.unique(key, return_counts=True)
        counts = np.bincount(key)
        keys = np.flatnonzero(counts)
        return keys, counts[keys]

    def _compute_required(self, failing: FailureSamples) -> list[list[Whole]]:
        """Compute the failures needed for a match, by length, kind and support."""
        most = self.table.codes.shape[1]
        needed = []
        for length, log_weight in enumerate(self.log_weights.tolist(), start=1):
            levels = [level for combination, level in self.levels.items() if len(combination) == length]
            supports = np.unique(np.concatenate([np.zeros(0, np.int64), *(level.supports for level in levels)]))
            by_kind = []
            for total in failing.totals:
                need = np.full(most + 1, most + 1, dtype=np.int64)
                need[supports] = find_fewest(supports, total, failing.population, -log_weight)
                by_kind.append(need)
            needed.append(by_kind)
        return needed

    def _search_rows(self, counter: _Counter, need: list[list[Whole]]) -> list[RuleMatch]:
        """Return the matches in some rows, without p-values."""
        found = []
        most: dict[Combination, Whole] = {}
        for combination, level in self.levels.items():
            wanted = np.stack([by_support[level.supports] for by_support in need[len(combination) - 1]])
            # a rule has no more failures than any of the rules with one predicate less
            bounds = [
                most[part][:, places]
                for part, places in zip(_list_parents(combination), level.parents, strict=True)
                if part in most
            ]
            if bounds and not (np.minimum.reduce(bounds) >= wanted).any():
                continue
            counts = counter.count(combination, level)
            if len(combination) < self.depth:
                most[combination] = counts.max(axis=0)
            for row, kind, place in np.argwhere((counts >= wanted) & level.is_minimal).tolist():
                rule = level.decode_rule(combination, place)
                failures, support = int(counts[row, kind, place]), int(level.supports[place])
                found.append(RuleMatch(counter.start + row, kind, rule, failures, support))
        return found

    def _score_matches(self, hits: list[RuleMatch], failing: FailureSamples) -> list[RuleMatch]:
        """Add the p-values to matches; sort by p-value, then by length."""
        scored: list[RuleMatch] = []
        logs = self.log_weights
        for kind, total in enumerate(failing.totals):
            of_kind = [hit for hit in hits if hit.kind == kind]
            f, s = (np.array([getattr(hit, name) for hit in of_kind], np.int64) for name in ("failing", "support"))
            for hit, log_p in zip(of_kind, compute_log_tail(f, s, total, failing.population).tolist(), strict=True):
                log_q = log_p + float(logs[len(hit.rule) - 1])
                scored.append(replace(hit, log_p=log_p, log_q=log_q, rank=log_q))
        return sorted(scored, key=lambda hit: (hit.log_q, len(hit.rule), hit.rule, hit.kind))


class _Counter:
    """Count the failures in every rule of a combination, for several rows at once."""

    def __init__(self, table: AttributeTable, failing: FailureSamples, start: int, stop: int) -> None:
        cases = failing.cases[start:stop]
        self.start = start
        self._codes = [column[cases].astype(np.int64) for column in table.codes]
        self._sizes = [len(predicates) + 1 for predicates in table.predicates]
        self._kinds = int(failing.kind.max(initial=0)) + 1
        self._rows = len(cases)
        self._cell = np.arange(self._rows)[:, None] * self._kinds + failing.kind
        self._first: tuple[Combination, NDArray[np.int64]] = ((), np.zeros_like(self._cell))

    def count(self, combination: Combination, level: Level) -> Whole:
        """Return the counts, `[rows, kinds, rules]`; the last kind is all kinds together if there are several."""
        *first, last = combination
        key = self._encode_prefix(tuple(first)) * self._sizes[last] + self._codes[last]
        width = len(level.keys) + 1
        shape = (self._rows, self._kinds, width)
        cells = self._cell * width + level.find(key)
        counts = np.bincount(cells.ravel(), minlength=math.prod(shape)).reshape(shape)[:, :, :-1]
        if self._kinds == 1:
            return counts
        return np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1)

    def _encode_prefix(self, combination: Combination) -> NDArray[np.int64]:
        """Encode all attributes but the last as one number; cache it for the next combination."""
        if self._first[0] != combination:
            key = np.zeros_like(self._cell)
            for attribute in combination:
                key = key * self._sizes[attribute] + self._codes[attribute]
            self._first = (combination, key)
        return self._first[1]


def _build_place_table(keys: Whole, cells: int) -> Whole | None:
    """Return a table from key to index (number of keys if absent); None if it would be too large."""
    if cells > _TABLE:
        return None
    places = np.full(cells, len(keys))
    places[keys] = np.arange(len(keys))
    return places


def _list_parents(combination: Combination) -> list[Combination]:
    """List the combinations with one attribute less; a single attribute has none."""
    if len(combination) == 1:
        return []
    return [combination[:axis] + combination[axis + 1 :] for axis in range(len(combination))]
