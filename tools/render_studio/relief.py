"""A relief is a height field with normals and colours; limbs are laid on it one after the other.

Pixels are computed by additions, products, quotients and square roots of float32 arrays alone. IEEE 754 defines these
exactly, so the same limbs give the same bytes on every machine (`sin`, `exp`, `pow` and float filters would not).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tools.render_studio.texture import make_fold_slopes

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Vector = NDArray[np.float64]
Normal = tuple[Floats, Floats, Floats]
Profile = tuple[tuple[float, float, float, float], ...]

HOLE = 255
"""The value of a paint where the limb has no surface."""

STOPS = 128
SHORT = 0.5
"""An axis of fewer pixels has no direction in the image."""

NOWHERE = np.float32(-1e4)


@dataclass(frozen=True, slots=True)
class Cloth:
    """A material: its colour, how much it shines and how deep its folds are."""

    colour: tuple[int, int, int]
    gloss: float = 0.06
    fold: float = 0.0


@dataclass(frozen=True, slots=True)
class Spot:
    """The position of each pixel along a limb (0 to 1), and its normal's components to the limb's side and front."""

    along: Floats
    side: Floats
    front: Floats


Paint = Callable[[Spot], Bytes]
"""Returns the index of the material that each pixel of a limb shows, or `HOLE`."""


def paint_plain(spot: Spot) -> Bytes:
    """Paint the first material everywhere."""
    return np.zeros(spot.along.shape, np.uint8)


def make_bands(*ends: float) -> Paint:
    """Return a paint that changes the material along the limb: the first up to the first end, and so on."""

    def paint(spot: Spot) -> Bytes:
        index = np.zeros(spot.along.shape, np.uint8)
        for end in ends:
            index += spot.along > end
        return index

    return paint


@dataclass(frozen=True, slots=True)
class Limb:
    """A solid with elliptic cross-sections around a straight axis, in pixels: x right, y down, z to the viewer.

    `profile` holds (along, half width towards `side`, half depth towards `front`, shift of the axis to the front).
    `caps` give the roundness of the two ends: 1 is a hemisphere, 0 is flat.
    """

    start: Vector
    end: Vector
    side: Vector
    front: Vector
    profile: Profile
    cloths: tuple[Cloth, ...]
    paint: Paint = paint_plain
    blend: float = 0.0
    caps: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Relief:
    """Height `[H, W]`, unit normals `[3, H, W]`, colours `[3, H, W]` in 0 to 255 and gloss `[H, W]`."""

    height: Floats
    normal: Floats
    colour: Floats
    gloss: Floats


@dataclass(frozen=True, slots=True)
class _Axis:
    """A limb's projected axis, and its profile as tables of STOPS entries with projected radii."""

    length: float
    along: tuple[float, float]
    width: Floats
    depth: Floats
    shift: Floats
    flare: Floats


@dataclass(frozen=True, slots=True)
class _Surface:
    """The visible side of a limb, by pixel; `place` is the distance in pixels along and across the axis."""

    interior_counts: NDArray[np.bool_]
    height: Floats
    normal: Normal
    along: Floats
    place: tuple[Floats, Floats]


def make_blank_relief(height: int, width: int) -> Relief:
    """Return a relief without any limb."""
    return Relief(
        height=np.full((height, width), NOWHERE, np.float32),
        normal=np.zeros((3, height, width), np.float32),
        colour=np.zeros((3, height, width), np.float32),
        gloss=np.zeros((height, width), np.float32),
    )


def lay_limb(relief: Relief, limb: Limb) -> None:
    """Add a limb: it hides what is farther away, and blends with what is closer to it than its `blend`."""
    axis = _project_axis(limb)
    rows, columns = _find_window(limb, axis, relief.height.shape)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    surface = _compute_surface(limb, axis, rows, columns)
    shown = _choose_cloths(limb, surface, axis)
    normal = _rotate_to_image(_bend_by_folds(surface, limb, shown), axis)
    surface = replace(surface, interior_counts=surface.interior_counts & (shown != HOLE), normal=normal)
    _merge_surface(relief, limb, (rows, columns), surface, shown)


def _project_axis(limb: Limb) -> _Axis:
    step = limb.end - limb.start
    length = max(float(np.sqrt(step[0] ** 2 + step[1] ** 2)), SHORT)
    ux, uy = (float(step[0]) / length, float(step[1]) / length) if length > SHORT else (0.0, 1.0)
    side = float(limb.side[1]) * ux - float(limb.side[0]) * uy
    front = float(limb.front[1]) * ux - float(limb.front[0]) * uy
    half, deep, shift = _smooth_profile(limb.profile)
    width = np.sqrt((half * side) ** 2 + (deep * front) ** 2)
    depth = np.sqrt((half * float(limb.side[2])) ** 2 + (deep * float(limb.front[2])) ** 2)
    width, depth = np.maximum(width, 0.4), np.maximum(depth, 0.4)
    flare = np.zeros_like(width)
    flare[1:-1] = (width[2:] - width[:-2]) * (STOPS / 2 / length)
    singles = (table.astype(np.float32) for table in (width, depth, shift * front, np.clip(flare, -1.2, 1.2)))
    return _Axis(length, (ux, uy), *singles)


