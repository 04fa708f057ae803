"""Small figures, each a prediction and its target, of which the literature prints values; see test_published_values."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from segqa.data.mask import Mask

Pair: TypeAlias = tuple[Mask, Mask]


def spikes() -> Pair:
    """Figure 10: a square found with a spike of two pixels on each side."""
    p, t = np.zeros((2, 11, 11), np.bool_)
    p[3:8, 3:8] = t[3:8, 3:8] = True
    p[5, 1:10] = p[1:10, 5] = True
    return p, t


def too_small() -> Pair:
    """Figure SN 2.10, left: a square of 4, of which the inner 2 are found."""
    p, t = np.zeros((2, 14, 14), np.bool_)
    p[6:8, 6:8] = t[5:9, 5:9] = True
    return p, t


def too_large() -> Pair:
    """Figure SN 2.10, right: the same square, found with a pixel more all around."""
    p, t = np.zeros((2, 14, 14), np.bool_)
    p[4:10, 4:10] = t[5:9, 5:9] = True
    return p, t


def a_row_short() -> Pair:
    """Figure SN 2.12: a square of 19, found without its first row."""
    p, t = np.zeros((2, 22, 22), np.bool_)
    p[3:21, 2:21] = t[2:21, 2:21] = True
    return p, t


def stray_pixel() -> Pair:
    """Figure 5c: the target has one pixel, far away, by mistake."""
    p, t = np.zeros((2, 14, 14), np.bool_)
    p[9:12, 9:12] = t[9:12, 9:12] = t[1, 1] = True
    return p, t
