"""A selection is which cases of a run are worth a picture: some of each sort, since the worst alone are all of one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from segqa.cluster.cluster import Clusters
from segqa.comparison.comparison import Comparison, Pairs
from segqa.failures import KINDS, kind_codes
from segqa.outcomes.outcomes import Outcomes
from segqa.run import Run
from segqa.texts import Texts

NOISE = 0.005
"""A change in IoU up to this is shown as none."""

_PASSING = 12
_GAINS = 8


def select(found: Clusters, comparison: Comparison | None, limit: int) -> Outcomes:
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
    order = run.worst(len(run.outcomes))
    order = order.take(~order.failed)
    codes = kind_codes(order, run.threshold)
    newly = newly_failing(comparison).ids if comparison else Texts.of(())
    strata = [cluster.failing.take(~cluster.failing.failed).ids for cluster in found]
    strata += [order.take(codes == code).ids for code in range(len(KINDS))]
    strata += [_failing(part).ids for part in run.slices(min_cases=8)]
    if comparison:
        by_change = comparison.worst(len(comparison.pairs))
        ids = by_change.take(np.abs(by_change.differences) > NOISE).ids
        strata += [ids, ids[::-1][:_GAINS]]
    passing = order.take(codes < 0).ids
    strata.append(Texts.of(random.Random(0).sample(passing, min(_PASSING, len(passing)))))  # noqa: S311 - no secret
    chosen: dict[str, None] = {}
    for case_id in chain(newly, in_turn(strata), order.take(codes >= 0).ids, order.ids):
        if len(chosen) == limit:
            break
        chosen[case_id] = None
    places = {case_id: place for place, case_id in enumerate(run.columns.ids) if case_id in chosen}
    return run.columns.take(np.array([places[case_id] for case_id in chosen], np.int64))


def newly_failing(comparison: Comparison) -> Pairs:
    """The pairs that met the threshold before and do not now, those that lost most first; not for noise."""
    before, after = comparison.kind_codes()
    return comparison.pairs.take((before < 0) & (after >= 0) & (comparison.differences < -NOISE)).by_change()


def newly_passing(comparison: Comparison) -> Pairs:
    """The pairs that did not meet the threshold before and do now, those that gained most first; not for noise."""
    before, after = comparison.kind_codes()
    return comparison.pairs.take((before >= 0) & (after < 0) & (comparison.differences > NOISE)).by_change()[::-1]


def in_turn(strata: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first of each, then the second of each, and so on."""
    for place in range(max(map(len, strata), default=0)):
        for stratum in strata:
            if place < len(stratum):
                yield stratum[place]


def _failing(part: Run) -> Outcomes:
    """The failing cases of a slice, the worst first."""
    order = part.worst(len(part.outcomes))
    return order.take(kind_codes(order, part.threshold) >= 0)
