"""A cluster is a slice that segqa itself found to fail far more than the rest: a rule, with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from segqa.analysis.iou_gap import Gap
from segqa.errors import SettingsError
from segqa.runs.failure_kinds import KINDS, recoverable
from segqa.runs.groups import Grouping
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import And, Predicate
from segqa.runs.run import Run, describe
from segqa.settings.checks import nearest
from segqa.support.escaping import join_lines
from segqa.support.plurals import format_count

BELOW = "failed"
"""The kind of a cluster whose cases are below the threshold in more than one way."""

SHOWN = 5

NOTABLE_REGRET = 0.05
"""The mean IoU lost by picking from which on a cluster's line says so."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cluster:
    """A rule whose cases fail far more often than all others.

    Attributes:
        kind: of the failures, see `segqa.runs.failure_kinds.KINDS`; `"failed"` for all below the threshold together.
        rule: one to three predicates, all of which a case meets.
        part: the run's cases that meet the rule, errors too.
        failing: those of them that failed in this way, the worst first.
        support: how many cases meet the rule. Here and in what follows only those count that passed or failed in this
            way, and that are in no cluster of this kind told before.
        rest_failing: how many of the others failed in this way.
        rest: how many others there are.
        p: of so many failures or more in the rule by chance alone; one-sided, for this rule only. Exact without groups.
        corrected: how often a search like this one finds a rule as rare as this where there is nothing to find.
        twins: predicates that mean the same cases as one of the rule's, by that one.
        groups: how many groups have a failure in the rule, and how many have a case in it; None without groups.
        suggested: by what cases look grouped, where p takes them for independent.
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
        """The rule as a condition that parses: `camera=C2 and action=Jazz`."""
        return str(And(self.rule))

    @property
    def rate(self) -> float:
        """The share of its cases that failed in this way."""
        return len(self.failing) / self.support

    @property
    def rest_rate(self) -> float:
        """The share of all other cases that did."""
        return self.rest_failing / self.rest

    @property
    def ratio(self) -> float:
        """How many times the rest's rate its own is; infinite where no other case failed in this way."""
        return self.rate / self.rest_rate if self.rest_failing else math.inf

    @property
    def not_counted(self) -> int:
        """How many cases of the rule do not count, see `support`."""
        return len(self.part.outcomes) - self.support

    @property
    def caveat(self) -> str:
        """Under what condition p holds; empty where nothing speaks against it."""
        if self.suggested is None:
            return ""
        by = repr(self.suggested.tag) if self.suggested.tag else "the beginning of their ids"
        return f"if cases are independent; they look grouped by {by}"

    @property
    def recoverable(self) -> int:
        """How many of its failures another pick would have saved."""
        return int(recoverable(self.failing, self.part.threshold).sum())

    @property
    def regret(self) -> float:
        """What picking lost in its failures: the mean IoU of their best proposals minus their own."""
        return float(self.part.only(self.failing, self.kind).regret)

    def __repr__(self) -> str:
        return f"<{self.condition}: {len(self.failing)} of {self.support} {self.kind}>"

    def __str__(self) -> str:
        """The rule and its numbers in one line."""
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
        """The rule, its five worst cases, and what evaluates just its cases."""
        worst = [f"  {describe(self.part, outcome)}" for outcome in self.failing[:SHOWN]]
        more = [f"  … and {len(self.failing) - SHOWN} more"] if len(self.failing) > SHOWN else []
        same = [f"  the same cases: {', '.join(map(str, self.twins))}"] if self.twins else []
        if self.not_counted:
            why = "they failed in another way or are in a cluster above"
            same.append(f"  not counted: {self.not_counted} of its {len(self.part.outcomes)} cases; {why}")
        return join_lines([str(self), *same, *worst, *more, f"  just these: {self.part.how_to_repeat}"])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Clusters:
    """What was found in a run, the surest first.

    Attributes:
        run: that was searched.
        found: the clusters.
        gap: between a spike at zero and the rest, if there is one.
        searched: rules of one, two and three predicates that were tried, for each kind of failure.
        permutations: of the outcomes that were searched as well.
        alpha: how often, at most, something is found where there is nothing.
        sample: how many cases were searched; of a large run not all.
        suggested: by what cases look grouped, where they were taken for independent.
        groups: how many groups the cases are in; None where they were taken for independent.
        provable: whether there are enough groups for anything to be found.
        unprovable: tags with one value in each group, of which no value can be found with so few groups.
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
        """What limits the search; empty where nothing does."""
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
        """The clusters of one kind of failure; `"failed"` for those that mix kinds.

        Raises:
            SettingsError: there is no such kind.
        """
        if kind not in {*KINDS, BELOW}:
            raise SettingsError(f"unknown failure kind {kind!r}; {nearest(kind, [*KINDS, BELOW])}")
        return tuple(cluster for cluster in self.found if cluster.kind == kind)

    def describe(self, kind: str = "") -> str:
        """The clusters of a kind, or all, as a failing test tells them."""
        return "\n".join(cluster.story for cluster in (self.select(kind) if kind else self.found))


def _format_p(value: float) -> str:
    """A corrected p-value as it is shown."""
    return f"p {value:.2g}" if value >= 1e-4 else "p < 0.0001"
