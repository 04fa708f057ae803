"""Test the significance of rules for grouped cases, such as the frames of a video: only groups are independent.

The statistic of a rule is the number of failures beyond the expected number, T = Σ (failed − p) · inside, where p is
the failure rate of all cases. With N cases and F failures in a group, of which the shares M and X match the rule, it is

    T  =  Σ (F − pN) · M  +  Σ F · (X − M),        each summed over the groups.

The first part compares groups: do groups with more matching cases fail more? Its null distribution permutes M over the
groups; sizes and failures stay. The second part compares cases within groups: its null distribution gives the term of
each group a random sign. A tag that is constant in every group has only the first part, a tag with the same share in
every group only the second, and a rule that mixes tags has both. All rules and kinds share permutations and signs.

T is divided by its standard deviation under the null hypothesis and corrected for its skewness, so that a rule of three
groups and a rule of thirty are comparable. `docs/decisions/clusters.md` reports level and power.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from segqa.analysis.failure_clusters.rule_lattice import Combination, Level, RuleLattice, RuleMatch
from segqa.analysis.failure_clusters.significance import SEED, SearchCorrection
from segqa.data.mask import Mask
from segqa.models.protocol import Floats
from segqa.stats.hypergeometric import Whole, compute_log_tail

MIN_GROUPS = 3
"""Minimum number of groups with failures of a cluster: two failing videos are only two failures."""

MOST_GROUPS = 500
"""Maximum number of groups; more are merged, so that there is time for all permutations."""

MOST_PERMUTATIONS = 999
"""Maximum number of permutations; no p-value is below 0.001."""

_FEWEST_PERMUTATIONS = 199
_WORK = 3_000_000_000
_DIGITS = 9
_CHUNK_SIZE = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The statistics of rules and the moments of their null distributions.

    Attributes:
        excess: failures beyond the expected number, `[rules]`.
        between: failures of each group beyond the expected number, `[groups]`.
        shares: share of each group that matches, `[rules, groups]`.
        within: second part of the statistic for each group, `[rules, groups]`.
        deviation: standard deviation, `[rules]`.
        skewness: skewness, `[rules]`.
    """

    excess: Floats
    between: Floats
    shares: Floats
    within: Floats
    deviation: Floats
    skewness: Floats

    @classmethod
    def from_counts(cls, sizes: Floats, failing: Floats, support: Floats, inside: Floats) -> Moments:
        """Compute the moments of at least three groups, none of them empty.

        Args:
            sizes: cases in each group, `[groups]`.
            failing: failures in each group, `[groups]`.
            support: cases of each group in each rule, `[rules, groups]`.
            inside: failures of each group in each rule, `[rules, groups]`.
        """
        groups = len(sizes)
        between = failing - failing.sum() / sizes.sum() * sizes
        shares = support / sizes
        within = inside - failing * shares
        centred = shares - shares.mean(axis=1, keepdims=True)
        variance = (between**2).sum() * (centred**2).sum(axis=1) / (groups - 1) + (within**2).sum(axis=1)
        # random signs have no third moment; this is the third moment of a sum over a random permutation
        third = groups / ((groups - 1) * (groups - 2)) * (between**3).sum() * (centred**3).sum(axis=1)
        deviation = np.sqrt(variance)
        cube = np.where(deviation > 0, deviation**3, 1)
        excess = shares @ between + within.sum(axis=1)
        return cls(excess, between, shares, within, deviation, third / cube)

    @property
    def scores(self) -> Floats:
        """The statistics on the scale of a standard normal distribution, `[rules]`."""
        return self._to_normal(self.excess)

    def sample_null(self, orders: NDArray[np.int64], signs: Floats) -> Floats:
        """Return the scores under the null hypothesis, `[draws, rules]`.

        Args:
            orders: permutations of the groups, `[draws, groups]`.
            signs: 1 or -1, `[draws, groups]`.
        """
        return self._to_normal(self.between[orders] @ self.shares.T + signs @ self.within.T)

    def _to_normal(self, excess: Floats) -> Floats:
        """Transform statistics as if they had a gamma distribution (Wilson and Hilferty, 1931)."""
        known = self.deviation > 1e-9
        z = excess / np.where(known, self.deviation, 1)
        # a lower bound: the tail of a distribution skewed to the left is shorter than a normal one
        skewness = np.maximum(self.skewness, 1e-6)
        normal = 6 / skewness * (np.cbrt(np.maximum(1 + skewness * z / 2, 0)) - 1) + skewness / 6
        # round, so that values that differ only by the order of summation count as equal
        found: Floats = np.round(np.where(known, normal, -np.inf), decimals=_DIGITS).astype(np.float64, copy=False)
        return found


