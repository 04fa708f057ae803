"""A head: skull, face, ears and hair of a dancer, or the blank egg of a dummy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.render_studio.relief import HOLE, Cloth, Limb, Paint, Profile, Spot
from tools.render_studio.sitting import Sitting, frame_along
from tools.render_studio.skeleton import Vector

Colour = tuple[int, int, int]

SKULL: Profile = (
    (0.0, 0.03, 0.036, -0.006),
    (0.14, 0.042, 0.052, -0.006),
    (0.36, 0.0475, 0.06, -0.004),
    (0.56, 0.0455, 0.057, 0.0),
    (0.76, 0.039, 0.048, 0.006),
    (0.92, 0.027, 0.034, 0.012),
    (1.0, 0.017, 0.02, 0.016),
)


def head(sitting: Sitting) -> list[Limb]:
    """Skull with a face, nose, ears and hair."""
    skin = sitting.outfit.skin_cloth()
    return [
        _skull(sitting, _complexion(sitting), _face(bearded=sitting.outfit.bearded)),
        *_ears(sitting, skin),
        _nose(sitting, skin),
        *_hair(sitting),
    ]


def blank_head(sitting: Sitting) -> list[Limb]:
    """A skull without features."""
    skin = sitting.outfit.skin_cloth()
    return [_skull(sitting, (skin,), None), _nose(sitting, skin)]


def _at(sitting: Sitting, side: float, up: float, front: float) -> Vector:
    """A place in the head, in body heights from the middle of the skull."""
    scale = sitting.outfit.build.head
    place: Vector = sitting.bones.joints["skull"] + sitting.bones.head @ (np.array([side, up, front]) * scale)
    return place


def _axes(sitting: Sitting) -> tuple[Vector, Vector]:
    return sitting.bones.head[:, 0], sitting.bones.head[:, 2]


def _skull(sitting: Sitting, cloths: tuple[Cloth, ...], paint: Paint | None) -> Limb:
    ends = _at(sitting, 0, 0.05, 0), _at(sitting, 0, -0.066, 0)
    if paint is None:
        return sitting.limb(ends, _axes(sitting), SKULL, cloths, blend=0.006, caps=(0.6, 0.5))
    return sitting.limb(ends, _axes(sitting), SKULL, cloths, paint, 0.006, (0.6, 0.5))


def _complexion(sitting: Sitting) -> tuple[Cloth, ...]:
    """The face's colours, in the order in which `_face` numbers them."""
    skin, hair = sitting.outfit.skin, sitting.outfit.hair_colour
    return (
        sitting.outfit.skin_cloth(),
        Cloth(_mixed(skin, (150, 40, 30), 0.13), 0.12),
        Cloth(_mixed(skin, (60, 26, 20), 0.24), 0.1),
        Cloth((226, 222, 216), 0.3),
        Cloth((44, 28, 20), 0.5),
        Cloth(_mixed(hair, skin, 0.25), 0.05),
        Cloth(_mixed(skin, (160, 30, 46), 0.5), 0.3),
        Cloth(_mixed(skin, (60, 10, 16), 0.66), 0.1),
        Cloth(_mixed(hair, skin, 0.35), 0.04),
    )


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _face(*, bearded: bool) -> Paint:
    """Blush 1, sockets 2, eyes 3, irises and lashes 4, brows 5, lips 6, mouth 7 and beard 8, upon the skin."""

    def paint(spot: Spot) -> NDArray[np.uint8]:
        index = np.zeros(spot.along.shape, np.uint8)
        across, along, ahead = np.abs(spot.side), spot.along, spot.front > 0.25
        index[ahead & _oval(across, along, (0.5, 0.68), (0.2, 0.09))] = 1
        if bearded:
            index[(spot.front > -0.2) & (along > 0.74 - 0.1 * across) & (along > 0.95 - 0.5 * across)] = 8
            index[ahead & _oval(across, along, (0.0, 0.86), (0.34, 0.13))] = 8
        index[ahead & _oval(across, along, (0.36, 0.5), (0.24, 0.055))] = 2
        index[ahead & _oval(across, along, (0.37, 0.515), (0.165, 0.03))] = 3
        index[ahead & _oval(across, along, (0.37, 0.51), (0.075, 0.034))] = 4
        index[ahead & (np.abs(across - 0.37) < 0.18) & (np.abs(along - 0.485) < 0.011)] = 4
        arch = along - 0.43 - (across - 0.4) * (across - 0.4) * np.float32(0.6)
        index[ahead & (np.abs(across - 0.37) < 0.23) & (np.abs(arch) < 0.014)] = 5
        index[ahead & (np.abs(across - 0.1) < 0.05) & (np.abs(along - 0.7) < 0.01)] = 7
        index[ahead & _oval(across, along, (0.0, 0.81), (0.25, 0.036))] = 6
        index[ahead & (across < 0.22) & (np.abs(along - 0.806) < 0.007)] = 7
        return index

    return paint


