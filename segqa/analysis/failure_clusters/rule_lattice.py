"""The lattice of rules: every conjunction of up to three predicates that enough cases meet, and how often it fails.

The idea of the search is SliceLine's (Sagadeeva and Boehm, SIGMOD 2021): go through the lattice level by level, prune
by support and by an upper bound of the score. The score is an exact p-value. It is computed for the outcomes as they
are and, in one pass, for permutations of them: a search finds something in every noise (Westfall and Young, 1993).
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
from segqa.stats.hypergeometric import Whole, fewest, log_tail

Combination: TypeAlias = tuple[int, ...]
"""Attributes, rising; with a code for each it is a rule."""

_CELLS = 65_536
"""Failures counted at a time: what fits into a processor's cache."""

_TABLE = 4_096
"""Up to so many keys a combination is looked up in a table, else by searching."""


@dataclass(frozen=True, slots=True, eq=False)
class FailureSamples:
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
    def draw(cls, kinds: Sequence[NDArray[np.int64]], population: int, permutations: int, seed: int) -> FailureSamples:
        """From the cases of each kind; the permutations are the same each time."""
        random = np.random.default_rng(seed)
        as_it_was = np.concatenate(kinds)
        drawn = [random.choice(population, len(as_it_was), replace=False) for _ in range(permutations)]
        numbers = np.repeat(np.arange(len(kinds)), [len(cases) for cases in kinds])
        totals = [len(cases) for cases in kinds]
        whole = [sum(totals)] if len(kinds) > 1 else []
        return cls(np.stack([as_it_was, *drawn]), numbers, (*totals, *whole), population)


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that fails more often than one would expect of the best of its length.

    Attributes:
        row: 0 for the outcomes as they were, else the permutation.
        kind: the number of the kind.
        rule: pairs of attribute and code.
        failing: failures in it.
        support: cases in it.
        log_p: of that many failures or more, by chance.
        log_q: the same, times the number of rules that are as short.
        rank: the lower, the earlier it is told.
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
    """The rules of one combination of attributes that enough cases meet.

    Attributes:
        sizes: for each attribute how many codes it has, the one for none of its slices included.
        keys: each rule's codes as one number, rising.
        supports: how many cases meet each.
        own: whether each means fewer cases than every rule with one predicate less.
        parents: for each attribute, where the rule without its predicate is in its own combination.
        places: for each key where its rule is; None where that would be too large, and is searched for.
    """

    sizes: tuple[int, ...]
    keys: Whole
    supports: Whole
    is_minimal: Mask
    parents: tuple[Whole, ...]
    places: Whole | None

    def find(self, keys: Whole) -> Whole:
        """Where the rules with these keys are; one past the last where there is none."""
        if self.places is not None:
            return self.places[keys]
        found = np.searchsorted(self.keys, keys)
        hit = self.keys[np.minimum(found, len(self.keys) - 1)] == keys
        return np.where(hit, found, len(self.keys))

    def decode_rule(self, combination: Combination, place: int) -> tuple[tuple[int, int], ...]:
        """A rule as pairs of attribute and code."""
        codes = np.unravel_index(self.keys[place], self.sizes)
        return tuple(zip(combination, map(int, codes), strict=True))


