"""A relief: a height field with normals and colours, on which solid limbs are laid one after the other.

Only additions, products, quotients and square roots of float32 arrays are used on pixels: these are exact by IEEE 754,
so that the same limbs leave the same bytes on every machine. (`sin`, `exp`, `pow` and float filters would not.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tools.render_studio.texture import fold_slopes

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Vector = NDArray[np.float64]
Normal = tuple[Floats, Floats, Floats]
Profile = tuple[tuple[float, float, float, float], ...]

HOLE = 255
"""What a paint answers where the limb has no surface."""

STOPS = 128
SHORT = 0.5
"""Pixels below which an axis has no direction in the picture."""

NOWHERE = np.float32(-1e4)


@dataclass(frozen=True, slots=True)
class Cloth:
    """A material: its colour, how much it shines and how deeply it folds."""

    colour: tuple[int, int, int]
    gloss: float = 0.06
    fold: float = 0.0


@dataclass(frozen=True, slots=True)
class Spot:
    """Where on a limb each pixel lies: along it (0 to 1), and its normal's share towards the limb's side and front."""

    along: Floats
    side: Floats
    front: Floats


Paint = Callable[[Spot], Bytes]
"""Which of a limb's cloths each pixel shows, by index."""


def plain(spot: Spot) -> Bytes:
    """The first cloth everywhere."""
    return np.zeros(spot.along.shape, np.uint8)


def bands(*ends: float) -> Paint:
    """The first cloth up to the first end, the second up to the next, and so on along the limb."""

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
    `caps` say how round the two ends are: 1 a hemisphere, 0 cut flat.
    """

    start: Vector
    end: Vector
    side: Vector
    front: Vector
    profile: Profile
    cloths: tuple[Cloth, ...]
    paint: Paint = plain
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
    """A limb's axis in the picture, and its profile as tables of STOPS entries: the radii are seen ones."""

    length: float
    along: tuple[float, float]
    width: Floats
    depth: Floats
    shift: Floats
    flare: Floats


@dataclass(frozen=True, slots=True)
class _Surface:
    """A limb's near side, pixel by pixel; `place` is the distance in pixels along and across the axis."""

    inside: NDArray[np.bool_]
    height: Floats
    normal: Normal
    along: Floats
    place: tuple[Floats, Floats]


def blank(height: int, width: int) -> Relief:
    """A relief with nothing on it."""
    return Relief(
        height=np.full((height, width), NOWHERE, np.float32),
        normal=np.zeros((3, height, width), np.float32),
        colour=np.zeros((3, height, width), np.float32),
        gloss=np.zeros((height, width), np.float32),
    )


def lay(relief: Relief, limb: Limb) -> None:
    """Add a limb to the relief, in front of what is farther away, melting into what is within its `blend`."""
    axis = _axis(limb)
    rows, columns = _window(limb, axis, relief.height.shape)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    surface = _surface(limb, axis, rows, columns)
    shown = _choose(limb, surface, axis)
    normal = _turned(_folded(surface, limb, shown), axis)
    surface = replace(surface, inside=surface.inside & (shown != HOLE), normal=normal)
    _merge(relief, limb, (rows, columns), surface, shown)


def _axis(limb: Limb) -> _Axis:
    step = limb.end - limb.start
    length = max(float(np.sqrt(step[0] ** 2 + step[1] ** 2)), SHORT)
    ux, uy = (float(step[0]) / length, float(step[1]) / length) if length > SHORT else (0.0, 1.0)
    side = float(limb.side[1]) * ux - float(limb.side[0]) * uy
    front = float(limb.front[1]) * ux - float(limb.front[0]) * uy
    half, deep, shift = _rounded(limb.profile)
    width = np.sqrt((half * side) ** 2 + (deep * front) ** 2)
    depth = np.sqrt((half * float(limb.side[2])) ** 2 + (deep * float(limb.front[2])) ** 2)
    width, depth = np.maximum(width, 0.4), np.maximum(depth, 0.4)
    flare = np.zeros_like(width)
    flare[1:-1] = (width[2:] - width[:-2]) * (STOPS / 2 / length)
    singles = (table.astype(np.float32) for table in (width, depth, shift * front, np.clip(flare, -1.2, 1.2)))
    return _Axis(length, (ux, uy), *singles)


