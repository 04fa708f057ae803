"""A mask as a set of pixels `(row, column)`, and the metrics on such sets: slow, and without a line of segqa's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = frozenset[tuple[int, int]]

SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))


def pixels(mask: NDArray[np.bool_]) -> Pixels:
    """The pixels of a mask."""
    height, width = mask.shape
    return frozenset((y, x) for y in range(height) for x in range(width) if mask[y, x])


def counts(p: Pixels, t: Pixels, area: int) -> tuple[int, int, int, int]:
    """True and false positives, false and true negatives in an image of so many pixels."""
    return len(p & t), len(p - t), len(t - p), area - len(p | t)


def iou(p: Pixels, t: Pixels) -> float:
    """Of sets of which one may be empty, but not both."""
    return len(p & t) / len(p | t)


def dice(p: Pixels, t: Pixels) -> float:
    """Of sets of which one may be empty, but not both."""
    return 2 * len(p & t) / (len(p) + len(t))


def edge(mask: Pixels) -> Pixels:
    """The pixels with a side neighbour that is not of the mask."""
    return frozenset((y, x) for y, x in mask if any((y + b, x + a) not in mask for b, a in SIDES))


def band(mask: Pixels, width: int) -> Pixels:
    """The pixels from which so many steps, as a chess king walks, lead out of the mask."""
    steps = list(product(range(-width, width + 1), repeat=2))
    return frozenset((y, x) for y, x in mask if any((y + b, x + a) not in mask for b, a in steps))


def around(mask: Pixels, width: int) -> Pixels:
    """The pixels from which so many of a king's steps lead into the mask, itself included."""
    steps = list(product(range(-width, width + 1), repeat=2))
    return frozenset((y + b, x + a) for y, x in mask for b, a in steps)


def distances(start: Pixels, goal: Pixels) -> list[float]:
    """From each pixel of one set to the nearest of the other, in ascending order."""
    return sorted(min(math.sqrt((y - b) ** 2 + (x - a) ** 2) for b, a in goal) for y, x in start)


def percentile(ascending: Sequence[float], share: float) -> float:
    """By a straight line between the two values at hand, the first one being 0 % and the last one 100 %."""
    place = share / 100 * (len(ascending) - 1)
    low, high = ascending[math.floor(place)], ascending[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def hausdorff(p: Pixels, t: Pixels, share: float) -> float:
    """A percentile of the distances between the edges, the greater one of the two ways."""
    p_edge, t_edge = edge(p), edge(t)
    return max(percentile(distances(p_edge, t_edge), share), percentile(distances(t_edge, p_edge), share))


def nsd(p: Pixels, t: Pixels, tolerance: float) -> float:
    """The share of both edges that is no farther from the other one than the tolerance."""
    p_edge, t_edge = edge(p), edge(t)
    both = distances(p_edge, t_edge) + distances(t_edge, p_edge)
    return sum(distance <= tolerance for distance in both) / len(both)
