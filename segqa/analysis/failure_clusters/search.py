"""Search a run for failure clusters, and compare with the same search in permuted outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segqa.analysis.failure_clusters.attribute_table import AttributeTable
from segqa.analysis.failure_clusters.clusters import BELOW, Cluster, Clusters
from segqa.analysis.failure_clusters.group_significance import MIN_GROUPS, MOST_PERMUTATIONS, GroupTest
from segqa.analysis.failure_clusters.rule_lattice import RuleLattice, RuleMatch
from segqa.analysis.failure_clusters.significance import SEED, IndependentTest, SearchCorrection, SignificanceTest
from segqa.analysis.iou_histogram_gap import find_gap
from segqa.data.mask import Mask
from segqa.errors import SettingsError
from segqa.runs.failure_kinds import KINDS
from segqa.runs.groups import number_groups, suggest_groups
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import And
from segqa.runs.run import Run

ALPHA = 0.01
MIN_CASES = 8
DEPTH = 3
MIN_FAILING = 3
MIN_RATIO = 2.0
MOST_SEARCHED = 200_000
"""Maximum number of cases to search; of more, a random sample. The numbers of a cluster always count all cases."""

_COMBINATIONS = 100_000


def find_clusters(
    run: Run, *, group_by: str = "", alpha: float = ALPHA, min_cases: int = MIN_CASES, depth: int = DEPTH
) -> Clusters:
    """Find the rules whose cases fail far more than the rest, and the gap above a spike at zero.

    The search tests every conjunction of up to `depth` predicates (`camera=C2`, `brightness=dark`) that matches at
    least `min_cases` cases, for each failure kind and for all kinds below the threshold together. A rule is a cluster
    if at least three of its cases failed in that way, at twice the rate of the rest (or with half its pass rate), and
    if this is significant: if there is nothing to find, as in permuted outcomes, the search finds a rule as rare with
    a probability of at most `alpha`. Of rules that share cases, the rarest is kept. Each cluster must be significant
    without the cases of earlier clusters and without cases that failed in another way; its numbers count only the
    remaining cases.

    With groups, the test permutes groups instead of cases, and the failures of a cluster must lie in at least three
    groups. The note names what too few groups cannot prove.

    Args:
        run: the run; without tags or properties in which cases differ, nothing can be found.
        group_by: a tag; cases with the same value depend on each other, such as the frames of a video.
        alpha: above 0, below 1.
        min_cases: minimum number of cases of a rule, 2 or more.
        depth: maximum number of predicates of a rule: 1, 2 or 3.

    Raises:
        SettingsError: an argument is out of range, or no case has the tag.
    """
    _check_arguments(alpha, min_cases, depth)
    groups = number_groups(run.columns, group_by) if len(run.outcomes) else None
    suggested = None if group_by else suggest_groups(run.columns)
    searched = _draw_sample(run.columns)
    places, errors = searched.find_places_in(run.columns), searched.failed
    split = int(errors.sum()) >= MIN_FAILING  # each of two searches gets half of alpha
    level = alpha / 2 if split else alpha
    searches = [_Search.prepare(run, searched.take(~errors), _BELOW, groups, level, min_cases, depth)]
    if split:
        searches.append(_Search.prepare(run, searched, ("error",), groups, level, min_cases, depth))
    found = sorted((pair for search in searches for pair in search.iter_clusters()), key=lambda pair: pair[0])
    return Clusters(
        run,
        tuple(replace(cluster, suggested=suggested) for _, cluster in found),
        find_gap(run),
        searches[0].lattice.sizes,
        searches[0].test.permutations if searches[0].test else 0,
        alpha,
        len(searched),
        suggested=suggested,
        groups=None if groups is None else int(groups.max()) + 1,
        provable=groups is None or _can_prove(groups, level),
        unprovable=() if groups is None else _find_unprovable(searched, groups[places], group_by, level),
    )


def _check_arguments(alpha: float, min_cases: int, depth: int) -> None:
    """Raise `SettingsError` for arguments out of range."""
    if not 0 < alpha < 1 or min_cases < 2 or depth not in (1, 2, 3):
        got = f"alpha={alpha}, min_cases={min_cases}, depth={depth}"
        raise SettingsError(f"clusters needs 0 < alpha < 1, min_cases of 2 or more and a depth of 1 to 3, got {got}")


def _draw_sample(outcomes: Outcomes) -> Outcomes:
    """Return all cases, or a random sample (fixed seed) so that the search takes seconds."""
    if len(outcomes) <= MOST_SEARCHED:
        return outcomes
    chosen = np.random.default_rng(SEED).choice(len(outcomes), MOST_SEARCHED, replace=False, shuffle=False)
    return outcomes.take(np.sort(chosen))


def _can_prove(groups: NDArray[np.int64], level: float) -> bool:
    """Return whether there are enough groups to reach the level with random signs and permutations."""
    count = int(groups.max(initial=-1)) + 1
    return count >= MIN_GROUPS and max(0.5**count, 1 / (1 + MOST_PERMUTATIONS)) <= level


def _find_unprovable(cases: Outcomes, groups: NDArray[np.int64], group_by: str, level: float) -> tuple[str, ...]:
    """Find tags that are constant in each group and cannot be significant for any value.

    The test permutes the groups. There are C(n, m) ways to choose m of n groups, so no p-value is below 1 / C(n, m).

    Args:
        cases: the cases to search.
        groups: their groups, `[cases]`.
        group_by: the tag that defines the groups; it is left out.
        level: significance level.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    count = int(numbers.max(initial=-1)) + 1
    found = []
    for tag, names in cases.tags.items():
        pairs = np.unique(np.stack([numbers, names.codes]), axis=1)
        if tag == group_by or pairs.shape[1] != count:
            continue
        sizes = np.bincount(pairs[1][pairs[1] >= 0]).tolist()
        if all(math.comb(count, size) * level < 1 for size in sizes if 0 < size < count) and len(set(pairs[1])) > 1:
            found.append(tag)
    return tuple(sorted(found))


