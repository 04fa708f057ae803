"""A selection is which cases of a run are worth a picture: some of each sort, since the worst alone are all of one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segqa.analysis.failure_clusters.clusters import Clusters
from segqa.gate.comparison import Comparison
from segqa.gate.pairs import Pairs
from segqa.runs.failure_kinds import KINDS, ZERO_IOU_CODES
from segqa.runs.outcomes import Outcomes

T = TypeVar("T")

NOISE = 0.005
"""A change in IoU up to this is shown as none."""

_PASSING = 12
_GAINS = 8


def select(found: Clusters, comparison: Comparison | None, limit: int) -> Outcomes:
    """The cases to show, the most important first.

    First those that fail and did not before, as far as they leave a quarter to the others. Then in turn the worst of
    each cluster, kind and slice, the greatest drops and gains and a few that pass, chosen by a fixed seed; then
    whatever else fails, the worst first; then the rest. Errors are left out: there is nothing to draw of them.

    Args:
        found: the clusters of the run.
        comparison: with its baseline, if there is one.
        limit: so many cases at most.
    """
    run, cases, codes = found.run, found.run.columns, found.run.kind_codes
    order = run.worst(len(cases)).find_places_in(cases)
    order = order[~cases.failed[order]]
    failing, passing = order[codes[order] >= 0], order[codes[order] < 0]
    newly = newly_failing(comparison).after.find_places_in(cases) if comparison else order[:0]
    strata = [cluster.failing.take(~cluster.failing.failed).find_places_in(cases) for cluster in found]
    strata += [failing[codes[failing] == code] for code in range(len(KINDS))]
    strata += [failing[members[failing]] for _, members in run.slice_members(min_cases=8)]
    if comparison:
        by_change = comparison.pairs.sort_by_change()
        moved = by_change.take(np.abs(by_change.differences) > NOISE).after.find_places_in(cases)
        strata += [moved, moved[::-1][:_GAINS]]
    some = random.Random(0).sample(range(len(passing)), min(_PASSING, len(passing)))  # noqa: S311 - no secret
    strata.append(passing[some])
    # where very many newly fail, something of all else is worth seeing, too
    wanted = chain(newly[: limit * 3 // 4], in_turn(strata), newly, failing, passing)
    chosen = list(islice(_each_once(int(place) for place in wanted), limit))
    return cases.take(np.array(chosen, np.int64))


def _each_once(places: Iterator[int]) -> Iterator[int]:
    seen: set[int] = set()
    for place in places:
        if place not in seen:
            seen.add(place)
            yield place


def newly_failing(comparison: Comparison) -> Pairs:
    """The pairs that met the threshold before and do not now, those that lost most first; not for noise."""
    before, after = comparison.kind_codes()
    lost = (comparison.differences < -NOISE) | np.isin(after, ZERO_IOU_CODES)
    return comparison.pairs.take((before < 0) & (after >= 0) & lost).sort_by_change()


def newly_passing(comparison: Comparison) -> Pairs:
    """The pairs that did not meet the threshold before and do now, those that gained most first; not for noise."""
    before, after = comparison.kind_codes()
    gained = (comparison.differences > NOISE) | np.isin(before, ZERO_IOU_CODES)
    return comparison.pairs.take((before >= 0) & (after < 0) & gained).sort_by_change()[::-1]


def in_turn(strata: Sequence[Sequence[T] | NDArray[Any]]) -> Iterator[T]:
    """The first of each, then the second of each, and so on."""
    for place in range(max(map(len, strata), default=0)):
        for stratum in strata:
            if place < len(stratum):
                yield stratum[place]