def _smooth_profile(profile: Profile) -> Vector:
    """Interpolate the profile to `[3, STOPS]` and smooth its corners."""
    along, *columns = np.array(profile, np.float64).T
    even = np.linspace(0, 1, STOPS)
    table = np.stack([np.interp(even, along, column) for column in columns])
    places = np.arange(STOPS)
    for reach in (9, 6, 4):
        before, after = np.maximum(places - reach, 0), np.minimum(places + reach, STOPS - 1)
        table = (table[:, before] + table * 2 + table[:, after]) / 4
    return table


def _find_window(limb: Limb, axis: _Axis, shape: tuple[int, ...]) -> tuple[slice, slice]:
    reach = float(axis.width.max() + np.abs(axis.shift).max()) + 1
    low = np.minimum(limb.start, limb.end) - reach
    high = np.maximum(limb.start, limb.end) + reach
    rows = slice(max(int(low[1]), 0), min(int(high[1]) + 1, shape[0]))
    columns = slice(max(int(low[0]), 0), min(int(high[0]) + 1, shape[1]))
    return rows, columns


def _compute_surface(limb: Limb, axis: _Axis, rows: slice, columns: slice) -> _Surface:
    """Compute the visible side of the limb in a window of the image."""
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(limb.start[1])
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(limb.start[0])
    ux, uy = np.float32(axis.along[0]), np.float32(axis.along[1])
    lengthwise, crosswise = x * ux + y * uy, y * ux - x * uy
    along: Floats = np.clip(lengthwise / np.float32(axis.length), 0, 1)
    index = (along * np.float32(STOPS - 1) + np.float32(0.5)).astype(np.intp)
    width, depth = axis.width[index], axis.depth[index]
    first, last = (np.float32(1 / max(cap, 1e-3)) for cap in limb.caps)
    beyond = (lengthwise - along * np.float32(axis.length)) / width * np.where(lengthwise < 0, first, last)
    across = (crosswise - axis.shift[index]) / width
    room = 1 - across * across - beyond * beyond
    bulge = np.sqrt(np.maximum(room, 0)).astype(np.float32, copy=False)
    rise = np.float32(limb.end[2] - limb.start[2])
    facing = bulge / depth
    ends: Floats = np.clip(np.minimum(along, 1 - along) * np.float32(6), 0, 1)
    slope = np.clip(rise / np.float32(axis.length), np.float32(-2), np.float32(2))
    lengthward = beyond / width - (slope * facing + axis.flare[index] / width) * ends
    height = np.float32(limb.start[2]) + along * rise + depth * bulge
    return _Surface(room > 0, height, _normalize(across / width, lengthward, facing), along, (lengthwise, crosswise))


def _normalize(across: Floats, along: Floats, facing: Floats) -> Normal:
    size = np.sqrt(across * across + along * along + facing * facing) + np.float32(1e-6)
    return across / size, along / size, facing / size


def _rotate_to_image(normal: Normal, axis: _Axis) -> Normal:
    """Rotate normals from (across, along, facing) to the image's x, y, z."""
    across, along, facing = normal
    ux, uy = np.float32(axis.along[0]), np.float32(axis.along[1])
    return along * ux - across * uy, along * uy + across * ux, facing


def _choose_cloths(limb: Limb, surface: _Surface, axis: _Axis) -> Bytes:
    along = surface.along
    if limb.paint is paint_plain:
        return paint_plain(Spot(along, along, along))
    x, y, z = _rotate_to_image(surface.normal, axis)
    shares = [x * np.float32(v[0]) + y * np.float32(v[1]) + z * np.float32(v[2]) for v in (limb.side, limb.front)]
    return limb.paint(Spot(along, *shares))


def _bend_by_folds(surface: _Surface, limb: Limb, shown: Bytes) -> Normal:
    """Bend the normals by the folds of the cloth, which are deepest near the joints."""
    folds = np.array([*(cloth.fold for cloth in limb.cloths), 0.0], np.float32)
    if not folds.any():
        return surface.normal
    off = surface.along - np.float32(0.5)
    strength = folds[np.minimum(shown, len(folds) - 1)] * (off * off * np.float32(2) + np.float32(0.6))
    seed = int(limb.profile[0][1] * 7)
    row, column = (place.astype(np.intp) + seed & 255 for place in surface.place)
    slopes = make_fold_slopes()[:, row, column]
    across, along, facing = surface.normal
    return _normalize(across + slopes[0] * strength, along + slopes[1] * strength, facing)


def _merge_surface(relief: Relief, limb: Limb, window: tuple[slice, slice], surface: _Surface, shown: Bytes) -> None:
    """Merge a surface into the relief: the nearer colour wins; within the blend, heights and normals are mixed."""
    height = relief.height[window]
    gain = surface.height - height
    blend = np.float32(max(limb.blend, 1e-3))
    share = np.clip(gain / (2 * blend) + np.float32(0.5), 0, 1) * surface.interior_counts
    for channel, value in zip(relief.normal, surface.normal, strict=True):
        channel[window] += share * (value - channel[window])
    height += share * gain + blend * share * (1 - share)
    table = np.array([*((*cloth.colour, cloth.gloss) for cloth in limb.cloths), (0, 0, 0, 0)], np.float32)
    chosen, nearer = np.minimum(shown, len(limb.cloths)), surface.interior_counts & (gain > 0)
    for part, channel in enumerate((*relief.colour, relief.gloss)):
        np.copyto(channel[window], table[:, part][chosen], where=nearer)
