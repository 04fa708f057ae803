"""A scene: one view of a dancer in the studio, with the mask of the dancer."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.render_studio import furniture
from tools.render_studio.body import body
from tools.render_studio.head import head
from tools.render_studio.light import Cutout, shade
from tools.render_studio.mannequin import CAMERA, mannequin
from tools.render_studio.pose import KEY_EVERY, Pose, mirrored, pose_at
from tools.render_studio.relief import blank, lay
from tools.render_studio.room import HEIGHT, ROOMS, TALL, WIDE, WIDTH, Room, empty
from tools.render_studio.sitting import Sitting
from tools.render_studio.skeleton import Skeleton, View, seen, skeleton
from tools.render_studio.texture import grain
from tools.render_studio.wardrobe import OUTFITS

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

MARGIN = 16
"""Pixels, at twice the picture's size, that a figure keeps from the picture's edges."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture `[H, W, 3]` in RGB and its target `[H, W]`, True where the dancer shows."""

    name: str
    image: Bytes
    target: Bools


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a name stands for."""

    sequence: str
    camera: str
    frame: int


@cache
def _moments() -> dict[str, _Moment]:
    """Two frames of every sequence by each camera; no two cameras share a frame."""
    moments = {}
    for sequence in OUTFITS:
        for number, camera in enumerate(ROOMS):
            for turn in range(2):
                frame = KEY_EVERY * (2 * number + 1 + turn)
                moments[f"{sequence[:-1]}_{sequence}_{camera}_{frame:05d}"] = _Moment(sequence, camera, frame)
    return dict(sorted(moments.items()))


def scene_names() -> tuple[str, ...]:
    """The names of all scenes, sorted: `action_sequence_camera_frame`."""
    return tuple(_moments())


def render(name: str) -> Scene:
    """Draw the scene of that name, the same every time.

    Raises:
        ValueError: there is no scene of that name.
    """
    moment = _moment(name)
    dice = np.random.default_rng(zlib.crc32(name.encode()))
    room = ROOMS[moment.camera]
    sitting = _sitting(moment, room, dice)
    dancer = _drawn(sitting, room)
    image = _laid(_shadowed(_stage(moment.camera), dancer, sitting), dancer)
    hidden = _prop(sitting.view, dice)
    image = _laid(image, hidden)
    return Scene(name, _filmed(image, dice), _visible(dancer, hidden))


def mannequin_mask(name: str) -> Bools:
    """Where the scene shows its mannequin `[H, W]`; nowhere, but in the views of one camera.

    Raises:
        ValueError: there is no scene of that name.
    """
    moment = _moment(name)
    if moment.camera != CAMERA:
        return np.zeros((HEIGHT, WIDTH), np.bool_)
    dice = np.random.default_rng(zlib.crc32(name.encode()))
    sitting = _sitting(moment, ROOMS[moment.camera], dice)
    dancer, hidden = _drawn(sitting, ROOMS[moment.camera]), _prop(sitting.view, dice)
    through = (255 - dancer.coverage.astype(np.int32)) * (255 - hidden.coverage.astype(np.int32))
    return mannequin().coverage.astype(np.int32) * through > 255 * 255 * 127


def _moment(name: str) -> _Moment:
    if name not in _moments():
        names = scene_names()
        raise ValueError(f"expected one of the {len(names)} studio scenes, {names[0]} to {names[-1]}, got {name!r}")
    return _moments()[name]


def _sitting(moment: _Moment, room: Room, dice: np.random.Generator) -> Sitting:
    """The dancer of that moment, posed, dressed and in the picture's frame."""
    outfit = OUTFITS[moment.sequence]
    pose = _pose(moment, dice)
    bones = skeleton(pose, outfit.build, room.around)
    scale = TALL * room.size * float(dice.integers(92, 109)) / 100
    shift = float(dice.integers(-24, 25))
    view = View(above=room.above, scale=scale, foot=(2 * room.stand[0] + shift, 2.0 * room.stand[1]))
    return Sitting(bones, outfit, _fitted(bones, view))


def _drawn(sitting: Sitting, room: Room) -> Cutout:
    """The dancer cut out at the picture's size."""
    relief = blank(TALL, WIDE)
    for limb in [*body(sitting), *head(sitting)]:
        lay(relief, limb)
    return shade(relief, room.light)


def _pose(moment: _Moment, dice: np.random.Generator) -> Pose:
    """The dance's pose at that frame, a little early or late; second sequences dance it the other way round."""
    late = float(dice.integers(-24, 25)) / 100
    pose = pose_at(moment.sequence[:-1], moment.frame / KEY_EVERY + late)
    pose = replace(pose, turn=pose.turn + float(dice.integers(-10, 11)))
    return mirrored(pose) if moment.sequence.endswith("2") else pose


def _fitted(bones: Skeleton, view: View) -> View:
    """The view moved sideways, and if need be smaller, until the whole figure is in the picture."""
    places = np.stack([seen(place, view) for place in bones.joints.values()])
    hand = 0.1 * view.scale
    left, right = float(places[:, 0].min()) - hand, float(places[:, 0].max()) + hand
    tall = view.foot[1] - float(places[:, 1].min()) + hand
    shrink = min(1.0, (WIDE - 2 * MARGIN) / (right - left), 0.84 * TALL / tall)
    x = view.foot[0]
    left, right = x + (left - x) * shrink, x + (right - x) * shrink
    x += max(MARGIN - left, 0.0) - max(right - (WIDE - MARGIN), 0.0)
    return replace(view, scale=view.scale * shrink, foot=(x, view.foot[1]))