@dataclass(slots=True, eq=False)
class RuleLattice:
    """All rules of a table that enough cases meet.

    Attributes:
        table: the cases.
        min_cases: of a rule.
        depth: predicates in a rule, at most.
        levels: the combinations of attributes that have a rule, the short ones first.
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
        """For each length the logarithm of how many rules are as short: of rules alike, the shorter counts more."""
        weights: Floats = np.log(np.maximum(1, np.cumsum(self.sizes)))
        return weights

    def find_matches(self, failing: FailureSamples) -> list[RuleMatch]:
        """The rules, for each row of `failing`, whose p-value times the number of rules as short is at most 1."""
        need = self._compute_required(failing)
        rows = max(1, _CELLS // max(1, len(failing.kind)))
        found: list[RuleMatch] = []
        for start in range(0, len(failing.cases), rows):
            counter = _Counter(self.table, failing, start, start + rows)
            found += self._search_rows(counter, need)
        return self._score_matches(found, failing)

    def _build_level(self, combination: Combination, parts: list[Combination]) -> Level:
        """The rules of a combination."""
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
            # a predicate that no case of a rule fails to meet says nothing: the shorter rule stands for both
            own &= supports < self.levels[part].supports[parents[-1]]
        return Level(sizes, keys, supports, own, tuple(parents), _build_place_table(keys, math.prod(sizes)))

    def _count_keys(self, combination: Combination, sizes: tuple[int, ...]) -> tuple[Whole, Whole]:
        """The keys that occur and how often; by a table, or by sorting where that would be too large."""
        key = np.zeros(self.table.codes.shape[1], dtype=np.int64)
        for attribute, size in zip(combination, sizes, strict=True):
            key = key * size + self.table.codes[attribute]
        if math.prod(sizes) > _TABLE:
            return np.unique(key, return_counts=True)
        counts = np.bincount(key)
        keys = np.flatnonzero(counts)
        return keys, counts[keys]

    def _compute_required(self, failing: FailureSamples) -> list[list[Whole]]:
        """By length and kind, for each support: the failures from which a rule is a hit."""
        most = self.table.codes.shape[1]
        needed = []
        for length, log_weight in enumerate(self.log_weights.tolist(), start=1):
            levels = [level for combination, level in self.levels.items() if len(combination) == length]
            supports = np.unique(np.concatenate([np.zeros(0, np.int64), *(level.supports for level in levels)]))
            by_kind = []
            for total in failing.totals:
                need = np.full(most + 1, most + 1, dtype=np.int64)
                need[supports] = fewest(supports, total, failing.population, -log_weight)
                by_kind.append(need)
            needed.append(by_kind)
        return needed

    def _search_rows(self, counter: _Counter, need: list[list[Whole]]) -> list[RuleMatch]:
        """The hits among some rows, not yet scored."""
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
        """The hits with their p-values, the rarest first; of equal ones the shortest."""
        scored: list[RuleMatch] = []
        logs = self.log_weights
        for kind, total in enumerate(failing.totals):
            of_kind = [hit for hit in hits if hit.kind == kind]
            f, s = (np.array([getattr(hit, name) for hit in of_kind], np.int64) for name in ("failing", "support"))
            for hit, log_p in zip(of_kind, log_tail(f, s, total, failing.population).tolist(), strict=True):
                log_q = log_p + float(logs[len(hit.rule) - 1])
                scored.append(replace(hit, log_p=log_p, log_q=log_q, rank=log_q))
        return sorted(scored, key=lambda hit: (hit.log_q, len(hit.rule), hit.rule, hit.kind))


class _Counter:
    """Counts the failures in every rule of a combination, for some rows at once."""

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
        """`[rows, kinds, rules]`; the last kind is all together if there are several."""
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
        """The codes of all attributes but the last as one number; kept for the next combination."""
        if self._first[0] != combination:
            key = np.zeros_like(self._cell)
            for attribute in combination:
                key = key * self._sizes[attribute] + self._codes[attribute]
            self._first = (combination, key)
        return self._first[1]


def _build_place_table(keys: Whole, cells: int) -> Whole | None:
    """For each possible key where it is among these, one past the last where it is not; None for too many."""
    if cells > _TABLE:
        return None
    places = np.full(cells, len(keys))
    places[keys] = np.arange(len(keys))
    return places


def _list_parents(combination: Combination) -> list[Combination]:
    """The combinations with one attribute less; none of a single one."""
    if len(combination) == 1:
        return []
    return [combination[:axis] + combination[axis + 1 :] for axis in range(len(combination))]