def _oval(
    across: NDArray[np.float32], along: NDArray[np.float32], centre: tuple[float, float], radii: tuple[float, float]
) -> NDArray[np.bool_]:
    x = (across - np.float32(centre[0])) / np.float32(radii[0])
    y = (along - np.float32(centre[1])) / np.float32(radii[1])
    inside: NDArray[np.bool_] = x * x + y * y < 1
    return inside


def _nose(sitting: Sitting, skin: Cloth) -> Limb:
    ends = _at(sitting, 0, -0.002, 0.05), _at(sitting, 0, -0.026, 0.062)
    ridge: Profile = ((0.0, 0.005, 0.006, 0.0), (0.7, 0.0075, 0.007, 0.0), (1.0, 0.009, 0.006, 0.0))
    return sitting.limb(ends, _axes(sitting), ridge, (skin,), blend=0.004)


def _ears(sitting: Sitting, skin: Cloth) -> list[Limb]:
    lobe: Profile = ((0.0, 0.007, 0.012, 0.0), (0.5, 0.006, 0.011, 0.0), (1.0, 0.005, 0.007, 0.0))
    ears = []
    for sign in (-1.0, 1.0):
        ends = _at(sitting, sign * 0.048, 0.004, -0.006), _at(sitting, sign * 0.044, -0.018, -0.002)
        ears.append(sitting.limb(ends, _axes(sitting), lobe, (skin,), blend=0.002))
    return ears


def _hair(sitting: Sitting) -> list[Limb]:
    outfit = sitting.outfit
    strands = Cloth(outfit.hair_colour, 0.2, 0.55 if outfit.hair == "curls" else 0.3)
    lighter = Cloth(_mixed(outfit.hair_colour, (190, 150, 110), 0.12), 0.24, 0.3)
    cloths = (strands, lighter)
    extra = {
        "bun": lambda: [_ball(sitting, cloths, (0, 0.052, -0.044), 0.027)],
        "tail": lambda: _tail(sitting, cloths),
        "bob": lambda: [_bob(sitting, cloths)],
        "cap": lambda: _cap(sitting),
        "curls": lambda: _curls(sitting, cloths),
    }
    return [_scalp(sitting, cloths), *extra.get(outfit.hair, list)()]


def _scalp(sitting: Sitting, cloths: tuple[Cloth, ...]) -> Limb:
    """Hair close to the skull, open for the face."""
    thick = {"short": 0.006, "curls": 0.012, "bob": 0.008}.get(sitting.outfit.hair, 0.0035)
    profile = tuple(
        (along, half + thick, deep + thick * 1.3, shift - 0.003 if along < 0.6 else -0.006)
        for along, half, deep, shift in SKULL
    )

    def paint(spot: Spot) -> NDArray[np.uint8]:
        streaks = ((spot.side * 18 + spot.along * 3 + 40).astype(np.int32) % 3 == 0).astype(np.uint8)
        locks = (spot.side * 11 + 40).astype(np.int32) * 7 % 5
        hairline = np.float32(0.2) + spot.side * spot.side * np.float32(0.12) + locks * np.float32(0.012)
        face = (spot.front > np.float32(0.3)) & (spot.along > hairline)
        temple = (spot.front > np.float32(-0.3)) & (spot.along > np.float32(0.56))
        nape = spot.along > np.float32(0.76)
        return np.where(face | temple | nape, HOLE, streaks).astype(np.uint8)

    ends = _at(sitting, 0, 0.052 + thick * 0.5, -0.002), _at(sitting, 0, -0.066, -0.002)
    return sitting.limb(ends, _axes(sitting), profile, cloths, paint, 0.0, (0.6, 0.5))


