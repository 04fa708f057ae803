"""Measure the change of the mean IoU between two runs: its size, its interval, and what is proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from segqa.gate.comparison import Comparison
from segqa.models.protocol import Floats
from segqa.runs.groups import Groups
from segqa.stats.permutation_test import (
    Drop,
    Interval,
    compute_detectable_drop,
    compute_interval,
    compute_smallest_p,
    judge_drops,
    judge_gain,
)
from segqa.support.plurals import format_count

CLAIM_LEVEL = 0.01
"""The level at which a gain, or no loss, is claimed: with few and skewed samples the error rate is 5 % then."""

_FLIPS = 2_000

Claim: TypeAlias = Literal["improved", "similar", "inconclusive"]


@dataclass(frozen=True, slots=True)
class MeanChange:
    """The change of the mean IoU over the cases that both runs have.

    Attributes:
        drop: the mean difference, and how likely so low a one is by chance; None without pairs.
        interval: in which the true mean difference lies, 5 % left out on each side.
        detectable: the smallest drop of the mean that would have been seen in 80 % of the cases.
        cases: how many pairs there are.
        samples: how many of them are independent: groups, or all pairs where there are no groups.
        group_by: the tag that makes the groups; empty where each pair is independent.
        claim: `improved` if a gain is proven; `similar` if it is proven that the mean has dropped by no more than the
            tolerance, or no case has; else `inconclusive`.
        changed: how many of the samples have a case with another IoU than before.
    """

    drop: Drop | None
    interval: Interval
    detectable: float
    cases: int
    samples: int
    group_by: str
    claim: Claim
    changed: int = 0

    @property
    def support(self) -> str:
        """Describe the number of cases and of groups.

        >>> nothing = Interval(0, 0)
        >>> MeanChange(None, nothing, 0, 240, 12, "video", "similar").support
        '240 cases in 12 groups'
        """
        return describe_support(self.cases, self.samples if self.group_by else None)

    @property
    def sample_name(self) -> str:
        """The number of independent samples and what they are, as text."""
        groups = f"{format_count(self.samples, 'group')} by {self.group_by!r}"
        return groups if self.group_by else describe_support(self.samples)


def measure_mean_change(comparison: Comparison, tolerance: float, group_by: str) -> MeanChange:
    """Measure the change of the mean IoU.

    Args:
        comparison: without the pairs that are undefined on both sides.
        tolerance: as much may be lost.
        group_by: a tag; the cases that share its value are one sample.

    Raises:
        SettingsError: no case has this tag.
    """
    differences, groups = comparison.differences, comparison.groups(group_by)
    cases = len(differences)
    samples = cases if groups is None else int(groups.max(initial=-1)) + 1
    moved = differences != 0
    changed = int(moved.sum()) if groups is None else len(np.unique(groups[moved]))
    # for show: the rules are tested with all flips
    everything = [np.ones(cases, np.bool_)]
    drop = judge_drops(differences, everything, [0.0], groups=groups, flips=_FLIPS)[0] if cases else None
    return MeanChange(
        drop,
        compute_interval(differences, groups).clip(-1, 1),
        compute_detectable_drop(differences, groups),
        cases,
        samples,
        group_by,
        classify_mean_change(differences, groups, tolerance),
        changed,
    )


def describe_support(cases: int, groups: int | None = None) -> str:
    """Say how many cases there are, and in how many groups.

    >>> describe_support(1), describe_support(240, 12)
    ('1 case', '240 cases in 12 groups')
    """
    within = "" if groups is None else f" in {format_count(groups, 'group')}"
    return f"{format_count(cases, 'case')}{within}"


def classify_mean_change(differences: Floats, groups: Groups | None = None, tolerance: float = 0.0) -> Claim:
    """Say what is proven of a mean difference; of few samples nothing is, unless no case has changed at all.

    The tests are sign flips, as for drops; the intervals do not hold their level with few and skewed samples.

    Args:
        differences: `[n]`.
        groups: by default each pair is independent.
        tolerance: as much may be lost.
    """
    samples = len(differences) if groups is None else int(groups.max(initial=-1)) + 1
    if not samples:
        return "inconclusive"
    if not differences.any():
        return "similar"
    if compute_smallest_p(samples) > 0.05:
        return "inconclusive"
    if judge_gain(differences, groups=groups, flips=_FLIPS) <= CLAIM_LEVEL:
        return "improved"
    if differences.min() >= -tolerance - 1e-12:
        return "similar"
    is_kept = judge_gain(differences, -tolerance, groups=groups, flips=_FLIPS) <= CLAIM_LEVEL
    return "similar" if is_kept else "inconclusive"