def _rounded(profile: Profile) -> Vector:
    """The profile `[3, STOPS]` through its stops with the corners worn off: muscles, not turned wood."""
    along, *columns = np.array(profile, np.float64).T
    even = np.linspace(0, 1, STOPS)
    table = np.stack([np.interp(even, along, column) for column in columns])
    places = np.arange(STOPS)
    for reach in (9, 6, 4):
        before, after = np.maximum(places - reach, 0), np.minimum(places + reach, STOPS - 1)
        table = (table[:, before] + table * 2 + table[:, after]) / 4
    return table


def _window(limb: Limb, axis: _Axis, shape: tuple[int, ...]) -> tuple[slice, slice]:
    reach = float(axis.width.max() + np.abs(axis.shift).max()) + 1
    low = np.minimum(limb.start, limb.end) - reach
    high = np.maximum(limb.start, limb.end) + reach
    rows = slice(max(int(low[1]), 0), min(int(high[1]) + 1, shape[0]))
    columns = slice(max(int(low[0]), 0), min(int(high[0]) + 1, shape[1]))
    return rows, columns


def _surface(limb: Limb, axis: _Axis, rows: slice, columns: slice) -> _Surface:
    """The limb's near surface over a window of the picture."""
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
    return _Surface(room > 0, height, _unit(across / width, lengthward, facing), along, (lengthwise, crosswise))


def _unit(across: Floats, along: Floats, facing: Floats) -> Normal:
    size = np.sqrt(across * across + along * along + facing * facing) + np.float32(1e-6)
    return across / size, along / size, facing / size


def _turned(normal: Normal, axis: _Axis) -> Normal:
    """Normals from (across, along, facing) to the picture's x, y, z."""
    across, along, facing = normal
    ux, uy = np.float32(axis.along[0]), np.float32(axis.along[1])
    return along * ux - across * uy, along * uy + across * ux, facing


def _choose(limb: Limb, surface: _Surface, axis: _Axis) -> Bytes:
    along = surface.along
    if limb.paint is plain:
        return plain(Spot(along, along, along))
    x, y, z = _turned(surface.normal, axis)
    shares = [x * np.float32(v[0]) + y * np.float32(v[1]) + z * np.float32(v[2]) for v in (limb.side, limb.front)]
    return limb.paint(Spot(along, *shares))


def _folded(surface: _Surface, limb: Limb, shown: Bytes) -> Normal:
    """Normals bent by the folds of the cloth, which are deepest towards the joints."""
    folds = np.array([*(cloth.fold for cloth in limb.cloths), 0.0], np.float32)
    if not folds.any():
        return surface.normal
    off = surface.along - np.float32(0.5)
    strength = folds[np.minimum(shown, len(folds) - 1)] * (off * off * np.float32(2) + np.float32(0.6))
    seed = int(limb.profile[0][1] * 7)
    row, column = (place.astype(np.intp) + seed & 255 for place in surface.place)
    slopes = fold_slopes()[:, row, column]
    across, along, facing = surface.normal
    return _unit(across + slopes[0] * strength, along + slopes[1] * strength, facing)


def _merge(relief: Relief, limb: Limb, window: tuple[slice, slice], surface: _Surface, shown: Bytes) -> None:
    """Lay the surface on the relief: where it is nearer its colours win; within the blend the forms melt."""
    height = relief.height[window]
    gain = surface.height - height
    blend = np.float32(max(limb.blend, 1e-3))
    share = np.clip(gain / (2 * blend) + np.float32(0.5), 0, 1) * surface.inside
    for channel, value in zip(relief.normal, surface.normal, strict=True):
        channel[window] += share * (value - channel[window])
    height += share * gain + blend * share * (1 - share)
    table = np.array([*((*cloth.colour, cloth.gloss) for cloth in limb.cloths), (0, 0, 0, 0)], np.float32)
    chosen, nearer = np.minimum(shown, len(limb.cloths)), surface.inside & (gain > 0)
    for part, channel in enumerate((*relief.colour, relief.gloss)):
        np.copyto(channel[window], table[:, part][chosen], where=nearer)
