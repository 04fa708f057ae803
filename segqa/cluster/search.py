"""The search for clusters: all rules of a run, judged against the same search in permuted outcomes, the best kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segqa.cluster.cluster import BELOW, Cluster, Clusters
from segqa.cluster.exact import log_tail
from segqa.cluster.gap import find_gap
from segqa.cluster.lattice import Failing, Hit, Lattice
from segqa.cluster.table import Table
from segqa.conditions import Every, Predicate
from segqa.errors import SettingsError
from segqa.failures import KINDS, kind_codes
from segqa.mask import Mask
from segqa.outcomes.outcomes import Outcomes
from segqa.proposals import Floats
from segqa.run import Run

ALPHA = 0.01
MIN_CASES = 8
DEPTH = 3
MIN_FAILING = 3
MIN_RATIO = 2.0
MOST_SEARCHED = 200_000
"""Of more cases a random sample is searched. What is told of a rule that was found there is counted in all cases."""

_PERMUTATIONS = 199
_FEWEST_PERMUTATIONS = 99
_WORK = 6_000_000_000
_COMBINATIONS = 100_000
_SEED = 20240101


def clusters(run: Run, *, alpha: float = ALPHA, min_cases: int = MIN_CASES, depth: int = DEPTH) -> Clusters:
    """The rules whose cases fail far more than the rest, and the gap above a spike at zero.

    Every conjunction of up to `depth` predicates (`camera=C2`, `brightness=dark`) that `min_cases` cases meet is
    tried, for each kind of failure and for all below the threshold. A rule is a cluster if three of its cases or more
    failed in that way, at twice the rest's rate (or half as many of its cases passed), and if that is significant:
    where there is nothing to find, as in permuted outcomes, a search finds a rule as rare with a probability of at most
    `alpha`. Of rules that share cases the rarest is kept; another one has to be significant without the cases of those
    before it, and each also without the cases that failed in another way.

    Args:
        run: at least two cases with a tag or property in which they differ, else nothing can be found.
        alpha: above 0, below 1.
        min_cases: of a rule, 2 or more.
        depth: predicates in a rule, at most: 1, 2 or 3.

    Raises:
        SettingsError: an argument is out of its range.
    """
    if not 0 < alpha < 1 or min_cases < 2 or depth not in (1, 2, 3):
        got = f"alpha={alpha}, min_cases={min_cases}, depth={depth}"
        raise SettingsError(f"clusters needs 0 < alpha < 1, min_cases of 2 or more and a depth of 1 to 3, got {got}")
    searched = _sample(run.columns)
    errors = np.flatnonzero(searched.failed)
    answered = searched.take(~searched.failed)
    by_kind = _by_kind(run, answered)
    codes = run.kind_codes
    # two searches have each half of what may go wrong
    level = alpha / 2 if len(errors) >= MIN_FAILING else alpha
    searches = [_Search.of(run, codes, answered, by_kind, level, min_cases, depth)]
    if len(errors) >= MIN_FAILING:
        searches.append(_Search.of(run, codes, searched, {"error": errors}, level, min_cases, depth))
    found = sorted((pair for search in searches for pair in search.found()), key=lambda pair: pair[0])
    first = searches[0]
    return Clusters(
        run,
        tuple(cluster for _, cluster in found),
        find_gap(run),
        first.lattice.sizes,
        first.permutations,
        alpha,
        len(searched),
    )


def _sample(outcomes: Outcomes) -> Outcomes:
    """The cases that are searched: all, or so many of them that the search takes seconds; the same each time."""
    if len(outcomes) <= MOST_SEARCHED:
        return outcomes
    chosen = np.random.default_rng(_SEED).choice(len(outcomes), MOST_SEARCHED, replace=False, shuffle=False)
    return outcomes.take(np.sort(chosen))


def _by_kind(run: Run, outcomes: Outcomes) -> dict[str, NDArray[np.int64]]:
    """The places of the failing cases, by the kinds that there are."""
    codes = kind_codes(outcomes, run.threshold)
    places = {kind: np.flatnonzero(codes == code) for code, kind in enumerate(KINDS)}
    return {kind: found for kind, found in places.items() if len(found)}


@dataclass(slots=True, eq=False)
class _Search:
    """One search: which cases, which of them failed, and what the lattice says; `codes` are the kinds of all cases."""

    run: Run
    codes: NDArray[np.int8]
    outcomes: Outcomes
    failed: Mapping[str, NDArray[np.int64]]
    alpha: float
    min_cases: int
    table: Table
    lattice: Lattice
    permutations: int

    @classmethod
    def of(
        cls,
        run: Run,
        codes: NDArray[np.int8],
        outcomes: Outcomes,
        failed: Mapping[str, NDArray[np.int64]],
        alpha: float,
        min_cases: int,
        depth: int,
    ) -> _Search:
        table = Table.of(outcomes, run.edges, min_cases=min_cases)
        width = len(table.predicates)
        while depth > 1 and math.comb(width, depth) > _COMBINATIONS:
            depth -= 1
        lattice = Lattice(table, min_cases, depth)
        permutations = _permutations(len(lattice.levels), sum(map(len, failed.values())))
        return cls(run, codes, outcomes, failed, alpha, min_cases, table, lattice, permutations)

    def found(self) -> list[tuple[float, Cluster]]:
        """The clusters, each with its `log_q`."""
        if sum(map(len, self.failed.values())) < MIN_FAILING or not self.lattice.levels:
            return []
        failing = Failing.of(list(self.failed.values()), len(self.outcomes), self.permutations, _SEED)
        hits = self.lattice.hits(failing)
        judge = _Judge.of(hits, self.permutations, self.lattice.sizes, len(failing.totals))
        names = [*self.failed, BELOW][: len(failing.totals)]
        masks = [self._mask(places) for places in self.failed.values()]
        any_kind = np.logical_or.reduce(masks)
        taken = np.zeros(len(self.outcomes), dtype=np.bool_)
        clusters: list[tuple[float, Cluster]] = []
        for number, kind in enumerate(names):
            mask = any_kind if kind == BELOW else masks[number]
            own = [hit for hit in hits if hit.row == 0 and hit.kind == number and not self._is_said(kind, hit)]
            # what is one kind's cluster is not told again as one of all kinds together
            left = ~taken if kind == BELOW else self._comparable(kind, mask, any_kind)
            kept = self._cover(own, mask, judge, left)
            clusters += [(hit.log_q, self._cluster(hit, kind, judge)) for hit in kept]
            for hit in kept:
                taken |= self.table.members(hit.rule)
        return clusters

    def _comparable(self, kind: str, failed: Mask, any_kind: Mask) -> Mask:
        """The cases among which a kind is rare or not: what failed in another way could not fail in this one."""
        empty: Mask = ~self.outcomes.failed & (self.outcomes.counts[:, [0, 2]].sum(axis=1) == 0)
        about = np.ones_like(empty) if kind == "error" else empty if kind == "hallucinated" else ~empty
        return about & (failed | ~any_kind)

    def _is_said(self, kind: str, hit: Hit) -> bool:
        """Whether a rule says no more than the kind does: what is missed has no proposals."""
        names = {self.table.predicates[attribute][code].name for attribute, code in hit.rule}
        return "proposals" in names and kind in {"missed", "hallucinated", "error"}

    def _cover(self, hits: Sequence[Hit], failed: Mask, judge: _Judge, left: Mask) -> list[Hit]:
        """The hits that are significant, each without the cases of those before it."""
        kept = []
        for hit in hits:
            if judge.corrected(hit.log_q) > self.alpha:
                break
            inside = self.table.members(hit.rule)
            everywhere = np.ones_like(left)
            if self._stands(hit, inside, failed, left, judge) and _is_far_more(inside, failed, everywhere):
                kept.append(hit)
                left = left & ~inside
        return kept

    def _stands(self, hit: Hit, inside: Mask, failed: Mask, left: Mask, judge: _Judge) -> bool:
        """Whether a rule is a cluster among the cases that are left."""
        failing, support = int((inside & left & failed).sum()), int((inside & left).sum())
        if failing < MIN_FAILING or support < self.min_cases or not _is_far_more(inside, failed, left):
            return False
        counts = int((left & failed).sum()), int(left.sum())
        log_p = float(log_tail(np.array([failing]), np.array([support]), *counts)[0])
        return judge.corrected(log_p + hit.log_q - hit.log_p) <= self.alpha

    def _cluster(self, hit: Hit, kind: str, judge: _Judge) -> Cluster:
        rule = tuple(self.table.predicates[attribute][code] for attribute, code in hit.rule)
        part = self.run.where(str(Every(rule)))
        inside = self.codes[part.columns.within(self.run.columns)]
        failing = part.columns.take(_failed_so(inside, kind))
        support = int(_counts_for(inside, kind).sum())
        return Cluster(
            kind=kind,
            rule=rule,
            part=part,
            failing=part.only(failing, part.part).worst(len(failing)),
            support=support,
            rest_failing=int(_failed_so(self.codes, kind).sum()) - len(failing),
            rest=int(_counts_for(self.codes, kind).sum()) - support,
            p=math.exp(hit.log_p),
            corrected=judge.corrected(hit.log_q),
            twins=self._twins(rule),
        )

    def _twins(self, rule: Sequence[Predicate]) -> tuple[Predicate, ...]:
        return tuple(twin for predicate in rule for twin in self.table.twins.get(predicate, ()))

    def _mask(self, places: NDArray[np.int64]) -> Mask:
        mask = np.zeros(len(self.outcomes), dtype=np.bool_)
        mask[places] = True
        return mask


def _failed_so(codes: NDArray[np.int8], kind: str) -> Mask:
    """Which cases failed in this way, by their kinds."""
    found: Mask = codes > _ERROR if kind == BELOW else codes == list(KINDS).index(kind)
    return found


def _counts_for(codes: NDArray[np.int8], kind: str) -> Mask:
    """Which cases are counted: an error is no answer, so it is left out of those that failed in another way."""
    return np.ones(len(codes), np.bool_) if kind == "error" else codes != _ERROR


_ERROR = list(KINDS).index("error")


def _permutations(combinations: int, failures: int) -> int:
    """How many permutations are searched as well: fewer where each takes long."""
    return min(_PERMUTATIONS, max(_FEWEST_PERMUTATIONS, _WORK // max(1, combinations * failures)))


def _is_far_more(inside: Mask, failed: Mask, among: Mask) -> bool:
    """Whether twice as many fail in a rule as outside it, or half as many pass: 60 % cannot be doubled."""
    rate, rest = (float(failed[part].mean()) if part.any() else 0.0 for part in (inside & among, ~inside & among))
    return rate >= MIN_RATIO * rest or MIN_RATIO * (1 - rate) <= 1 - rest


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """Knows the best rule of each permutation, so how rare a rule has to be.

    Attributes:
        best: of each permutation, the lowest `log_q` of a hit; infinite where there was none.
        bound: `log_q` plus this is the logarithm of a p-value corrected by Bonferroni.
    """

    best: Floats
    bound: float

    @classmethod
    def of(cls, hits: Sequence[Hit], permutations: int, sizes: Sequence[int], kinds: int) -> _Judge:
        best = np.full(permutations + 1, np.inf)
        for hit in hits:
            best[hit.row] = min(best[hit.row], hit.log_q)
        return cls(best[1:], math.log(sum(size > 0 for size in sizes) * kinds))

    def corrected(self, log_q: float) -> float:
        """The p-value corrected for all that was searched.

        The share of searches with a better best rule, counting this one; or Bonferroni's, which is never too small and
        goes below what a few hundred permutations can show.
        """
        by_permutation = (1 + int((self.best <= log_q).sum())) / (1 + len(self.best))
        return min(by_permutation, math.exp(min(0.0, log_q + self.bound)))
