"""Segment the person in a box with GrabCut, starting from a silhouette."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segqa.data.mask import Image, Mask

Box: TypeAlias = NDArray[np.float64]
"""`[4]`: x0, y0, x1, y1."""

_Trimap: TypeAlias = NDArray[np.uint8]
_Model: TypeAlias = NDArray[np.float64]
_Floats: TypeAlias = NDArray[np.float32]

BODY_HEIGHT = 200
"""The height in pixels at which a person is cut, whatever the size of the image. It bounds the time of a cut."""

_COMPONENTS = 5
"""How many Gaussians OpenCV's GrabCut gives to each side."""

# The next three lines, like the softness of the silhouette, were chosen on every fifth photo of Clothing Co-Parsing.
_SURE_PERSON, _SURE_BACKGROUND = 0.7, 0.005
"""Likelihoods by silhouette alone that the first run may not overrule."""

_SETTLED_PERSON, _SETTLED_BACKGROUND = 1.5, -4.0
"""Log odds by colour and silhouette that the second run may not overrule; far apart, as missing limbs cost most."""

_TRUST_IN_COLOUR = 3.0
"""The most that colour may add to or take from the log odds: no colour is impossible on a person."""

_SMALLEST_PART = 0.1
_SIDE = 9
_HALF_SEPARATED = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A person's mask `[H, W]` at the size of the image, and how well it separates, in [0, 1]."""

    mask: Mask
    separation: float


@dataclass(frozen=True, slots=True, eq=False)
class _Crop:
    """The surroundings of a box: their pixels at working size, the box in them, and where they lie in the image."""

    pixels: Image
    box: Box
    rows: slice
    columns: slice


def cut_person(image: Image, box: Box, iterations: int) -> Cut | None:
    """Segment the upright person in a box; None if the mask has no pixel in the image.

    Args:
        image: RGB `[H, W, 3]`.
        box: from crown to sole and from side to side; it may reach beyond the image.
        iterations: of each of the two GrabCut runs.
    """
    crop = _crop(image, box)
    if crop is None:
        return None
    likelihood = draw_silhouette(crop.box, crop.pixels.shape[:2])
    small = _remove_small_parts(_cut(crop.pixels, likelihood, iterations))
    # Check the full-size mask, not the small one: a thin mask may vanish when it is resized.
    mask = _paste(small, crop, image.shape[:2])
    return Cut(mask, compute_separation(crop.pixels, small)) if mask.any() else None


def compute_separation(pixels: Image, mask: Mask) -> float:
    """Compute how well a mask stands out from its surroundings, in [0, 1].

    At each pixel of the outline, the mean colours of what lies inside and of what lies outside within 4 pixels are
    compared: their distance `d` in CIELAB becomes `d / (d + 20)`, so that a clear difference counts and a glaring one
    does not count much more. The mean over the outline is the answer. An even mask on an even ground of another colour
    comes close to 1; where part of the outline runs through one colour, that part counts 0. An empty mask and one that
    fills the image have no outline: 0.

    Args:
        pixels: RGB `[H, W, 3]`.
        mask: `[H, W]`.

    >>> picture = np.zeros((9, 9, 3), np.uint8)
    >>> picture[3:6, 3:6] = 255
    >>> round(compute_separation(picture, picture[..., 0] > 0), 2)
    0.93
    """
    outline = _find_outline(mask)
    if not outline.any():
        return 0.0
    colours = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
    inside, outside = _compute_mean_colour(colours, mask)[outline], _compute_mean_colour(colours, ~mask)[outline]
    distance = np.linalg.norm(inside - outside, axis=1)
    return float((distance / (distance + _HALF_SEPARATED)).mean())


def _find_outline(mask: Mask) -> Mask:
    """Return the pixels that touch both the mask and the background."""
    square = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_GRADIENT, square) > 0)


def _compute_mean_colour(colours: _Floats, mask: Mask) -> _Floats:
    """Compute around each pixel the mean colour of the pixels in the mask; undefined where there are none."""
    weight = mask.astype(np.float32)
    share = cv2.blur(weight, (_SIDE, _SIDE))
    total = cv2.blur(colours * weight[..., None], (_SIDE, _SIDE))
    return np.asarray(total / np.maximum(share, 1e-6)[..., None], np.float32)


def _crop(image: Image, box: Box) -> _Crop | None:
    """Crop a box with its surroundings, scaled to a person of `BODY_HEIGHT`; None if all of it is outside the image."""
    height, axis = box[3] - box[1], (box[0] + box[2]) / 2
    left, right = axis - HALF_WIDTH * height, axis + HALF_WIDTH * height
    columns = _clip(left, right, image.shape[1])
    rows = _clip(box[1] - MARGIN * height, box[3] + MARGIN * height, image.shape[0])
    pixels = image[rows, columns]
    if not pixels.size:
        return None
    scale = BODY_HEIGHT / height
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    shifted = (box - np.tile([columns.start, rows.start], 2)) * scale
    return _Crop(scaled.astype(np.uint8, copy=False), shifted, rows, columns)


def _clip(start: float, stop: float, length: int) -> slice:
    first = min(max(0, round(start)), length)
    return slice(first, min(max(first, round(stop)), length))


def _paste(small: Mask, crop: _Crop, shape: tuple[int, ...]) -> Mask:
    """Paste the mask of a crop into a full-size mask: interpolate and cut at one half, so that outlines stay smooth."""
    mask = np.zeros(shape, np.bool_)
    place = mask[crop.rows, crop.columns]
    soft = cv2.resize(small.view(np.uint8) * 255, place.shape[::-1], interpolation=cv2.INTER_LINEAR)
    place[:] = soft > 127
    return mask