class GroupTest:
    """A test whose permutations keep groups together."""

    def __init__(
        self, lattice: RuleLattice, failed: Sequence[NDArray[np.int64]], groups: NDArray[np.int64], level: float
    ) -> None:
        """Prepare the test.

        Args:
            lattice: the rules.
            failed: indices of the failing cases of each kind.
            groups: group number of each case, `[cases]`, from 0 without gaps; at least three groups.
            level: significance level; the number of permutations is large enough to reach it.
        """
        self._lattice, self._groups, self._whole = lattice, groups, int(groups.max()) + 1
        self._weights = lattice.log_weights
        self._merged = groups % MOST_GROUPS
        self._failed = [*failed, np.concatenate(failed)] if len(failed) > 1 else list(failed)
        self._count = min(self._whole, MOST_GROUPS)
        work = max(1, sum(lattice.sizes) * len(self._failed) * (self._count + 50))
        fewest = max(_FEWEST_PERMUTATIONS, math.ceil(2 / level))
        self.permutations = min(MOST_PERMUTATIONS, max(fewest, _WORK // work))

    def search(self) -> tuple[list[RuleMatch], SearchCorrection]:
        """Search the outcomes and their permutations; rank the matches by Fisher's exact test."""
        random = np.random.default_rng(SEED)
        orders = random.permuted(np.tile(np.arange(self._count), (self.permutations, 1)), axis=1)
        signs = random.choice([-1.0, 1.0], size=orders.shape)
        best = np.full((self.permutations, self._lattice.depth), -np.inf)
        sizes = self._count_by_group(np.arange(len(self._merged)))
        failing = [self._count_by_group(places) for places in self._failed]
        hits: list[RuleMatch] = []
        for combination, level in self._lattice.levels.items():
            support, inside = self._count_by_rule(combination, level)
            kept = np.flatnonzero(level.is_minimal & ((support > 0).sum(axis=1) >= MIN_GROUPS))
            length = len(combination) - 1
            for start, (kind, failures) in product(range(0, len(kept), _CHUNK_SIZE), enumerate(failing)):
                some = kept[start : start + _CHUNK_SIZE]
                moments = Moments.from_counts(sizes, failures, support[some], inside[kind][some])
                best[:, length] = np.maximum(best[:, length], moments.sample_null(orders, signs).max(axis=1))
                counts = np.stack([inside[kind][some].sum(axis=1), support[some].sum(axis=1)]).astype(np.int64)
                rules = [level.decode_rule(combination, place) for place in some.tolist()]
                hits += self._select_matches(kind, rules, counts, log_ndtr(-moments.scores))
        log_q = (log_ndtr(-best) + self._weights).min(axis=1)
        ordered = sorted(hits, key=lambda hit: (hit.rank, len(hit.rule), hit.rule, hit.kind))
        return ordered, SearchCorrection(log_q, math.inf, 0.5**self._whole)

    def compute_log_p(self, inside: Mask, failed: Mask, among: Mask) -> float:
        """Test one rule among some of the cases; return infinity if its failures lie in too few groups."""
        counts = [
            np.bincount(self._groups[chosen & among], minlength=self._whole).astype(np.float64)
            for chosen in (among, failed, inside, inside & failed)
        ]
        sizes, failing, support, both = (each[counts[0] > 0] for each in counts)
        if np.count_nonzero(both) < MIN_GROUPS:
            return math.inf
        moments = Moments.from_counts(sizes, failing, support[None], both[None])
        return float(log_ndtr(-moments.scores)[0])

    def _count_by_group(self, places: NDArray[np.int64]) -> Floats:
        """Count cases by group, `[groups]`."""
        return np.bincount(self._merged[places], minlength=self._count).astype(np.float64)

    def _count_by_rule(self, combination: Combination, level: Level) -> tuple[Floats, list[Floats]]:
        """Count the cases, and the failures of each kind, of each rule in each group: `[rules, groups]` each."""
        key = np.zeros(len(self._merged), dtype=np.int64)
        for attribute, size in zip(combination, level.sizes, strict=True):
            key = key * size + self._lattice.table.codes[attribute]
        cell = level.find(key) * self._count + self._merged
        shape = len(level.keys) + 1, self._count
        support, *inside = (
            np.bincount(cells, minlength=math.prod(shape)).reshape(shape)[:-1].astype(np.float64)
            for cells in (cell, *(cell[places] for places in self._failed))
        )
        return support, inside

    def _select_matches(
        self, kind: int, rules: Sequence[tuple[tuple[int, int], ...]], counts: Whole, log_p: Floats
    ) -> list[RuleMatch]:
        """Return the rules of one length whose p-value times the number of rules as short is at most 1.

        Failures in every group prove a rule, but do not tell which of several rules fits best: half of its cases would
        prove as much. So matches are ranked as if cases were independent.

        Args:
            kind: number of the failure kind.
            rules: the rules.
            counts: failures and cases of each rule, `[2, rules]`.
            log_p: logarithms of the p-values, `[rules]`.
        """
        weight = float(self._weights[len(rules[0]) - 1])
        chosen = np.flatnonzero(log_p + weight <= 0)
        failing, support = counts[:, chosen]
        ranks = (compute_log_tail(failing, support, len(self._failed[kind]), len(self._groups)) + weight).tolist()
        columns = zip(chosen.tolist(), failing.tolist(), support.tolist(), log_p[chosen].tolist(), ranks, strict=True)
        return [
            RuleMatch(0, kind, rules[at], failures, cases, p, p + weight, rank)
            for at, failures, cases, p, rank in columns
        ]