@cache
def _stage(camera: str) -> Bytes:
    """The camera's room before anyone dances there, mannequin and all."""
    if camera != CAMERA:
        return empty(camera)
    return _laid(_darkened(empty(camera), _patch((59, 382), (54, 11), 120)), mannequin())


def _laid(image: Bytes, cutout: Cutout) -> Bytes:
    through = 255 - cutout.coverage.astype(np.uint16)[..., None]
    return np.minimum(cutout.colour + (image * through + 127) // 255, 255).astype(np.uint8)


def _patch(foot: tuple[int, int], radii: tuple[int, int], depth: int) -> Bytes:
    """A soft patch `[H, W]` of shadow where something stands."""
    patch = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(patch, foot, radii, 0, 0, 360, depth, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(patch, (21, 21), 0).astype(np.uint8, copy=False)


def _darkened(image: Bytes, shadow: NDArray[np.generic]) -> Bytes:
    light = 255 - shadow.astype(np.uint16)[..., None]
    return ((image * light + 127) // 255).astype(np.uint8)


def _shadowed(image: Bytes, dancer: Cutout, sitting: Sitting) -> Bytes:
    """The floor behind the dancer in the shadow of the body, and dark where the feet touch it."""
    foot, away = int(sitting.view.foot[1] / 2), -1 if sitting.view.foot[0] > WIDTH else 1
    rows = np.arange(max(foot - 44, 0), foot)
    columns = np.arange(WIDTH)[None, :] - away * (foot - rows[:, None])
    source = np.clip(foot - (foot - rows) * 6, 0, HEIGHT - 1)
    lying = np.zeros((HEIGHT, WIDTH), np.uint8)
    lying[rows] = dancer.coverage[source[:, None], np.clip(columns, 0, WIDTH - 1)]
    scale = sitting.view.scale
    shadow = (cv2.GaussianBlur(lying, (25, 25), 0).astype(np.uint16) * 2 // 5).astype(np.uint8)
    shadow = np.maximum(shadow, _patch((int(sitting.view.foot[0] / 2), foot), (int(scale * 0.11), 9), 60))
    for touch, depth in _touches(sitting):
        shadow = np.maximum(shadow, _patch(touch, (int(scale * 0.032), int(scale * 0.009)), depth))
    return _darkened(image, shadow)


def _touches(sitting: Sitting) -> list[tuple[tuple[int, int], int]]:
    """Where in the picture each foot is over the floor, and how dark it is there: less under a raised foot."""
    touches = []
    for name in ("left", "right"):
        middle = (sitting.bones.joints[f"{name}_heel"] + sitting.bones.joints[f"{name}_toe"]) * 0.5
        place = seen(np.array([middle[0], 0.0, middle[2]]), sitting.view)
        touches.append(((int(place[0] / 2), int(place[1] / 2)), max(150 - int(middle[1] * 700), 0)))
    return touches


def _prop(view: View, dice: np.random.Generator) -> Cutout:
    """Now and then a chair between the camera and the dancer, out of focus."""
    layer = np.zeros((TALL, WIDE, 4), np.uint8)
    if dice.integers(0, 5) == 0:
        side = int(dice.integers(0, 2)) * 2 - 1
        x = view.foot[0] + side * view.scale * float(dice.integers(10, 20)) / 100
        colour = ((120, 64, 44), (52, 74, 92), (70, 70, 74))[int(dice.integers(0, 3))]
        middle = x - side * view.scale * 0.115
        furniture.shadow(layer, (middle, view.foot[1] + view.scale * 0.06), (view.scale * 0.17, view.scale * 0.03))
        furniture.chair(layer, (x, view.foot[1] + view.scale * 0.07), view.scale * 0.46, colour, turned=side < 0)
    small = cv2.resize(layer, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (3, 3), 0)
    return Cutout(soft[..., :3].astype(np.uint8), soft[..., 3].astype(np.uint8))


def _visible(dancer: Cutout, hidden: Cutout) -> Bools:
    """Where more than half of what a pixel shows is the dancer."""
    through = 255 - hidden.coverage.astype(np.int32)
    return dancer.coverage.astype(np.int32) * through > 255 * 127


def _filmed(image: Bytes, dice: np.random.Generator) -> Bytes:
    """What the camera makes of it: a soft lens, dark corners, an exposure of its own, and grain."""
    soft = cv2.GaussianBlur(image, (3, 3), 0).astype(np.int32)
    gains = np.array([dice.integers(252, 261) for _ in range(3)], np.int32) + int(dice.integers(-14, 15))
    exposed = soft * (gains * _vignette()) >> 18
    top, left = dice.integers(0, 256, 2)
    rows, columns = (np.arange(HEIGHT) + top) & 255, (np.arange(WIDTH) + left) & 255
    noisy: NDArray[np.int32] = exposed + grain()[rows][:, columns]
    return np.clip(noisy, 0, 255).astype(np.uint8)


@cache
def _vignette() -> NDArray[np.int32]:
    y = (np.arange(HEIGHT)[:, None] - HEIGHT // 2) * 1024 // HEIGHT
    x = (np.arange(WIDTH)[None, :] - WIDTH // 2) * 1024 // WIDTH
    bright: NDArray[np.int32] = 1040 - (x * x + y * y)[..., None] // 2600
    return bright