def _cut(pixels: Image, likelihood: Likelihood, iterations: int) -> Mask:
    """Run GrabCut from the silhouette alone, then from colour and silhouette together."""
    person, background = np.zeros((1, 13 * _COMPONENTS)), np.zeros((1, 13 * _COMPONENTS))
    trimap = _make_trimap(likelihood - 0.5, _SURE_PERSON - 0.5, _SURE_BACKGROUND - 0.5)
    if not _run(pixels, trimap, background, person, iterations):
        return _is_person(trimap)
    evidence = cv2.GaussianBlur(
        _compute_log_density(pixels, person) - _compute_log_density(pixels, background), (0, 0), 1.0
    )
    belief = np.log((likelihood + 0.01) / (1.01 - likelihood))
    both = np.clip(evidence, -_TRUST_IN_COLOUR, _TRUST_IN_COLOUR) + belief
    trimap = _make_trimap(both, _SETTLED_PERSON, _SETTLED_BACKGROUND)
    _run(pixels, trimap, background, person, iterations)
    return _is_person(trimap)


def _make_trimap(value: NDArray[Any], person: float, background: float) -> _Trimap:
    """Make GrabCut's four labels: by sign where the value is uncertain, fixed above `person` and below `background`."""
    trimap = np.where(value > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[value > person] = cv2.GC_FGD
    trimap[value < background] = cv2.GC_BGD
    return trimap


def _run(pixels: Image, trimap: _Trimap, background: _Model, person: _Model, iterations: int) -> bool:
    """Run GrabCut, which changes all arrays but the pixels; return False if it cannot run because one side is empty."""
    inside = _is_person(trimap)
    if inside.all() or not inside.any():
        return False
    # GrabCut starts its colours with k-means, which draws from the global generator of this thread.
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels, trimap, (0, 0, 0, 0), background, person, iterations, cv2.GC_INIT_WITH_MASK)
    return True


def _is_person(trimap: _Trimap) -> Mask:
    return np.asarray((trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD))


def _compute_log_density(pixels: Image, model: _Model) -> NDArray[np.float64]:
    """Compute the log density of GrabCut's mixture of Gaussians at each pixel.

    A model is OpenCV's row of 65 numbers: 5 weights, 5 means of 3, 5 covariances of 3 by 3.
    """
    weights, means, covariances = np.split(model.ravel(), [_COMPONENTS, 4 * _COMPONENTS])
    colours = pixels.reshape(-1, 3).astype(np.float64)
    density = np.full(len(colours), 1e-12)
    for weight, mean, covariance in zip(weights, means.reshape(-1, 3), covariances.reshape(-1, 3, 3), strict=True):
        # A photo's noise keeps the floor of 2 grey levels harmless; without it, an even colour has no inverse.
        spread = covariance + 4.0 * np.eye(3)
        away = colours - mean
        distance = ((away @ np.linalg.inv(spread)) * away).sum(axis=1)
        density += weight * np.exp(-0.5 * distance) / np.sqrt(np.linalg.det(spread))
    return np.asarray(np.log(density).reshape(pixels.shape[:2]))


def _remove_small_parts(mask: Mask) -> Mask:
    """Remove the components of a mask that are smaller than a tenth of the largest one."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = areas >= _SMALLEST_PART * areas[1:].max()
    kept[0] = False
    return np.asarray(kept[labels])


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


def draw_silhouette(box: NDArray[np.float64], shape: tuple[int, int]) -> Likelihood:
    """Draw the likelihood that each pixel of a crop belongs to the person in `box`.

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
    placed = cv2.warpAffine(_draw_figure(), place, shape[::-1], flags=cv2.INTER_LINEAR)
    return placed.astype(np.float32, copy=False)


@cache
def _draw_figure() -> Likelihood:
    """Draw the figure at its own size, blurred because the positions of limbs and box vary."""
    height = round((1 + 2 * MARGIN) * _BODY_HEIGHT)
    width = round(2 * HALF_WIDTH * _BODY_HEIGHT)
    canvas = np.zeros((height, width), np.float32)
    centre, radii = _to_subpixels([_HEAD_CENTRE])[0], _scale_lengths(_HEAD_RADII)
    cv2.ellipse(canvas, centre.tolist(), radii, 0, 0, 360, 1.0, cv2.FILLED, shift=_SUBPIXEL_BITS)
    for part in (_TRUNK, _LEG, [(-x, y) for x, y in _LEG]):
        cv2.fillPoly(canvas, [_to_subpixels(part)], 1.0, shift=_SUBPIXEL_BITS)
    soft = cv2.GaussianBlur(canvas, (0, 0), _SOFTNESS * _BODY_HEIGHT)
    return soft.astype(np.float32, copy=False)


def _to_subpixels(points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
    """Convert points in body heights to the units in which OpenCV draws: whole numbers of 1/8 pixel."""
    moved = np.asarray(points) + np.array([HALF_WIDTH, MARGIN])
    return np.asarray(np.rint(moved * (_BODY_HEIGHT << _SUBPIXEL_BITS)), np.int32)


def _scale_lengths(lengths: tuple[float, float]) -> tuple[int, int]:
    """Convert lengths in body heights to whole numbers of 1/8 pixel."""
    unit = _BODY_HEIGHT << _SUBPIXEL_BITS
    return round(lengths[0] * unit), round(lengths[1] * unit)
