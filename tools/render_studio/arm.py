"""Limbs of an arm: upper arm and forearm, bare or in a sleeve, and the hand."""

from __future__ import annotations

import numpy as np

from tools.render_studio.figure import Figure, compute_frame
from tools.render_studio.relief import Cloth, Limb, Profile, make_bands
from tools.render_studio.skeleton import Vector


def make_arm(figure: Figure, name: str) -> list[Limb]:
    """Make the arm of one side, with its sleeve."""
    joints, outfit = figure.bones.joints, figure.outfit
    shoulder, elbow, wrist = (joints[f"{name}_{part}"] for part in ("shoulder", "elbow", "wrist"))
    heavy, skin, top = outfit.build.heavy, outfit.skin_cloth, outfit.top_cloth
    upper: Profile = (
        (0.0, 0.025 * heavy, 0.027 * heavy, 0.0),
        (0.25, 0.029 * heavy, 0.031 * heavy, 0.0),
        (0.6, 0.0245 * heavy, 0.026 * heavy, 0.001),
        (0.85, 0.0215 * heavy, 0.022 * heavy, 0.0),
        (1.0, 0.0185 * heavy, 0.019 * heavy, 0.0),
    )
    lower: Profile = (
        (0.0, 0.0195 * heavy, 0.02 * heavy, 0.0),
        (0.28, 0.0225 * heavy, 0.022 * heavy, 0.0),
        (0.7, 0.018 * heavy, 0.017 * heavy, 0.0),
        (1.0, 0.0145, 0.012, 0.0),
    )
    first = compute_frame((shoulder, elbow), figure.bones.chest[:, 2])
    second = compute_frame((elbow, wrist), figure.bones.chest[:, 2])
    covered = {"leotard": 0.2, "tank": -1.0, "tee": 0.6}.get(outfit.top, 1.0)
    return [
        figure.make_limb((shoulder, elbow), first, upper, (top, skin), make_bands(covered), blend=0.022),
        figure.make_limb((elbow, wrist), second, lower, (skin,), blend=0.015),
        *_make_sleeve(figure, (shoulder, elbow, wrist), (first, second), top),
    ]


def _make_sleeve(
    figure: Figure,
    joints: tuple[Vector, Vector, Vector],
    frames: tuple[tuple[Vector, Vector], tuple[Vector, Vector]],
    cloth: Cloth,
) -> list[Limb]:
    outfit = figure.outfit
    shoulder, elbow, wrist = joints
    if outfit.top in {"leotard", "tank"}:
        return []
    wide = 0.028 * outfit.build.heavy + outfit.loose * 0.8
    top = 0.024 * outfit.build.heavy + outfit.loose * 0.4
    short: Profile = ((0.0, top, top, 0.0), (0.5, wide, wide, 0.0), (1.0, wide + 0.003, wide + 0.003, 0.0))
    if outfit.top == "tee":
        end = shoulder + (elbow - shoulder) * 0.66
        return [figure.make_limb((shoulder, end), frames[0], short, (cloth,), blend=0.03, caps=(1, 0.12))]
    narrow = 0.0215 * outfit.build.heavy + outfit.loose * 0.9
    upper: Profile = ((0.0, top, top, 0.0), (0.4, wide * 0.96, wide * 0.96, 0.0), (1.0, narrow, narrow, 0.0))
    lower: Profile = ((0.0, narrow, narrow, 0.0), (0.3, narrow, narrow, 0.0), (1.0, narrow * 0.72, narrow * 0.72, 0.0))
    reach = 0.94 if outfit.top == "hoodie" else 0.42
    cuff = outfit.accent_cloth if outfit.top == "shirt" else cloth
    return [
        figure.make_limb((shoulder, elbow), frames[0], upper, (cloth,), blend=0.024),
        figure.make_limb(
            (elbow, elbow + (wrist - elbow) * reach), frames[1], lower, (cloth, cuff), make_bands(0.88), 0.014, (1, 0.1)
        ),
    ]


def make_hand(figure: Figure, name: str, sign: float) -> list[Limb]:
    """Make the hand of one side: a palm, four fingers and a thumb."""
    joints, skin = figure.bones.joints, figure.outfit.skin_cloth
    elbow, wrist = joints[f"{name}_elbow"], joints[f"{name}_wrist"]
    reach = (wrist - elbow) / np.sqrt(float((wrist - elbow) @ (wrist - elbow)))
    side, front = compute_frame((elbow, wrist), figure.bones.chest[:, 2])
    side = side * sign
    knuckles = wrist + reach * 0.046
    palm: Profile = ((0.0, 0.0135, 0.011, 0.0), (0.6, 0.0195, 0.0105, 0.0), (1.0, 0.019, 0.009, 0.0))
    limbs = [figure.make_limb((wrist - reach * 0.004, knuckles), (side, front), palm, (skin,), blend=0.006)]
    for place, length in ((-1.0, 0.03), (-0.33, 0.038), (0.33, 0.04), (1.0, 0.035)):
        root = knuckles + side * (0.0135 * place) - reach * 0.006
        tip = root + (reach + side * (0.16 * place) + front * 0.12) * length
        limbs.append(_make_finger(figure, root, tip, (side, front)))
    thumb = wrist + reach * 0.014 - side * 0.0
    ahead = front * 0.012 + side * 0.016
    return [*limbs, _make_finger(figure, thumb + ahead * 0.4, thumb + ahead * 1.3 + reach * 0.03, (side, front))]


def _make_finger(figure: Figure, root: Vector, tip: Vector, frame: tuple[Vector, Vector]) -> Limb:
    thin: Profile = ((0.0, 0.0066, 0.0066, 0.0), (1.0, 0.0048, 0.0048, 0.0))
    return figure.make_limb((root, tip), frame, thin, (figure.outfit.skin_cloth,), blend=0.003)
