"""Limbs of a leg: thigh and shin in tights, trousers or skin, and the foot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.render_studio.figure import Figure, compute_frame
from tools.render_studio.relief import Cloth, Limb, Profile, Spot, make_bands
from tools.render_studio.skeleton import Vector
from tools.render_studio.wardrobe import Outfit


def make_leg(figure: Figure, name: str) -> list[Limb]:
    """Make the leg of one side, with its trouser leg."""
    joints, outfit = figure.bones.joints, figure.outfit
    hip, knee, ankle = (joints[f"{name}_{part}"] for part in ("hip", "knee", "ankle"))
    heavy = outfit.build.heavy
    thigh: Profile = (
        (0.0, 0.044 * heavy, 0.055 * heavy, -0.004),
        (0.25, 0.049 * heavy, 0.056 * heavy, 0.002),
        (0.7, 0.038 * heavy, 0.042 * heavy, 0.002),
        (0.88, 0.0325 * heavy, 0.035 * heavy, 0.002),
        (1.0, 0.0285 * heavy, 0.0295 * heavy, 0.0),
    )
    shin: Profile = (
        (0.0, 0.0295 * heavy, 0.031 * heavy, 0.001),
        (0.14, 0.029 * heavy, 0.032 * heavy, -0.001),
        (0.36, 0.034 * heavy, 0.036 * heavy, -0.008),
        (0.65, 0.026 * heavy, 0.027 * heavy, -0.004),
        (0.88, 0.0185, 0.02, 0.0),
        (1.0, 0.0185, 0.02, 0.0),
    )
    facing = figure.bones.hips[:, 2]
    upper, lower = compute_frame((hip, knee), facing), compute_frame((knee, ankle), facing)
    cloth, skin = _choose_leg_cloths(outfit)
    return [
        figure.make_limb((hip, knee), upper, thigh, (cloth, skin), blend=0.024),
        figure.make_limb((knee, ankle), lower, shin, (cloth, skin), make_bands(0.9), blend=0.022),
        *_make_trousers(figure, (hip, knee, ankle), (upper, lower)),
    ]


def _choose_leg_cloths(outfit: Outfit) -> tuple[Cloth, Cloth]:
    """Return the materials of the leg above the ankle, and of the ankle."""
    skin = outfit.skin_cloth
    if outfit.bottom == "skirt":
        tights = Cloth(outfit.accent, 0.14, 0.03)
        return tights, tights
    return outfit.bottom_cloth, skin


def _make_trousers(
    figure: Figure, joints: tuple[Vector, Vector, Vector], frames: tuple[tuple[Vector, Vector], tuple[Vector, Vector]]
) -> list[Limb]:
    """Make a wide trouser leg that ends open above the shoe."""
    outfit = figure.outfit
    if outfit.bottom not in {"jeans", "wide"}:
        return []
    hip, knee, ankle = joints
    cloth = outfit.bottom_cloth
    wide = 0.05 if outfit.bottom == "wide" else 0.037
    bend = (knee - hip) * 0.012
    upper: Profile = ((0.0, 0.04, 0.054, -0.004), (0.3, 0.05, 0.056, 0.0), (1.0, wide + 0.004, wide + 0.005, 0.0))
    lower: Profile = (
        (0.0, wide + 0.004, wide + 0.005, 0.002),
        (0.2, wide + 0.001, wide + 0.002, -0.004),
        (0.6, wide - 0.004, wide - 0.002, -0.004),
        (1.0, wide - 0.005, wide - 0.001, 0.0),
    )
    hem = Cloth(tuple(channel * 3 // 4 for channel in cloth.colour), 0.05, 0.2)  # type: ignore[arg-type]
    return [
        figure.make_limb((hip, knee + bend), frames[0], upper, (cloth,), blend=0.024),
        figure.make_limb(
            (knee, knee + (ankle - knee) * 0.96), frames[1], lower, (cloth, hem), make_bands(0.97), 0.02, (1, 0.1)
        ),
    ]


def make_foot(figure: Figure, name: str) -> list[Limb]:
    """Make the foot of one side in its shoe."""
    joints, outfit = figure.bones.joints, figure.outfit
    ankle, heel, toe = (joints[f"{name}_{part}"] for part in ("ankle", "heel", "toe"))
    bulk = 1.14 if outfit.bottom in {"jeans", "wide"} else 0.9
    shoe = outfit.shoe_cloth
    sole = Cloth((236, 234, 228) if bulk > 1 else outfit.shoe_colour, 0.1)
    upward = ankle - (heel + toe) * 0.5
    frame = compute_frame((heel, toe), upward)
    flat: Profile = (
        (0.0, 0.017 * bulk, 0.02 * bulk, 0.0),
        (0.4, 0.02 * bulk, 0.02 * bulk, 0.002),
        (0.72, 0.025 * bulk, 0.0165 * bulk, 0.0),
        (1.0, 0.018 * bulk, 0.012 * bulk, -0.002),
    )
    instep: Profile = ((0.0, 0.021 * bulk, 0.023 * bulk, 0.0), (1.0, 0.021 * bulk, 0.016 * bulk, 0.0))

    def paint_sole(spot: Spot) -> NDArray[np.uint8]:
        return (spot.front < np.float32(-0.25)).astype(np.uint8)

    middle = heel + (toe - heel) * 0.62
    return [
        figure.make_limb((heel, toe), frame, flat, (shoe, sole), paint_sole, 0.004, (0.8, 0.8)),
        figure.make_limb((ankle, middle), compute_frame((ankle, middle), upward), instep, (shoe,), blend=0.01),
    ]
