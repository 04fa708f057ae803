"""Limbs of a head: skull, face, ears and hair of a dancer, or the blank head of a mannequin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.render_studio.figure import Figure, compute_frame
from tools.render_studio.relief import HOLE, Cloth, Limb, Paint, Profile, Spot
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


def make_head(figure: Figure) -> list[Limb]:
    """Make the skull with a face, nose, ears and hair."""
    skin = figure.outfit.skin_cloth
    return [
        _make_skull(figure, _make_complexion(figure), _make_face_paint(bearded=figure.outfit.bearded)),
        *_make_ears(figure, skin),
        _make_nose(figure, skin),
        *_make_hair(figure),
    ]


def make_blank_head(figure: Figure) -> list[Limb]:
    """Make a skull without face, ears and hair."""
    skin = figure.outfit.skin_cloth
    return [_make_skull(figure, (skin,), None), _make_nose(figure, skin)]


def _locate(figure: Figure, side: float, up: float, front: float) -> Vector:
    """Return a position in the head; the arguments are in body heights from the middle of the skull."""
    scale = figure.outfit.build.head
    place: Vector = figure.bones.joints["skull"] + figure.bones.head @ (np.array([side, up, front]) * scale)
    return place


def _get_axes(figure: Figure) -> tuple[Vector, Vector]:
    return figure.bones.head[:, 0], figure.bones.head[:, 2]


def _make_skull(figure: Figure, cloths: tuple[Cloth, ...], paint: Paint | None) -> Limb:
    ends = _locate(figure, 0, 0.05, 0), _locate(figure, 0, -0.066, 0)
    if paint is None:
        return figure.make_limb(ends, _get_axes(figure), SKULL, cloths, blend=0.006, caps=(0.6, 0.5))
    return figure.make_limb(ends, _get_axes(figure), SKULL, cloths, paint, 0.006, (0.6, 0.5))


def _make_complexion(figure: Figure) -> tuple[Cloth, ...]:
    """Return the materials of the face, in the order in which `_make_face_paint` numbers them."""
    skin, hair = figure.outfit.skin, figure.outfit.hair_colour
    return (
        figure.outfit.skin_cloth,
        Cloth(_mix(skin, (150, 40, 30), 0.13), 0.12),
        Cloth(_mix(skin, (60, 26, 20), 0.24), 0.1),
        Cloth((226, 222, 216), 0.3),
        Cloth((44, 28, 20), 0.5),
        Cloth(_mix(hair, skin, 0.25), 0.05),
        Cloth(_mix(skin, (160, 30, 46), 0.5), 0.3),
        Cloth(_mix(skin, (60, 10, 16), 0.66), 0.1),
        Cloth(_mix(hair, skin, 0.35), 0.04),
    )


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _make_face_paint(*, bearded: bool) -> Paint:
    """Paint blush 1, sockets 2, eyes 3, irises and lashes 4, brows 5, lips 6, mouth 7 and beard 8."""

    def paint(spot: Spot) -> NDArray[np.uint8]:
        index = np.zeros(spot.along.shape, np.uint8)
        across, along, ahead = np.abs(spot.side), spot.along, spot.front > 0.25
        index[ahead & _is_in_oval(across, along, (0.5, 0.68), (0.2, 0.09))] = 1
        if bearded:
            index[(spot.front > -0.2) & (along > 0.74 - 0.1 * across) & (along > 0.95 - 0.5 * across)] = 8
            index[ahead & _is_in_oval(across, along, (0.0, 0.86), (0.34, 0.13))] = 8
        index[ahead & _is_in_oval(across, along, (0.36, 0.5), (0.24, 0.055))] = 2
        index[ahead & _is_in_oval(across, along, (0.37, 0.515), (0.165, 0.03))] = 3
        index[ahead & _is_in_oval(across, along, (0.37, 0.51), (0.075, 0.034))] = 4
        index[ahead & (np.abs(across - 0.37) < 0.18) & (np.abs(along - 0.485) < 0.011)] = 4
        arch = along - 0.43 - (across - 0.4) * (across - 0.4) * np.float32(0.6)
        index[ahead & (np.abs(across - 0.37) < 0.23) & (np.abs(arch) < 0.014)] = 5
        index[ahead & (np.abs(across - 0.1) < 0.05) & (np.abs(along - 0.7) < 0.01)] = 7
        index[ahead & _is_in_oval(across, along, (0.0, 0.81), (0.25, 0.036))] = 6
        index[ahead & (across < 0.22) & (np.abs(along - 0.806) < 0.007)] = 7
        return index

    return paint


def _is_in_oval(
    across: NDArray[np.float32], along: NDArray[np.float32], centre: tuple[float, float], radii: tuple[float, float]
) -> NDArray[np.bool_]:
    x = (across - np.float32(centre[0])) / np.float32(radii[0])
    y = (along - np.float32(centre[1])) / np.float32(radii[1])
    inside: NDArray[np.bool_] = x * x + y * y < 1
    return inside


def _make_nose(figure: Figure, skin: Cloth) -> Limb:
    ends = _locate(figure, 0, -0.002, 0.05), _locate(figure, 0, -0.026, 0.062)
    ridge: Profile = ((0.0, 0.005, 0.006, 0.0), (0.7, 0.0075, 0.007, 0.0), (1.0, 0.009, 0.006, 0.0))
    return figure.make_limb(ends, _get_axes(figure), ridge, (skin,), blend=0.004)


def _make_ears(figure: Figure, skin: Cloth) -> list[Limb]:
    lobe: Profile = ((0.0, 0.007, 0.012, 0.0), (0.5, 0.006, 0.011, 0.0), (1.0, 0.005, 0.007, 0.0))
    ears = []
    for sign in (-1.0, 1.0):
        ends = _locate(figure, sign * 0.048, 0.004, -0.006), _locate(figure, sign * 0.044, -0.018, -0.002)
        ears.append(figure.make_limb(ends, _get_axes(figure), lobe, (skin,), blend=0.002))
    return ears


def _make_hair(figure: Figure) -> list[Limb]:
    outfit = figure.outfit
    strands = Cloth(outfit.hair_colour, 0.2, 0.55 if outfit.hair == "curls" else 0.3)
    lighter = Cloth(_mix(outfit.hair_colour, (190, 150, 110), 0.12), 0.24, 0.3)
    cloths = (strands, lighter)
    extra = {
        "bun": lambda: [_make_ball(figure, cloths, (0, 0.052, -0.044), 0.027)],
        "tail": lambda: _make_tail(figure, cloths),
        "bob": lambda: [_make_bob(figure, cloths)],
        "cap": lambda: _make_cap(figure),
        "curls": lambda: _make_curls(figure, cloths),
    }
    return [_make_scalp(figure, cloths), *extra.get(outfit.hair, list)()]


def _make_scalp(figure: Figure, cloths: tuple[Cloth, ...]) -> Limb:
    """Make the hair close to the skull; it leaves the face open."""
    thick = {"short": 0.006, "curls": 0.012, "bob": 0.008}.get(figure.outfit.hair, 0.0035)
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

    ends = _locate(figure, 0, 0.052 + thick * 0.5, -0.002), _locate(figure, 0, -0.066, -0.002)
    return figure.make_limb(ends, _get_axes(figure), profile, cloths, paint, 0.0, (0.6, 0.5))


def _make_ball(figure: Figure, cloths: tuple[Cloth, ...], place: tuple[float, float, float], radius: float) -> Limb:
    ends = _locate(figure, *place), _locate(figure, place[0], place[1] + 0.004, place[2] - 0.004)
    ball: Profile = ((0.0, radius, radius, 0.0), (1.0, radius, radius, 0.0))
    return figure.make_limb(ends, _get_axes(figure), ball, cloths, blend=0.003)


def _make_tail(figure: Figure, cloths: tuple[Cloth, ...]) -> list[Limb]:
    root, middle = _locate(figure, 0, 0.03, -0.062), _locate(figure, 0.03, -0.01, -0.1)
    end = middle + np.array([0.02, -0.12, 0.0])
    thick: Profile = ((0.0, 0.013, 0.013, 0.0), (1.0, 0.02, 0.02, 0.0))
    thin: Profile = ((0.0, 0.02, 0.02, 0.0), (0.5, 0.021, 0.018, 0.0), (1.0, 0.005, 0.005, 0.0))
    front = figure.bones.head[:, 2]
    return [
        figure.make_limb((root, middle), compute_frame((root, middle), front), thick, cloths, blend=0.004),
        figure.make_limb((middle, end), compute_frame((middle, end), front), thin, cloths, blend=0.004),
    ]


def _make_bob(figure: Figure, cloths: tuple[Cloth, ...]) -> Limb:
    ends = _locate(figure, 0, 0.03, -0.018), _locate(figure, 0, -0.082, -0.03)
    fall: Profile = ((0.0, 0.052, 0.05, 0.0), (0.5, 0.058, 0.046, 0.0), (1.0, 0.052, 0.036, 0.0))

    def paint(spot: Spot) -> NDArray[np.uint8]:
        return np.where(spot.front > np.float32(0.5), HOLE, 0).astype(np.uint8)

    return figure.make_limb(ends, _get_axes(figure), fall, cloths, paint, 0.004, (1, 0.2))


def _make_curls(figure: Figure, cloths: tuple[Cloth, ...]) -> list[Limb]:
    places = [
        (0.0, 0.062, -0.01), (0.03, 0.054, 0.006), (-0.03, 0.054, 0.006), (0.046, 0.03, -0.012), (-0.046, 0.03, -0.012),
        (0.03, 0.05, -0.04), (-0.03, 0.05, -0.04), (0.0, 0.06, 0.022), (0.036, 0.01, -0.046), (-0.036, 0.01, -0.046),
    ]  # fmt: skip
    return [_make_ball(figure, cloths, place, 0.021) for place in places]


def _make_cap(figure: Figure) -> list[Limb]:
    """Make a baseball cap: its crown and its peak."""
    cloth = Cloth((34, 38, 50), 0.08, 0.15)
    crown = tuple((along, half + 0.008, deep + 0.009, shift) for along, half, deep, shift in SKULL)

    def paint(spot: Spot) -> NDArray[np.uint8]:
        return np.where(spot.along > np.float32(0.3), HOLE, 0).astype(np.uint8)

    ends = _locate(figure, 0, 0.056, 0), _locate(figure, 0, -0.06, 0)
    brim = _locate(figure, -0.03, 0.02, 0.064), _locate(figure, 0.03, 0.02, 0.064)
    peak: Profile = ((0.0, 0.016, 0.007, 0.0), (0.5, 0.032, 0.008, 0.0), (1.0, 0.016, 0.007, 0.0))
    ahead = figure.bones.head[:, 2] - figure.bones.head[:, 1] * 0.4
    return [
        figure.make_limb(ends, _get_axes(figure), crown, (cloth,), paint, 0.0, (0.6, 0.5)),
        figure.make_limb(brim, (ahead, figure.bones.head[:, 1]), peak, (cloth,)),
    ]
