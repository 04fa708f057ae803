"""Selection of the cases to draw: regressions first, then a mix of clusters, failure kinds, slices and passes."""

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
"""Changes in IoU up to this value are shown as no change."""

_PASSING = 12
_GAINS = 8


def select(found: Clusters, comparison: Comparison | None, limit: int) -> Outcomes:
    """Return the cases to show, the most important first.

    Newly failing cases come first, with a quarter of the places reserved for others. Then follow in turn the worst of
    each cluster, kind and slice, the greatest drops and gains and a few that pass, chosen by a fixed seed; then
    whatever else fails, the worst first; then the rest. Errors are left out: there is nothing to draw of them.

    Args:
        found: the clusters of the run.
        comparison: with its baseline, if there is one.
        limit: maximum number of cases.
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
    # keep room for other cases when very many newly fail
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
    """Return the pairs that newly fall below the threshold, largest loss first; changes within noise are ignored."""
    before, after = comparison.kind_codes()
    lost = (comparison.differences < -NOISE) | np.isin(after, ZERO_IOU_CODES)
    return comparison.pairs.take((before < 0) & (after >= 0) & lost).sort_by_change()


def newly_passing(comparison: Comparison) -> Pairs:
    """Return the pairs that newly meet the threshold, largest gain first; changes within noise are ignored."""
    before, after = comparison.kind_codes()
    gained = (comparison.differences > NOISE) | np.isin(before, ZERO_IOU_CODES)
    return comparison.pairs.take((before >= 0) & (after < 0) & gained).sort_by_change()[::-1]


def in_turn(strata: Sequence[Sequence[T] | NDArray[Any]]) -> Iterator[T]:
    """Interleave the sequences: the first item of each, then the second of each, and so on."""
    for place in range(max(map(len, strata), default=0)):
        for stratum in strata:
            if place < len(stratum):
                yield stratum[place]
