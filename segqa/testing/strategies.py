"""Hypothesis strategies for masks, pairs of masks, proposals, images and cases.

What they draw has structure, as real masks have: blobs, lines, frames, checkerboards, holes, single pixels, contact
with the border; and there is noise. Examples shrink to few pixels, background first.
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
"""Masks are so high and wide at most, unless a shape is asked for: what breaks a law breaks it on few pixels."""


def shapes(max_side: int = MAX_SIDE) -> SearchStrategy[Shape]:
    """Heights and widths from 1."""
    return st.tuples(st.integers(1, max_side), st.integers(1, max_side))


@st.composite
def masks(draw: DrawFn, shape: Shape | None = None, *, max_side: int = MAX_SIDE) -> Mask:
    """A mask, bool `[H, W]`.

    Args:
        draw: hypothesis gives it.
        shape: height and width; small ones of all shapes by default.
        max_side: of the shapes that are drawn.
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
    """A prediction and a target of one shape: independent, nearly equal, or shifted; both may be empty.

    Args:
        draw: hypothesis gives it.
        iou: what their IoU shall be, or from where to where; then the target is not empty.
        shape: height and width; small ones of all shapes by default.
        max_side: of the shapes that are drawn.
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
    """Proposals with scores from 0 to 1; equal scores are common, as they are in models that round.

    Args:
        draw: hypothesis gives it.
        min_size: so many masks at least.
        max_size: so many at most.
        shape: of the masks.
        unknown: whether scores may be NaN.
    """
    size = draw(shapes(2)) if shape is None else shape
    count = draw(st.integers(min_size, max_size))
    # eighths; numpy reads None as NaN
    score = st.one_of(st.integers(0, 8), st.none()) if unknown else st.integers(0, 8)
    listed = st.lists(score, min_size=count, max_size=count)
    mask_scores, box_scores = (np.array(draw(listed), float) / 8 for _ in range(2))
    if shape is None:
        # so small masks have no structure: all are drawn at once, which is faster
        stacked = _draw_noise(draw, (count, *size))
    else:
        stacked = np.array([draw(masks(size)) for _ in range(count)], np.bool_).reshape(count, *size)
    return Proposals(stacked, mask_scores, box_scores, np.zeros((count, 4)))


@st.composite
def images(draw: DrawFn, shape: Shape | None = None, *, max_side: int = 48) -> Image:
    """An RGB image, uint8 `[H, W, 3]`: flat, a gradient, an object on a background, grey, or noise."""
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
    """A case whose image shows its target: an object brighter than the background."""
    target = draw(masks(shape, max_side=12))
    dark, bright = draw(st.integers(0, 100)), draw(st.integers(150, 255))
    image = np.where(target, bright, dark).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    return Case(id="drawn", prompt="person.", source=MemorySource(image, target))


@dataclass(frozen=True, eq=False)
class MemorySource:
    """A case's pixels in memory.

    Attributes:
        pixels: RGB uint8 `[H, W, 3]`.
        mask: bool `[H, W]`.
    """

    pixels: Image
    mask: Mask

    def digest(self) -> bytes:
        """Of the image."""
        return _digest_array(self.pixels)

    def image(self) -> Image:
        """A copy of the image."""
        return self.pixels.copy()

    def target(self) -> Target:
        """A copy of the target."""
        return Target(self.mask.copy())

    def target_digest(self) -> bytes:
        """Of the target."""
        return _digest_array(self.mask)

    def stamp(self) -> str:
        """Of both."""
        return (self.digest() + self.target_digest()).hex()


def _digest_array(array: Any) -> bytes:
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).digest()[:16]


def _draw_with_iou(draw: DrawFn, target: Mask, low: float, high: float) -> Mask:
    """A prediction whose IoU with a target lies between two bounds."""
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
    """A filled rectangle; it may touch the border, be a line, or be everything."""
    mask = np.zeros(size, np.bool_)
    mask[tuple(_draw_interval(draw, side) for side in size)] = True
    return mask


def _draw_interval(draw: DrawFn, side: int) -> slice:
    start = draw(st.integers(0, side - 1))
    return slice(start, draw(st.integers(start + 1, side)))


def _draw_frame(draw: DrawFn, size: Shape) -> Mask:
    """A rectangle with a hole, if it is large enough for one."""
    mask = _draw_box(draw, size)
    rows, columns = bounding_box(mask)
    mask[rows.start + 1 : rows.stop - 1, columns.start + 1 : columns.stop - 1] = False
    return mask


def _draw_blob(draw: DrawFn, size: Shape) -> Mask:
    """An ellipse."""
    radii = [draw(st.integers(1, max(1, side))) for side in size]
    centre = [draw(st.integers(0, side - 1)) for side in size]
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray(((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 < 1)


def _draw_line(draw: DrawFn, size: Shape) -> Mask:
    """A diagonal line, one pixel wide."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray(rows - columns == draw(st.integers(1 - size[1], size[0] - 1)))


def _draw_checkerboard(draw: DrawFn, size: Shape) -> Mask:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray((rows + columns) % 2 == draw(st.integers(0, 1)))


def _draw_noise(draw: DrawFn, size: tuple[int, ...]) -> Mask:
    """Any pixels at all; drawn as one number, whose bits they are."""
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
"""The simplest first: that is where examples shrink to."""