@dataclass(slots=True, eq=False)
class _Search:
    """One search for failure clusters.

    Attributes:
        run: the run with all cases.
        codes: the failure kinds of all cases.
        groups: the groups of all cases; None without groups.
        places: indices of the cases to search.
        kinds: the failure kinds that occur in them.
        alpha: significance level.
        min_cases: minimum number of cases of a rule.
        table: the attributes of the cases to search.
        lattice: the rules.
        test: the significance test; None if nothing can be found or proven.
    """

    run: Run
    codes: NDArray[np.int8]
    groups: NDArray[np.int64] | None
    places: NDArray[np.int64]
    kinds: tuple[str, ...]
    alpha: float
    min_cases: int
    table: AttributeTable
    lattice: RuleLattice
    test: SignificanceTest | None

    @classmethod
    def prepare(
        cls,
        run: Run,
        outcomes: Outcomes,
        kinds: Iterable[str],
        groups: NDArray[np.int64] | None,
        alpha: float,
        min_cases: int,
        depth: int,
    ) -> _Search:
        table = AttributeTable.from_cases(outcomes, run.edges, min_cases=min_cases)
        width = len(table.predicates)
        while depth > 1 and math.comb(width, depth) > _COMBINATIONS:
            depth -= 1
        lattice = RuleLattice(table, min_cases, depth)
        places, codes = outcomes.find_places_in(run.columns), run.kind_codes
        failed = {kind: np.flatnonzero(_match_kind(codes[places], kind)) for kind in kinds}
        failed = {kind: cases for kind, cases in failed.items() if len(cases)}
        test = _make_test(
            lattice, list(failed.values()), None if groups is None else groups[places], len(places), alpha
        )
        return cls(run, codes, groups, places, tuple(failed), alpha, min_cases, table, lattice, test)

    def iter_clusters(self) -> Iterator[tuple[float, Cluster]]:
        """Yield the clusters with their ranks."""
        if self.test is None or not self.lattice.levels:
            return
        hits, correction = self.test.search()
        proven = [hit for hit in hits if correction.correct(hit.log_q) <= self.alpha]
        taken = np.zeros(len(self.codes), dtype=np.bool_)
        for number, kind in enumerate([*self.kinds, BELOW] if len(self.kinds) > 1 else self.kinds):
            own = [hit for hit in proven if hit.kind == number and not self._is_trivial(kind, hit)]
            left = _select_pool(self.run.columns, self.codes, kind)
            # do not report the cluster of one kind again as one of all kinds
            for hit, cluster in self._select_significant(
                own, kind, left & ~taken if kind == BELOW else left, correction
            ):
                taken[cluster.part.columns.find_places_in(self.run.columns)] = True
                yield hit.rank, cluster

    def _is_trivial(self, kind: str, hit: RuleMatch) -> bool:
        """Return whether a rule follows from the kind: a missed object, for example, has no proposals."""
        names = {self.table.predicates[attribute][code].name for attribute, code in hit.rule}
        return "proposals" in names and kind in {"missed", "hallucinated", "error"}

    def _select_significant(
        self, hits: Sequence[RuleMatch], kind: str, left: Mask, correction: SearchCorrection
    ) -> Iterator[tuple[RuleMatch, Cluster]]:
        """Yield the significant matches, each without the cases of earlier ones; `left` are the cases that count."""
        failed = _match_kind(self.codes, kind)
        for hit in hits:
            inside, among = self.table.find_members(hit.rule), left[self.places]
            log_p = self._test_rule(inside, failed[self.places], among)
            corrected = correction.correct(log_p + float(self.lattice.log_weights[len(hit.rule) - 1]))
            if corrected <= self.alpha:
                cluster = self._build_cluster(hit, kind, left, math.exp(log_p), corrected)
                yield hit, cluster
                left = left.copy()
                left[cluster.part.columns.find_places_in(self.run.columns)] = False

    def _test_rule(self, inside: Mask, failed: Mask, among: Mask) -> float:
        """Return the log p-value of a rule among the cases that count; infinite if it cannot be a cluster."""
        failing, support = int((inside & among & failed).sum()), int((inside & among).sum())
        if failing < MIN_FAILING or support < self.min_cases or not _is_far_above_rest(inside, failed, among):
            return math.inf
        assert self.test is not None  # noqa: S101 - matches come from the test
        return self.test.compute_log_p(inside, failed, among)

    def _build_cluster(self, hit: RuleMatch, kind: str, left: Mask, p: float, corrected: float) -> Cluster:
        rule = tuple(self.table.predicates[attribute][code] for attribute, code in hit.rule)
        part = self.run.where(str(And(rule)))
        inside = np.zeros(len(self.codes), dtype=np.bool_)
        inside[part.columns.find_places_in(self.run.columns)] = True
        failed = _match_kind(self.codes, kind) & left
        failing = self.run.columns.take(inside & failed)
        return Cluster(
            kind=kind,
            rule=rule,
            part=part,
            failing=part.only(failing, part.part).worst(len(failing)),
            support=int((inside & left).sum()),
            rest_failing=int((failed & ~inside).sum()),
            rest=int((left & ~inside).sum()),
            p=p,
            corrected=corrected,
            twins=tuple(twin for predicate in rule for twin in self.table.twins.get(predicate, ())),
            groups=None if self.groups is None else _count_groups(self.groups, inside & failed, inside & left),
        )


