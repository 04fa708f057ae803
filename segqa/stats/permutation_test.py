"""Paired sign-flip permutation test for a mean difference, with confidence intervals and detection power.

A studentised permutation test. Where nothing has changed, the sign of each paired difference is a coin's; the
differences are flipped many times, and their t statistic is compared with the one that was seen. The statistic is
corrected for skewness (Hall, JRSS B 1992): many small losses and a few large gains look like a drop otherwise. How it
holds its level is measured in `docs/decisions/the-gate.md`.

Pairs that are not independent, the frames of a video, come in groups. Then a group is what is flipped, and intervals
are made of the sums over groups. A sample here is one that is independent of the others: a group, or a pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from segqa.data.mask import Mask
from segqa.models.protocol import Floats
from segqa.runs.groups import Groups

FLIPS = 10_000
MOST_ROWS = 20_000
"""Maximum number of independently flipped rows; beyond it, several pairs or groups are flipped together."""

FEW_SAMPLES = 30
"""With fewer, p-values are raised: the test does not hold its level if the differences are skewed."""

_SEED = 20240101
_BLOCK = 1_000


@dataclass(frozen=True, slots=True)
class Interval:
    """Confidence interval of a mean.

    Attributes:
        low: its lower end.
        high: its upper end.
    """

    low: float
    high: float

    def clip(self, low: float, high: float) -> Interval:
        """Return the part of the interval in which the mean can lie, for values with bounds.

        >>> Interval(0.9, 1.04).clip(0, 1)
        Interval(low=0.9, high=1)
        """
        return Interval(min(max(self.low, low), high), max(min(self.high, high), low))


def compute_interval(differences: Floats, groups: Groups | None = None, *, level: float = 0.9) -> Interval:
    """Compute a confidence interval of the mean, by a t statistic corrected for skewness (Johnson, JASA 1978).

    With groups the standard error is that of the jackknife that leaves out a group at a time, with as many degrees of
    freedom as there are groups less one (CV3 in MacKinnon, Nielsen and Webb, Journal of Econometrics 2023). Of groups
    of one size it is the textbook's (Cochran, Sampling Techniques, 1977, chapter 9).

    Args:
        differences: `[n]`; with fewer than two samples the interval is all numbers.
        groups: by default each pair is independent.
        level: 0.9 leaves 5 % on each side.
    """
    mean, scores = _compute_scores(differences, groups)
    samples = len(scores)
    if samples < 2:
        return Interval(-math.inf, math.inf)
    spread = _compute_spread(scores)
    if spread == 0:
        return Interval(mean, mean)
    centre = mean + float((scores**3).mean()) / (6 * spread**2 * samples)
    reach = float(special.stdtrit(samples - 1, (1 + level) / 2)) * spread / math.sqrt(samples)
    return Interval(centre - reach, centre + reach)


def compute_bootstrap_interval(
    differences: Floats, groups: Groups | None = None, *, level: float = 0.9
) -> Interval | None:
    """Compute the BCa bootstrap's interval, drawing whole groups.

    None below 60 samples, where it does not hold its level, and above 5,000.
    """
    sums, sizes = _compute_sums_and_sizes(differences, groups)
    if not 60 <= len(sums) <= 5_000 or float(differences.std()) == 0:
        return None
    # takes half a second to import and is rarely needed
    from scipy import stats

    def mean(sums: Floats, sizes: Floats, axis: int = -1) -> Floats:
        found: Floats = sums.sum(axis=axis) / sizes.sum(axis=axis)
        return found

    random = np.random.default_rng(_SEED)
    found = stats.bootstrap(
        (sums, sizes), mean, paired=True, confidence_level=level, n_resamples=999, method="BCa", rng=random
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def compute_detectable_drop(differences: Floats, groups: Groups | None = None) -> float:
    """Compute the smallest true drop of the mean that the test detects with 80 % power at the 5 % level.

    (t(0.95) + t(0.8)) · standard error, by Student's t; NaN with fewer than two samples.
    """
    _, scores = _compute_scores(differences, groups)
    if len(scores) < 2:
        return math.nan
    reach = float(special.stdtrit(len(scores) - 1, 0.95) + special.stdtrit(len(scores) - 1, 0.8))
    return reach * _compute_spread(scores) / math.sqrt(len(scores))


def compute_t_interval(values: Floats, groups: Groups | None = None, *, level: float = 0.95) -> Interval:
    """Compute a confidence interval of the mean by Student's t, with the standard error of `compute_interval`.

    NaN for fewer than two samples.
    """
    mean, scores = _compute_scores(values, groups)
    if len(scores) < 2:
        return Interval(math.nan, math.nan)
    reach = float(special.stdtrit(len(scores) - 1, (1 + level) / 2)) * _compute_spread(scores) / math.sqrt(len(scores))
    return Interval(mean - reach, mean + reach)


def raise_p(p: float, samples: int) -> float:
    """Raise a p-value by 30 / samples where there are fewer samples than that, to 1 at most.

    >>> raise_p(0.01, 10), raise_p(0.01, 100)
    (0.03, 0.01)
    """
    return min(1.0, p * max(1.0, FEW_SAMPLES / max(1, samples)))


def compute_smallest_p(samples: int, flips: int = FLIPS) -> float:
    """Compute the smallest possible p-value for a number of samples, raised where they are few.

    Flipping all samples changes nothing.

    >>> compute_smallest_p(4) > 0.05 > compute_smallest_p(7)
    True
    """
    return raise_p(max(0.5**samples, 1 / (1 + flips)), samples)


def _compute_sums_and_sizes(differences: Floats, groups: Groups | None) -> tuple[Floats, Floats]:
    """Return the sum and the number of the differences of each sample; empty groups are left out."""
    if groups is None:
        return differences, np.ones(len(differences))
    sizes = np.bincount(groups).astype(np.float64)
    return np.bincount(groups, differences)[sizes > 0].astype(np.float64), sizes[sizes > 0]


def _compute_scores(differences: Floats, groups: Groups | None) -> tuple[float, Floats]:
    """Return the mean and a score per sample: the shift of the mean without it, times (samples - 1).

    The standard error of the mean is that of the mean of the scores.
    """
    sums, sizes = _compute_sums_and_sizes(differences, groups)
    total = len(differences)
    mean = float(sums.sum()) / total if total else math.nan
    if len(sums) < 2:
        return mean, np.zeros(len(sums))
    scores: Floats = (sums - mean * sizes) * ((len(sums) - 1) / (total - sizes))
    return mean, scores


def _compute_spread(scores: Floats) -> float:
    """Return the standard deviation of scores around 0."""
    return math.sqrt(float((scores**2).sum()) / (len(scores) - 1))


@dataclass(frozen=True, slots=True)
class Drop:
    """Test result for a drop of the mean difference.

    Attributes:
        mean: of the differences.
        p: one-sided p-value of these pairs alone.
        corrected: p-value corrected for all sets that were tested together.
    """

    mean: float
    p: float
    corrected: float


def judge_drops(
    differences: Floats,
    members: Sequence[Mask],
    tolerances: Sequence[float],
    *,
    groups: Groups | None = None,
    flips: int = FLIPS,
) -> list[Drop]:
    """Judge, for several sets of pairs at once, whether the mean lies below minus a tolerance.

    All sets see the same flips, and the lowest t statistic of all sets is the reference for each (max T; Westfall and
    Young, 1993), so that many overlapping slices are corrected for no more than they have to be.

    Args:
        differences: `[n]`, candidate minus baseline.
        members: a bool `[n]` for each set.
        tolerances: for each set.
        groups: pairs of one group are flipped together; by default each alone.
        flips: number of flips.

    Returns:
        One for each set; p-values are 1 where a set has fewer than two pairs, or has not dropped at all.
    """
    groups = _find_few_groups(len(differences), groups)
    half, (sums, squares, cubes), sizes = _sum_powers(differences, members, tolerances, groups)
    seen = _compute_t(sums, squares, cubes, sizes)
    alone, together = np.ones(len(members)), np.ones(len(members))
    # sums and sums of cubes change with the signs, sums of squares do not
    total = np.concatenate([sums, cubes])
    # of two equal statistics the flipped one has been rounded
    reached = seen + 1e-5 * np.abs(np.where(np.isfinite(seen), seen, 0))
    for heads in _draw_sums(half, flips):
        flips_of = heads - total
        flipped = _compute_t(flips_of[:, : len(members)], squares, flips_of[:, len(members) :], sizes)
        alone += (flipped <= reached).sum(axis=0)
        together += (flipped.min(axis=1, keepdims=True, initial=np.inf) <= reached).sum(axis=0)
    # flipping everything changes nothing, but may have been rounded to another value
    lowest = 0.5 ** np.count_nonzero(half[:, : len(members)], axis=0)
    alone, together = np.maximum(alone / (1 + flips), lowest), np.maximum(together / (1 + flips), lowest)
    means = [float(differences[m].mean()) if m.any() else math.nan for m in members]
    dropped = [mean < -tolerance for mean, tolerance in zip(means, tolerances, strict=True)]
    return [
        Drop(mean, float(p) if low else 1.0, float(q) if low else 1.0)
        for mean, low, p, q in zip(means, dropped, alone, together, strict=True)
    ]


def judge_gain(differences: Floats, margin: float = 0.0, *, groups: Groups | None = None, flips: int = FLIPS) -> float:
    """Judge whether the mean lies above a margin.

    Args:
        differences: `[n]`.
        margin: 0 for a gain; below 0 to show that the mean has not dropped by more.
        groups: as in `judge_drops`.
        flips: number of flips.

    Returns:
        One-sided p-value; 1 where the mean is not above the margin.
    """
    everything = [np.ones(len(differences), np.bool_)]
    return judge_drops(-differences, everything, [margin], groups=groups, flips=flips)[0].p


def _find_few_groups(pairs: int, groups: Groups | None) -> NDArray[np.int64] | None:
    """Return groups merged to at most `MOST_ROWS`, to bound the time of the flips.

    If the sign of every pair is a fair coin, so is that of a sum of pairs: sets of pairs may be flipped together.
    """
    if groups is None:
        return None if pairs <= MOST_ROWS else np.arange(pairs) % MOST_ROWS
    return groups % MOST_ROWS


def _sum_powers(
    differences: Floats, members: Sequence[Mask], tolerances: Sequence[float], groups: Groups | None
) -> tuple[NDArray[np.float32], Floats, NDArray[np.int64]]:
    """Return the terms of the sets' sums, built one set at a time to save memory.

    Returns:
        Twice the terms and, beside them, twice their cubes, `[n or groups, 2 · sets]`, without rows of zeros; the sums
        of terms, squares and cubes, `[3, sets]`; and how many terms each set has.
    """
    many = len(members)
    rows = len(differences) if groups is None else int(groups.max(initial=-1)) + 1
    half, sums, sizes = np.empty((rows, 2 * many), np.float32), np.empty((3, many)), np.empty(many, np.int64)
    for place, (inside, tolerance) in enumerate(zip(members, tolerances, strict=True)):
        terms = _sum_by_group(np.where(inside, differences + tolerance, 0.0), groups, rows)
        sizes[place] = np.count_nonzero(_sum_by_group(inside, groups, rows))
        half[:, place], half[:, many + place] = 2 * terms, 2 * terms**3
        sums[:, place] = terms.sum(), (terms**2).sum(), (terms**3).sum()
    told = half[:, :many].any(axis=1)
    return half if told.all() else half[told], sums, sizes


def _sum_by_group(values: NDArray[Any], groups: Groups | None, rows: int) -> NDArray[Any]:
    """Return the sums over the pairs of each group."""
    return values if groups is None else np.bincount(groups, values, minlength=rows)


def _compute_t(sums: Floats, squares: Floats, cubes: Floats, sizes: NDArray[np.int64]) -> Floats:
    """Return Hall's transformed t statistic from sums of powers of the terms; infinite where undefined."""
    some = np.maximum(sizes, 1)
    mean = sums / some
    variance = squares / some - mean**2
    # rounding residue of a zero variance
    variance = np.where(variance <= 1e-12 * squares, 0, variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / np.sqrt(variance / np.maximum(sizes - 1, 1))
        third = (cubes / some - 3 * mean * squares / some + 2 * mean**3) / variance**1.5
        skewed = third / np.sqrt(some)
        # the cubic term keeps it rising with t, as Johnson's correction without it does not
        found: Floats = np.where(variance > 0, t + skewed * t**2 / 3 + skewed**2 * t**3 / 27 + skewed / 6, t)
    return np.where((sizes < 2) | np.isnan(found), np.inf, found)


def _draw_sums(values: NDArray[np.float32], flips: int) -> Iterator[Floats]:
    """Yield blocks of column sums over random subsets of rows: one fair coin per row of `values` and flip.

    Deterministic (fixed seed). The block size suits the processor's cache.
    """
    random = np.random.default_rng(_SEED)
    for start in range(0, flips, _BLOCK):
        rows = min(_BLOCK, flips - start)
        sums = np.zeros((rows, values.shape[1]))
        for first in range(0, len(values), _BLOCK):
            part = values[first : first + _BLOCK]
            bits = random.integers(0, 256, size=(rows, (len(part) + 7) // 8), dtype=np.uint8)
            sums += np.unpackbits(bits, axis=1, count=len(part)).astype(np.float32) @ part
        yield sums
