"""Failure clusters: rules whose cases fail far more often than the rest, with their statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from segqa.analysis.iou_histogram_gap import Gap
from segqa.errors import SettingsError
from segqa.runs.failure_kinds import KINDS, find_recoverable
from segqa.runs.groups import Grouping
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import And, Predicate
from segqa.runs.run import Run, describe
from segqa.settings.checks import nearest
from segqa.support.escaping import join_lines
from segqa.support.plurals import format_count

BELOW = "failed"
"""The kind of a cluster that mixes failure kinds."""

SHOWN = 5

NOTABLE_REGRET = 0.05
"""Minimum regret (mean IoU lost by the picker) that the line of a cluster shows."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cluster:
    """A rule whose cases fail far more often than all others.

    Attributes:
        kind: failure kind, see `segqa.runs.failure_kinds.KINDS`; `"failed"` for all kinds below the threshold.
        rule: one to three predicates, all of which the cases match.
        part: the cases of the run that match the rule, including errors.
        failing: those of them that failed in this way, the worst first.
        support: number of cases that match the rule. This and the following numbers count only cases that passed or
            failed in this way, and that are in no earlier cluster of this kind.
        rest_failing: number of other cases that failed in this way.
        rest: number of other cases.
        p: one-sided p-value of this rule alone: as many failures or more by chance. Exact without groups.
        corrected: p-value corrected for the search: how often it finds a rule as rare if there is nothing to find.
        twins: other predicates that match the same cases as one of the rule.
        groups: number of groups with a failure in the rule, and with a case in it; None without groups.
        suggested: a grouping that the cases suggest, if p assumes independent cases.
    """

    kind: str
    rule: tuple[Predicate, ...]
    part: Run
    failing: Outcomes
    support: int
    rest_failing: int
    rest: int
    p: float
    corrected: float
    twins: tuple[Predicate, ...] = ()
    groups: tuple[int, ...] | None = None
    suggested: Grouping | None = None

    @property
    def condition(self) -> str:
        """The rule as a query: `camera=C2 and action=Jazz`."""
        return str(And(self.rule))

    @property
    def rate(self) -> float:
        """Failure rate of the cases in the cluster."""
        return len(self.failing) / self.support

    @property
    def rest_rate(self) -> float:
        """Failure rate of all other cases."""
        return self.rest_failing / self.rest

    @property
    def ratio(self) -> float:
        """The rate divided by the rate of the rest; infinite if no other case failed in this way."""
        return self.rate / self.rest_rate if self.rest_failing else math.inf

    @property
    def not_counted(self) -> int:
        """Number of cases of the rule that do not count, see `support`."""
        return len(self.part.outcomes) - self.support

    @property
    def caveat(self) -> str:
        """The assumption under which p holds; empty if nothing contradicts it."""
        if self.suggested is None:
            return ""
        by = repr(self.suggested.tag) if self.suggested.tag else "the beginning of their ids"
        return f"if cases are independent; they look grouped by {by}"

    @property
    def recoverable(self) -> int:
        """Number of failures that another pick would have avoided."""
        return int(find_recoverable(self.failing, self.part.threshold).sum())

    @property
    def regret(self) -> float:
        """Regret of the failures: mean IoU of their best proposals minus their own mean IoU."""
        return float(self.part.only(self.failing, self.kind).regret)

    def __repr__(self) -> str:
        return f"<{self.condition}: {len(self.failing)} of {self.support} {self.kind}>"

    def __str__(self) -> str:
        """Describe the rule and its statistics in one line."""
        times = "no other case does" if math.isinf(self.ratio) else f"{self.ratio:.1f} times the rest"
        count = f"{len(self.failing)} of {self.support}"
        if self.groups is not None:
            count += f" in {self.groups[0]} of {format_count(self.groups[1], 'group')}"
        saved = f", {self.recoverable} of {len(self.failing)} recoverable by another pick" if self.recoverable else ""
        if self.regret >= NOTABLE_REGRET:
            saved += f", regret {self.regret:.3f}"
        p = f"{_format_p(self.corrected)} {self.caveat}".rstrip()
        return f"{self.condition}: {self.rate:.0%} {self.kind} ({count}), {times}{saved}; {p}"

    @property
    def story(self) -> str:
        """The rule, its five worst cases, and the command that evaluates just its cases."""
        worst = [f"  {describe(self.part, outcome)}" for outcome in self.failing[:SHOWN]]
        more = [f"  … and {len(self.failing) - SHOWN} more"] if len(self.failing) > SHOWN else []
        same = [f"  the same cases: {', '.join(map(str, self.twins))}"] if self.twins else []
        if self.not_counted:
            why = "they failed in another way or are in a cluster above"
            same.append(f"  not counted: {self.not_counted} of its {len(self.part.outcomes)} cases; {why}")
        return join_lines([str(self), *same, *worst, *more, f"  just these: {self.part.how_to_repeat}"])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Clusters:
    """The failure clusters of a run, the most significant first.

    Attributes:
        run: the run.
        found: the clusters.
        gap: the gap between a spike at zero and the rest, or None.
        searched: number of rules of one, two and three predicates that were tested for each failure kind.
        permutations: number of permuted outcomes that were searched as well.
        alpha: maximum probability of a false discovery if there is nothing to find.
        sample: number of cases that were searched; fewer than all in a large run.
        suggested: a grouping that the cases suggest, if they were assumed to be independent.
        groups: number of groups; None if the cases were assumed to be independent.
        provable: whether there are enough groups to prove anything.
        unprovable: tags with one value in each group, none of which can be proven with so few groups.
    """

    run: Run
    found: tuple[Cluster, ...]
    gap: Gap | None
    searched: tuple[int, ...]
    permutations: int
    alpha: float
    sample: int
    suggested: Grouping | None = None
    groups: int | None = None
    provable: bool = True
    unprovable: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """The limits of the search; empty if there are none."""
        cases, notes = len(self.run.outcomes), []
        if self.sample != cases:
            notes.append(
                f"searched in {self.sample:,} of {cases:,} cases, drawn at random; what is found is counted in all"
            )
        many = f"with {format_count(self.groups or 0, 'group')}"
        if not self.provable:
            notes.append(f"{many} nothing can be proven at alpha {self.alpha:g}")
        elif self.unprovable:
            tags = ", ".join(self.unprovable)
            notes.append(f"{many} nothing can be proven of {tags} at alpha {self.alpha:g}: one value in each group")
        if self.suggested and self.found:
            notes.append(self.suggested.advice)
        return "; ".join(notes)

    def __repr__(self) -> str:
        return f"<clusters of {self.run.title}: {', '.join(map(repr, self.found)) or 'none'}>"

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self.found)

    def __getitem__(self, index: int) -> Cluster:
        return self.found[index]

    def select(self, kind: str) -> tuple[Cluster, ...]:
        """Return the clusters of one failure kind; `"failed"` for those that mix kinds.

        Raises:
            SettingsError: the kind is unknown.
        """
        if kind not in {*KINDS, BELOW}:
            raise SettingsError(f"unknown failure kind {kind!r}; {nearest(kind, [*KINDS, BELOW])}")
        return tuple(cluster for cluster in self.found if cluster.kind == kind)

    def describe(self, kind: str = "") -> str:
        """Describe the clusters of a kind, or all, for a failing test."""
        return "\n".join(cluster.story for cluster in (self.select(kind) if kind else self.found))


def _format_p(value: float) -> str:
    """Format a corrected p-value."""
    return f"p {value:.2g}" if value >= 1e-4 else "p < 0.0001"
