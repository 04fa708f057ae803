"""A silhouette says how likely each pixel of a crop is a person, from nothing but where the person's box lies.

The figure is drawn by hand from the proportions that life drawing teaches (a body is seven and a half heads high, two
heads wide at the shoulders, the legs begin half way up), a little wider than a bare body and with a larger head because
people wear clothes, hair and hats. It is not an average of masks.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Likelihood: TypeAlias = NDArray[np.float32]
"""`[H, W]` in [0, 1], 1 = surely a person."""

HALF_WIDTH = 0.35
"""How far the figure's surroundings reach to the left and right of its axis, in body heights."""

MARGIN = 0.12
"""How far they reach above the head and below the feet, in body heights."""

_BODY_HEIGHT = 200
_SUBPIXEL_BITS = 3
_SOFTNESS = 0.04

# Points are (x from the body's axis, y from the crown), in body heights.
_HEAD_CENTRE, _HEAD_RADII = (0.0, 0.075), (0.055, 0.08)
_TRUNK = (
    *((-0.03, 0.13), (0.03, 0.13), (0.11, 0.19), (0.13, 0.45), (0.10, 0.50)),
    *((-0.10, 0.50), (-0.13, 0.45), (-0.11, 0.19)),
)
_LEG = ((0.0, 0.45), (0.10, 0.45), (0.085, 0.75), (0.06, 0.97), (0.015, 0.97), (0.01, 0.6))


def silhouette(box: NDArray[np.float64], shape: tuple[int, int]) -> Likelihood:
    """How likely each pixel of a crop belongs to the person in `box`.

    Args:
        box: x0, y0, x1, y1 of the upright person, in pixels of the crop; it may reach beyond the crop.
        shape: (height, width) of the crop.

    Returns:
        `[height, width]`, 0 outside the surroundings of the figure.
    """
    scale = (box[3] - box[1]) / _BODY_HEIGHT
    axis = (box[0] + box[2]) / 2
    place = np.array(
        [
            [scale, 0.0, axis - HALF_WIDTH * _BODY_HEIGHT * scale],
            [0.0, scale, box[1] - MARGIN * _BODY_HEIGHT * scale],
        ],
    )
    placed = cv2.warpAffine(_figure(), place, shape[::-1], flags=cv2.INTER_LINEAR)
    return placed.astype(np.float32, copy=False)


@cache
def _figure() -> Likelihood:
    """The soft figure at its own size; soft because arms, legs and the box itself are never quite where expected."""
    height = round((1 + 2 * MARGIN) * _BODY_HEIGHT)
    width = round(2 * HALF_WIDTH * _BODY_HEIGHT)
    canvas = np.zeros((height, width), np.float32)
    centre, radii = _subpixels([_HEAD_CENTRE])[0], _lengths(_HEAD_RADII)
    cv2.ellipse(canvas, centre.tolist(), radii, 0, 0, 360, 1.0, cv2.FILLED, shift=_SUBPIXEL_BITS)
    for part in (_TRUNK, _LEG, [(-x, y) for x, y in _LEG]):
        cv2.fillPoly(canvas, [_subpixels(part)], 1.0, shift=_SUBPIXEL_BITS)
    soft = cv2.GaussianBlur(canvas, (0, 0), _SOFTNESS * _BODY_HEIGHT)
    return soft.astype(np.float32, copy=False)


def _subpixels(points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
    """Points in body heights as OpenCV draws them: whole numbers of 1/8 pixel."""
    moved = np.asarray(points) + np.array([HALF_WIDTH, MARGIN])
    return np.asarray(np.rint(moved * (_BODY_HEIGHT << _SUBPIXEL_BITS)), np.int32)


def _lengths(lengths: tuple[float, float]) -> tuple[int, int]:
    """Lengths in body heights in the same unit."""
    unit = _BODY_HEIGHT << _SUBPIXEL_BITS
    return round(lengths[0] * unit), round(lengths[1] * unit)
