"""A selection is which cases of a run are worth a picture: some of each sort, since the worst alone are all of one."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from segqa.cluster.cluster import Clusters
from segqa.comparison.comparison import Comparison, Pair
from segqa.failures import KINDS
from segqa.outcome import Outcome
from segqa.run import Run

NOISE = 0.005
"""A change in IoU up to this is shown as none."""

_PASSING = 12
_GAINS = 8


def select(found: Clusters, comparison: Comparison | None, limit: int) -> list[Outcome]:
    """The cases to show, the most important first.

    First all that fail and did not before. Then in turn the worst of each cluster, kind and slice, the greatest drops
    and gains and a few that pass, chosen by a fixed seed; then whatever else fails, the worst first; then the rest.
    Errors are left out: there is nothing to draw of them.

    Args:
        found: the clusters of the run.
        comparison: with its baseline, if there is one.
        limit: so many cases at most.
    """
    run = found.run
    order = [outcome for outcome in run.worst(len(run.outcomes)) if not outcome.error]
    newly = [pair.after for pair in newly_failing(comparison)] if comparison else []
    strata = [[outcome for outcome in cluster.failing if not outcome.error] for cluster in found]
    kinds = {outcome.case_id: run.kind(outcome) for outcome in order}
    strata += [[outcome for outcome in order if kinds[outcome.case_id] == kind] for kind in KINDS]
    strata += [_failing(part) for part in run.slices(min_cases=8)]
    if comparison:
        by_change = [pair.after for pair in comparison.worst(len(comparison.pairs)) if abs(pair.difference) > NOISE]
        strata += [by_change, by_change[::-1][:_GAINS]]
    passing = [outcome for outcome in order if kinds[outcome.case_id] is None]
    strata.append(random.Random(0).sample(passing, min(_PASSING, len(passing))))  # noqa: S311 - no secret
    failing = [outcome for outcome in order if kinds[outcome.case_id] is not None]
    chosen = dict.fromkeys(outcome.case_id for each in (newly, in_turn(strata), failing, order) for outcome in each)
    by_id = {outcome.case_id: outcome for outcome in run.outcomes}
    return [by_id[case_id] for case_id in list(chosen)[:limit]]


def newly_failing(comparison: Comparison) -> list[Pair]:
    """The pairs that met the threshold before and do not now, those that lost most first; not for noise."""
    kind = comparison.candidate.kind
    turned = [p for p in comparison.pairs if kind(p.before) is None and kind(p.after) is not None]
    return _by_change(pair for pair in turned if pair.difference < -NOISE)


def newly_passing(comparison: Comparison) -> list[Pair]:
    """The pairs that did not meet the threshold before and do now, those that gained most first; not for noise."""
    kind = comparison.candidate.kind
    turned = [p for p in comparison.pairs if kind(p.before) is not None and kind(p.after) is None]
    return _by_change(pair for pair in turned if pair.difference > NOISE)[::-1]


def in_turn(strata: Sequence[Sequence[Outcome]]) -> Iterator[Outcome]:
    """The first of each, then the second of each, and so on."""
    for place in range(max(map(len, strata), default=0)):
        for stratum in strata:
            if place < len(stratum):
                yield stratum[place]


def _failing(part: Run) -> list[Outcome]:
    """The failing cases of a slice, the worst first."""
    return [outcome for outcome in part.worst(len(part.outcomes)) if part.kind(outcome) is not None]


def _by_change(pairs: Iterable[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda pair: (pair.difference, pair.case_id))