def _ball(sitting: Sitting, cloths: tuple[Cloth, ...], place: tuple[float, float, float], radius: float) -> Limb:
    ends = _at(sitting, *place), _at(sitting, place[0], place[1] + 0.004, place[2] - 0.004)
    ball: Profile = ((0.0, radius, radius, 0.0), (1.0, radius, radius, 0.0))
    return sitting.limb(ends, _axes(sitting), ball, cloths, blend=0.003)


def _tail(sitting: Sitting, cloths: tuple[Cloth, ...]) -> list[Limb]:
    root, middle = _at(sitting, 0, 0.03, -0.062), _at(sitting, 0.03, -0.01, -0.1)
    end = middle + np.array([0.02, -0.12, 0.0])
    thick: Profile = ((0.0, 0.013, 0.013, 0.0), (1.0, 0.02, 0.02, 0.0))
    thin: Profile = ((0.0, 0.02, 0.02, 0.0), (0.5, 0.021, 0.018, 0.0), (1.0, 0.005, 0.005, 0.0))
    front = sitting.bones.head[:, 2]
    return [
        sitting.limb((root, middle), frame_along((root, middle), front), thick, cloths, blend=0.004),
        sitting.limb((middle, end), frame_along((middle, end), front), thin, cloths, blend=0.004),
    ]


def _bob(sitting: Sitting, cloths: tuple[Cloth, ...]) -> Limb:
    ends = _at(sitting, 0, 0.03, -0.018), _at(sitting, 0, -0.082, -0.03)
    fall: Profile = ((0.0, 0.052, 0.05, 0.0), (0.5, 0.058, 0.046, 0.0), (1.0, 0.052, 0.036, 0.0))

    def paint(spot: Spot) -> NDArray[np.uint8]:
        return np.where(spot.front > np.float32(0.5), HOLE, 0).astype(np.uint8)

    return sitting.limb(ends, _axes(sitting), fall, cloths, paint, 0.004, (1, 0.2))


def _curls(sitting: Sitting, cloths: tuple[Cloth, ...]) -> list[Limb]:
    places = [
        (0.0, 0.062, -0.01), (0.03, 0.054, 0.006), (-0.03, 0.054, 0.006), (0.046, 0.03, -0.012), (-0.046, 0.03, -0.012),
        (0.03, 0.05, -0.04), (-0.03, 0.05, -0.04), (0.0, 0.06, 0.022), (0.036, 0.01, -0.046), (-0.036, 0.01, -0.046),
    ]  # fmt: skip
    return [_ball(sitting, cloths, place, 0.021) for place in places]


def _cap(sitting: Sitting) -> list[Limb]:
    """A baseball cap: its crown and its peak."""
    cloth = Cloth((34, 38, 50), 0.08, 0.15)
    crown = tuple((along, half + 0.008, deep + 0.009, shift) for along, half, deep, shift in SKULL)

    def paint(spot: Spot) -> NDArray[np.uint8]:
        return np.where(spot.along > np.float32(0.3), HOLE, 0).astype(np.uint8)

    ends = _at(sitting, 0, 0.056, 0), _at(sitting, 0, -0.06, 0)
    brim = _at(sitting, -0.03, 0.02, 0.064), _at(sitting, 0.03, 0.02, 0.064)
    peak: Profile = ((0.0, 0.016, 0.007, 0.0), (0.5, 0.032, 0.008, 0.0), (1.0, 0.016, 0.007, 0.0))
    ahead = sitting.bones.head[:, 2] - sitting.bones.head[:, 1] * 0.4
    return [
        sitting.limb(ends, _axes(sitting), crown, (cloth,), paint, 0.0, (0.6, 0.5)),
        sitting.limb(brim, (ahead, sitting.bones.head[:, 1]), peak, (cloth,)),
    ]
