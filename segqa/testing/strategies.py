"""Hypothesis strategies for masks, pairs of masks, proposals, images and cases.

The masks have realistic structure (blobs, lines, frames, checkerboards, holes, single pixels, contact with the border)
or are noise. Examples shrink to few pixels, background first.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from segqa.data.case import Case, Target
from segqa.data.mask import Image, Mask, bounding_box
from segqa.models.protocol import Proposals

Shape: TypeAlias = tuple[int, int]
Pair: TypeAlias = tuple[Mask, Mask]

MAX_SIDE = 5
"""Maximum height and width of masks by default: a few pixels are enough to break a law."""


def shapes(max_side: int = MAX_SIDE) -> SearchStrategy[Shape]:
    """Return a strategy for heights and widths of at least 1."""
    return st.tuples(st.integers(1, max_side), st.integers(1, max_side))


@st.composite
def masks(draw: DrawFn, shape: Shape | None = None, *, max_side: int = MAX_SIDE) -> Mask:
    """Draw a mask, bool `[H, W]`.

    Args:
        draw: provided by hypothesis.
        shape: height and width; random small ones by default.
        max_side: maximum height and width if no shape is given.
    """
    size = draw(shapes(max_side)) if shape is None else shape
    return draw(st.sampled_from(_KINDS))(draw, size)


@st.composite
def mask_pairs(
    draw: DrawFn,
    iou: float | tuple[float, float] | None = None,
    *,
    shape: Shape | None = None,
    max_side: int = MAX_SIDE,
) -> Pair:
    """Draw a prediction and a target of one shape: independent, nearly equal, or shifted; both may be empty.

    Args:
        draw: provided by hypothesis.
        iou: their IoU, or its lower and upper bound; the target is then not empty.
        shape: height and width; random small ones by default.
        max_side: maximum height and width if no shape is given.
    """
    size = draw(shapes(max_side)) if shape is None else shape
    target = draw(masks(size))
    if iou is not None:
        low, high = iou if isinstance(iou, tuple) else (iou, iou)
        return _draw_with_iou(draw, target, low, high), target
    kind = draw(st.sampled_from(["any", "near", "shifted"]))
    if kind == "any":
        return draw(masks(size)), target
    if kind == "near":
        prediction = target.copy()
        for _ in range(draw(st.integers(0, 2))):
            prediction.flat[draw(st.integers(0, target.size - 1))] ^= True
        return prediction, target
    return np.roll(target, draw(st.integers(0, 2)), axis=draw(st.integers(0, 1))), target


@st.composite
def proposals(
    draw: DrawFn, *, min_size: int = 0, max_size: int = 5, shape: Shape | None = None, unknown: bool = False
) -> Proposals:
    """Draw proposals with scores from 0 to 1; equal scores are common, as they are in models that round.

    Args:
        draw: provided by hypothesis.
        min_size: minimum number of masks.
        max_size: maximum number of masks.
        shape: height and width of the masks.
        unknown: let scores be NaN, too.
    """
    size = draw(shapes(2)) if shape is None else shape
    count = draw(st.integers(min_size, max_size))
    # eighths; numpy reads None as NaN
    score = st.one_of(st.integers(0, 8), st.none()) if unknown else st.integers(0, 8)
    listed = st.lists(score, min_size=count, max_size=count)
    mask_scores, box_scores = (np.array(draw(listed), float) / 8 for _ in range(2))
    if shape is None:
        # such small masks need no structure: one draw for all is faster
        stacked = _draw_noise(draw, (count, *size))
    else:
        stacked = np.array([draw(masks(size)) for _ in range(count)], np.bool_).reshape(count, *size)
    return Proposals(stacked, mask_scores, box_scores, np.zeros((count, 4)))


@st.composite
def images(draw: DrawFn, shape: Shape | None = None, *, max_side: int = 48) -> Image:
    """Draw an RGB image, uint8 `[H, W, 3]`: flat, a gradient, an object on a background, grey, or noise."""
    height, width = size = draw(shapes(max_side)) if shape is None else shape
    first, second = (np.array(draw(st.tuples(*[st.integers(0, 255)] * 3)), np.uint8) for _ in range(2))
    kind = draw(st.sampled_from(["flat", "object", "gradient", "grey", "noise"]))
    if kind == "flat":
        return np.broadcast_to(first, (height, width, 3)).copy()
    if kind == "object":
        return np.where(draw(masks(size))[:, :, None], second, first)
    if kind == "noise":
        return np.random.default_rng(draw(st.integers(0, 2**16))).integers(0, 256, (height, width, 3), np.uint8)
    ramp = np.linspace(0, 255, width).astype(np.uint8)[None, :, None]
    grey = np.broadcast_to(ramp, (height, width, 3)).copy()
    return grey if kind == "grey" else grey // 2 + first // 2


@st.composite
def cases(draw: DrawFn, shape: Shape | None = None) -> Case:
    """Draw a case whose image shows its target: an object brighter than the background."""
    target = draw(masks(shape, max_side=12))
    dark, bright = draw(st.integers(0, 100)), draw(st.integers(150, 255))
    image = np.where(target, bright, dark).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    return Case(id="drawn", prompt="person.", source=MemorySource(image, target))


@dataclass(frozen=True, eq=False)
class MemorySource:
    """An in-memory source of a case's image and mask.

    Attributes:
        pixels: RGB uint8 `[H, W, 3]`.
        mask: bool `[H, W]`.
    """

    pixels: Image
    mask: Mask

    def digest(self) -> bytes:
        """Return the digest of the image."""
        return _digest_array(self.pixels)

    def image(self) -> Image:
        """Return a copy of the image."""
        return self.pixels.copy()

    def target(self) -> Target:
        """Return a copy of the target."""
        return Target(self.mask.copy())

    def target_digest(self) -> bytes:
        """Return the digest of the target."""
        return _digest_array(self.mask)

    def stamp(self) -> str:
        """Return a stamp of image and target."""
        return (self.digest() + self.target_digest()).hex()


def _digest_array(array: Any) -> bytes:
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).digest()[:16]


def _draw_with_iou(draw: DrawFn, target: Mask, low: float, high: float) -> Mask:
    """Draw a prediction whose IoU with a target lies between two bounds."""
    wanted, rest = int(target.sum()), int((~target).sum())
    assume(wanted > 0)
    ways = [(tp, fp) for tp in range(wanted, -1, -1) for fp in range(rest + 1) if low <= tp / (wanted + fp) <= high]
    assume(ways)
    tp, fp = draw(st.sampled_from(ways))
    prediction = np.zeros_like(target)
    for places, count in ((np.flatnonzero(target), tp), (np.flatnonzero(~target), fp)):
        prediction.flat[draw(st.permutations(list(places)))[:count]] = True
    return prediction


def _draw_empty(_: DrawFn, size: Shape) -> Mask:
    return np.zeros(size, np.bool_)


def _draw_pixel(draw: DrawFn, size: Shape) -> Mask:
    mask = np.zeros(size, np.bool_)
    mask[draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))] = True
    return mask


def _draw_box(draw: DrawFn, size: Shape) -> Mask:
    """Draw a filled rectangle; it may touch the border, be a line, or fill the mask."""
    mask = np.zeros(size, np.bool_)
    mask[tuple(_draw_interval(draw, side) for side in size)] = True
    return mask


def _draw_interval(draw: DrawFn, side: int) -> slice:
    start = draw(st.integers(0, side - 1))
    return slice(start, draw(st.integers(start + 1, side)))


def _draw_frame(draw: DrawFn, size: Shape) -> Mask:
    """Draw a rectangle, with a hole if it is large enough for one."""
    mask = _draw_box(draw, size)
    rows, columns = bounding_box(mask)
    mask[rows.start + 1 : rows.stop - 1, columns.start + 1 : columns.stop - 1] = False
    return mask


def _draw_blob(draw: DrawFn, size: Shape) -> Mask:
    """Draw an ellipse."""
    radii = [draw(st.integers(1, max(1, side))) for side in size]
    centre = [draw(st.integers(0, side - 1)) for side in size]
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray(((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 < 1)


def _draw_line(draw: DrawFn, size: Shape) -> Mask:
    """Draw a diagonal line, one pixel wide."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray(rows - columns == draw(st.integers(1 - size[1], size[0] - 1)))


def _draw_checkerboard(draw: DrawFn, size: Shape) -> Mask:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray((rows + columns) % 2 == draw(st.integers(0, 1)))


def _draw_noise(draw: DrawFn, size: tuple[int, ...]) -> Mask:
    """Draw random pixels as the bits of one number."""
    count = math.prod(size)
    number = draw(st.integers(0, 2**count - 1))
    return np.array([number >> place & 1 for place in range(count)], np.bool_).reshape(size)


_KINDS: Sequence[Callable[[DrawFn, Shape], Mask]] = (
    _draw_empty,
    _draw_pixel,
    _draw_box,
    _draw_line,
    _draw_blob,
    _draw_frame,
    _draw_checkerboard,
    _draw_noise,
)
"""The simplest kinds first, since examples shrink towards them."""
