"""Limbs of a trunk: hips, chest, shoulders and neck, and what hangs over the hips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.render_studio.figure import Figure, get_axes
from tools.render_studio.relief import Cloth, Limb, Paint, Profile, Spot, make_bands, paint_plain
from tools.render_studio.skeleton import Vector
from tools.render_studio.wardrobe import Outfit


def make_trunk(figure: Figure) -> list[Limb]:
    """Make hips, shoulders, chest and neck."""
    bones, outfit, build = figure.bones, figure.outfit, figure.outfit.build
    low = bones.joints["pelvis"] - bones.hips[:, 1] * 0.045
    waist, neck = bones.joints["waist"], bones.joints["neck"]
    top, skin = outfit.top_cloth, outfit.skin_cloth
    lower = top if outfit.top == "leotard" else outfit.bottom_cloth
    loose = 0.0 if outfit.top in {"leotard", "tank"} else outfit.loose
    seat: Profile = (
        (0.0, build.seat * 0.8, 0.056, -0.006),
        (0.35, build.seat, 0.072, -0.008),
        (0.7, build.seat * 0.88, 0.062, 0.0),
        (1.0, build.waist, 0.05, 0.002),
    )
    breast = build.bust
    rib: Profile = (
        (0.0, build.waist + loose, 0.05 + loose, 0.002),
        (0.3, build.chest * 0.9 + loose, 0.056 + loose, 0.002),
        (0.56, build.chest + loose, 0.06 + breast * 0.5 + loose, 0.004 + breast * 0.7),
        (0.78, build.chest + 0.006 + loose, 0.056 + loose, 0.0),
        (0.9, build.chest * 0.86, 0.047, -0.004),
        (1.0, 0.034, 0.035, -0.008),
    )
    shoulders = bones.joints["right_shoulder"], bones.joints["left_shoulder"]
    across: Profile = ((0.0, 0.026, 0.028, 0.0), (0.5, 0.045, 0.042, -0.004), (1.0, 0.026, 0.028, 0.0))
    throat: Profile = ((0.0, 0.032, 0.033, 0.0), (0.4, 0.0265, 0.029, 0.0), (1.0, 0.027, 0.031, 0.0))
    nape = bones.joints["skull"] - bones.head[:, 1] * 0.02 - bones.head[:, 2] * 0.012
    yoke = skin if outfit.top == "tank" else top
    return [
        figure.make_limb((low, waist), get_axes(bones.hips), seat, (lower,), blend=0.012, caps=(0.6, 1)),
        figure.make_limb(shoulders, (bones.chest[:, 1], bones.chest[:, 2]), across, (yoke,), blend=0.03),
        figure.make_limb(
            (waist, neck),
            get_axes(bones.chest),
            rib,
            (top, skin, outfit.accent_cloth),
            _make_front_paint(outfit),
            0.014,
        ),
        figure.make_limb((neck - bones.chest[:, 1] * 0.025, nape), get_axes(bones.chest), throat, (skin,), blend=0.02),
    ]


def _make_front_paint(outfit: Outfit) -> Paint:
    """Return the paint of the chest: 0 the top, 1 skin at the neckline, 2 a print."""
    deep = {"leotard": 0.84, "tank": 0.8, "tee": 0.95, "shirt": 0.86, "hoodie": 0.97}[outfit.top]

    def paint(spot: Spot) -> NDArray[np.uint8]:
        ahead = spot.front > 0
        width = spot.side * spot.side
        index = np.zeros(spot.along.shape, np.uint8)
        index[ahead & (spot.along > deep + width * np.float32(0.28))] = 1
        index[~ahead & (spot.along > np.float32(deep * 0.5 + 0.48) + width * np.float32(0.2))] = 1
        if outfit.top != "hoodie":
            index[spot.along > 0.955] = 1
        if outfit.top == "tank":
            index[(spot.along > 0.74) & (width > 0.5)] = 1
        index[_is_print(outfit, spot) & (index == 0)] = 2
        return index

    return paint


def _is_print(outfit: Outfit, spot: Spot) -> NDArray[np.bool_]:
    """Return where the chest shows the accent colour."""
    ahead, side, along = spot.front > 0.2, spot.side, spot.along
    if outfit.top == "tee":
        block = (np.abs(side) < 0.42) & (along > 0.5) & (along < 0.78)
        stripes = ((along * 34).astype(np.int32) % 3 != 0) | (np.abs(side + (along - 0.64)) < 0.1)
        shown: NDArray[np.bool_] = ahead & block & stripes
        return shown
    if outfit.top == "shirt":
        return ahead & (np.abs(side) < 0.035)
    if outfit.top == "hoodie":
        cords = (np.abs(np.abs(side) - 0.16) < 0.03) & (along > 0.7)
        return ahead & (cords | ((along > 0.5) & (along < 0.6) & (np.abs(side) < 0.45)))
    return ahead & False


def make_hem(figure: Figure) -> list[Limb]:
    """Make the hem of a loose top, or a skirt."""
    outfit, bones = figure.outfit, figure.bones
    pelvis, waist = bones.joints["pelvis"], bones.joints["waist"]
    down = bones.hips[:, 1]
    if outfit.bottom == "skirt":
        knees = (bones.joints["left_knee"] + bones.joints["right_knee"]) * 0.5
        end = pelvis + (knees - pelvis) * 0.52
        return [_make_skirt(figure, waist - down * 0.02, end)]
    if outfit.top in {"leotard", "tank"}:
        return []
    loose, build = outfit.loose, outfit.build
    cut: Profile = (
        (0.0, build.chest * 0.9 + loose, 0.055 + loose, 0.002),
        (0.4, max(build.waist, build.seat * 0.9) + loose, 0.06 + loose, 0.0),
        (1.0, build.seat + 0.017 + loose, 0.078 + loose, -0.004),
    )
    rib = make_bands(0.9) if outfit.top == "hoodie" else paint_plain
    darker = Cloth(tuple(channel * 4 // 5 for channel in outfit.top_colour), 0.06, 0.3)  # type: ignore[arg-type]
    ends = waist + bones.chest[:, 1] * 0.05, pelvis - down * 0.022
    return [figure.make_limb(ends, get_axes(bones.hips), cut, (outfit.top_cloth, darker), rib, 0.012, (1, 0.14))]


def _make_skirt(figure: Figure, start: Vector, end: Vector) -> Limb:
    build = figure.outfit.build
    cone: Profile = (
        (0.0, build.waist + 0.004, 0.056, 0.0),
        (0.3, build.seat + 0.018, 0.086, -0.004),
        (1.0, build.seat + 0.076, 0.136, -0.004),
    )

    def paint_pleats(spot: Spot) -> NDArray[np.uint8]:
        folds = (spot.side * 14 + 40).astype(np.int32) % 2
        return np.where(spot.along < np.float32(0.08), 2, folds).astype(np.uint8)

    cloth = figure.outfit.bottom_cloth
    darker = Cloth(tuple(channel * 15 // 16 for channel in cloth.colour), 0.1, 0.45)  # type: ignore[arg-type]
    band = Cloth(figure.outfit.top_colour, 0.1, 0.1)
    return figure.make_limb(
        (start, end), get_axes(figure.bones.hips), cone, (cloth, darker, band), paint_pleats, 0.0, (0.3, 0.16)
    )