def _make_test(
    lattice: RuleLattice,
    failed: Sequence[NDArray[np.int64]],
    groups: NDArray[np.int64] | None,
    cases: int,
    alpha: float,
) -> SignificanceTest | None:
    """Make the significance test; return None if there are too few failures or groups."""
    if sum(map(len, failed)) < MIN_FAILING:
        return None
    if groups is None:
        return IndependentTest(lattice, failed, cases)
    _, numbers = np.unique(groups, return_inverse=True)
    return GroupTest(lattice, failed, numbers, alpha) if _can_prove(numbers, alpha) else None


def _count_groups(groups: NDArray[np.int64], *chosen: Mask) -> tuple[int, ...]:
    """Count the groups of each selection of cases."""
    return tuple(len(np.unique(groups[cases])) for cases in chosen)


def _select_pool(outcomes: Outcomes, codes: NDArray[np.int8], kind: str) -> Mask:
    """Select the cases that count for a failure kind: those that failed in another way are left out.

    An error is not an answer: it counts only for the kind `error`.
    """
    if kind == "error":
        return np.ones(len(codes), dtype=np.bool_)
    answered = ~outcomes.failed
    if kind == BELOW:
        return answered
    empty: Mask = outcomes.counts[:, [0, 2]].sum(axis=1) == 0
    return answered & (empty if kind == "hallucinated" else ~empty) & ((codes < 0) | _match_kind(codes, kind))


def _match_kind(codes: NDArray[np.int8], kind: str) -> Mask:
    """Return the mask of the cases that failed in this way."""
    found: Mask = codes > _ERROR if kind == BELOW else codes == KINDS[kind].code
    return found


_ERROR = KINDS["error"].code
_BELOW = tuple(kind for kind in KINDS if kind != "error")


def _is_far_above_rest(inside: Mask, failed: Mask, among: Mask) -> bool:
    """Return whether the failure rate is twice that of the rest, or the pass rate half (60 % cannot be doubled)."""
    rate, rest = (float(failed[part].mean()) if part.any() else 0.0 for part in (inside & among, ~inside & among))
    return rate >= MIN_RATIO * rest or MIN_RATIO * (1 - rate) <= 1 - rest
