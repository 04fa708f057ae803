"""Render a scene: one view of a dancer in the studio, and the mask of the dancer."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.render_studio import furniture
from tools.render_studio.body import make_body
from tools.render_studio.figure import Figure
from tools.render_studio.head import make_head
from tools.render_studio.light import Cutout, shade
from tools.render_studio.mannequin import CAMERA, make_mannequin
from tools.render_studio.pose import KEY_EVERY, Pose, interpolate_pose, mirror_pose
from tools.render_studio.relief import lay_limb, make_blank_relief
from tools.render_studio.room import HEIGHT, ROOMS, TALL, WIDE, WIDTH, Room, draw_room
from tools.render_studio.skeleton import Skeleton, View, make_skeleton, project_point
from tools.render_studio.texture import make_grain
from tools.render_studio.wardrobe import OUTFITS

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

MARGIN = 16
"""The least distance of a figure from the edges of the image, in pixels at twice the final size."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A rendered scene.

    Attributes:
        name: `action_sequence_camera_frame`.
        image: RGB uint8 `[H, W, 3]`.
        target: bool `[H, W]`, True where the dancer shows.
    """

    name: str
    image: Bytes
    target: Bools


@dataclass(frozen=True, slots=True)
class _Moment:
    """A sequence, a camera and a frame."""

    sequence: str
    camera: str
    frame: int


@cache
def _list_moments() -> dict[str, _Moment]:
    """Return two frames of every sequence for each camera; no two cameras share a frame."""
    moments = {}
    for sequence in OUTFITS:
        for number, camera in enumerate(ROOMS):
            for turn in range(2):
                frame = KEY_EVERY * (2 * number + 1 + turn)
                moments[f"{sequence[:-1]}_{sequence}_{camera}_{frame:05d}"] = _Moment(sequence, camera, frame)
    return dict(sorted(moments.items()))


def list_scene_names() -> tuple[str, ...]:
    """Return the names of all scenes, sorted."""
    return tuple(_list_moments())


def render_scene(name: str) -> Scene:
    """Render a scene; the same name always gives the same pixels.

    Raises:
        ValueError: there is no scene of that name.
    """
    moment = _find_moment(name)
    dice = np.random.default_rng(zlib.crc32(name.encode()))
    room = ROOMS[moment.camera]
    figure = _make_figure(moment, room, dice)
    dancer = _draw_figure(figure, room)
    image = _lay_on_image(_draw_shadow(_draw_stage(moment.camera), dancer, figure), dancer)
    hidden = _draw_prop(figure.view, dice)
    image = _lay_on_image(image, hidden)
    return Scene(name, _film(image, dice), _find_visible(dancer, hidden))


def render_mannequin_mask(name: str) -> Bools:
    """Return where a scene shows the mannequin, bool `[H, W]`; empty for all cameras but one.

    Raises:
        ValueError: there is no scene of that name.
    """
    moment = _find_moment(name)
    if moment.camera != CAMERA:
        return np.zeros((HEIGHT, WIDTH), np.bool_)
    dice = np.random.default_rng(zlib.crc32(name.encode()))
    figure = _make_figure(moment, ROOMS[moment.camera], dice)
    dancer, hidden = _draw_figure(figure, ROOMS[moment.camera]), _draw_prop(figure.view, dice)
    through = (255 - dancer.coverage.astype(np.int32)) * (255 - hidden.coverage.astype(np.int32))
    return make_mannequin().coverage.astype(np.int32) * through > 255 * 255 * 127


def _find_moment(name: str) -> _Moment:
    if name not in _list_moments():
        names = list_scene_names()
        raise ValueError(f"expected one of the {len(names)} studio scenes, {names[0]} to {names[-1]}, got {name!r}")
    return _list_moments()[name]


def _make_figure(moment: _Moment, room: Room, dice: np.random.Generator) -> Figure:
    """Pose and dress the dancer, and fit the view to the image."""
    outfit = OUTFITS[moment.sequence]
    pose = _choose_pose(moment, dice)
    bones = make_skeleton(pose, outfit.build, room.around)
    scale = TALL * room.size * float(dice.integers(92, 109)) / 100
    shift = float(dice.integers(-24, 25))
    view = View(above=room.above, scale=scale, foot=(2 * room.stand[0] + shift, 2.0 * room.stand[1]))
    return Figure(bones, outfit, _fit_view(bones, view))


def _draw_figure(figure: Figure, room: Room) -> Cutout:
    """Render the dancer without background, at the final size."""
    relief = make_blank_relief(TALL, WIDE)
    for limb in [*make_body(figure), *make_head(figure)]:
        lay_limb(relief, limb)
    return shade(relief, room.light)


def _choose_pose(moment: _Moment, dice: np.random.Generator) -> Pose:
    """Return the pose at that frame, a little early or late; second sequences are mirrored."""
    late = float(dice.integers(-24, 25)) / 100
    pose = interpolate_pose(moment.sequence[:-1], moment.frame / KEY_EVERY + late)
    pose = replace(pose, turn=pose.turn + float(dice.integers(-10, 11)))
    return mirror_pose(pose) if moment.sequence.endswith("2") else pose


def _fit_view(bones: Skeleton, view: View) -> View:
    """Move the view sideways, and shrink it if necessary, until the whole figure is in the image."""
    places = np.stack([project_point(place, view) for place in bones.joints.values()])
    hand = 0.1 * view.scale
    left, right = float(places[:, 0].min()) - hand, float(places[:, 0].max()) + hand
    tall = view.foot[1] - float(places[:, 1].min()) + hand
    shrink = min(1.0, (WIDE - 2 * MARGIN) / (right - left), 0.84 * TALL / tall)
    x = view.foot[0]
    left, right = x + (left - x) * shrink, x + (right - x) * shrink
    x += max(MARGIN - left, 0.0) - max(right - (WIDE - MARGIN), 0.0)
    return replace(view, scale=view.scale * shrink, foot=(x, view.foot[1]))


@cache
def _draw_stage(camera: str) -> Bytes:
    """Draw the camera's room without a dancer but with its mannequin."""
    if camera != CAMERA:
        return draw_room(camera)
    return _lay_on_image(_darken(draw_room(camera), _draw_shadow_patch((59, 382), (54, 11), 120)), make_mannequin())


def _lay_on_image(image: Bytes, cutout: Cutout) -> Bytes:
    through = 255 - cutout.coverage.astype(np.uint16)[..., None]
    return np.minimum(cutout.colour + (image * through + 127) // 255, 255).astype(np.uint8)


def _draw_shadow_patch(foot: tuple[int, int], radii: tuple[int, int], depth: int) -> Bytes:
    """Draw a soft elliptic shadow, uint8 `[H, W]`."""
    patch = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(patch, foot, radii, 0, 0, 360, depth, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(patch, (21, 21), 0).astype(np.uint8, copy=False)


def _darken(image: Bytes, shadow: NDArray[np.generic]) -> Bytes:
    light = 255 - shadow.astype(np.uint16)[..., None]
    return ((image * light + 127) // 255).astype(np.uint8)


def _draw_shadow(image: Bytes, dancer: Cutout, figure: Figure) -> Bytes:
    """Darken the floor by the dancer's shadow, most where the feet touch it."""
    foot, away = int(figure.view.foot[1] / 2), -1 if figure.view.foot[0] > WIDTH else 1
    rows = np.arange(max(foot - 44, 0), foot)
    columns = np.arange(WIDTH)[None, :] - away * (foot - rows[:, None])
    source = np.clip(foot - (foot - rows) * 6, 0, HEIGHT - 1)
    lying = np.zeros((HEIGHT, WIDTH), np.uint8)
    lying[rows] = dancer.coverage[source[:, None], np.clip(columns, 0, WIDTH - 1)]
    scale = figure.view.scale
    shadow = (cv2.GaussianBlur(lying, (25, 25), 0).astype(np.uint16) * 2 // 5).astype(np.uint8)
    shadow = np.maximum(shadow, _draw_shadow_patch((int(figure.view.foot[0] / 2), foot), (int(scale * 0.11), 9), 60))
    for touch, depth in _find_foot_shadows(figure):
        shadow = np.maximum(shadow, _draw_shadow_patch(touch, (int(scale * 0.032), int(scale * 0.009)), depth))
    return _darken(image, shadow)


def _find_foot_shadows(figure: Figure) -> list[tuple[tuple[int, int], int]]:
    """Return the image position below each foot, and how dark the floor is there: less under a raised foot."""
    touches = []
    for name in ("left", "right"):
        middle = (figure.bones.joints[f"{name}_heel"] + figure.bones.joints[f"{name}_toe"]) * 0.5
        place = project_point(np.array([middle[0], 0.0, middle[2]]), figure.view)
        touches.append(((int(place[0] / 2), int(place[1] / 2)), max(150 - int(middle[1] * 700), 0)))
    return touches


def _draw_prop(view: View, dice: np.random.Generator) -> Cutout:
    """Draw, in one scene of five, a chair between the camera and the dancer, out of focus."""
    layer = np.zeros((TALL, WIDE, 4), np.uint8)
    if dice.integers(0, 5) == 0:
        side = int(dice.integers(0, 2)) * 2 - 1
        x = view.foot[0] + side * view.scale * float(dice.integers(10, 20)) / 100
        colour = ((120, 64, 44), (52, 74, 92), (70, 70, 74))[int(dice.integers(0, 3))]
        middle = x - side * view.scale * 0.115
        furniture.draw_shadow(layer, (middle, view.foot[1] + view.scale * 0.06), (view.scale * 0.17, view.scale * 0.03))
        furniture.draw_chair(layer, (x, view.foot[1] + view.scale * 0.07), view.scale * 0.46, colour, turned=side < 0)
    small = cv2.resize(layer, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (3, 3), 0)
    return Cutout(soft[..., :3].astype(np.uint8), soft[..., 3].astype(np.uint8))


def _find_visible(dancer: Cutout, hidden: Cutout) -> Bools:
    """Return where the dancer makes up more than half of a pixel, bool `[H, W]`."""
    through = 255 - hidden.coverage.astype(np.int32)
    return dancer.coverage.astype(np.int32) * through > 255 * 127


def _film(image: Bytes, dice: np.random.Generator) -> Bytes:
    """Apply the camera: a soft lens, dark corners, exposure and grain."""
    soft = cv2.GaussianBlur(image, (3, 3), 0).astype(np.int32)
    gains = np.array([dice.integers(252, 261) for _ in range(3)], np.int32) + int(dice.integers(-14, 15))
    exposed = soft * (gains * _make_vignette()) >> 18
    top, left = dice.integers(0, 256, 2)
    rows, columns = (np.arange(HEIGHT) + top) & 255, (np.arange(WIDTH) + left) & 255
    noisy: NDArray[np.int32] = exposed + make_grain()[rows][:, columns]
    return np.clip(noisy, 0, 255).astype(np.uint8)


@cache
def _make_vignette() -> NDArray[np.int32]:
    y = (np.arange(HEIGHT)[:, None] - HEIGHT // 2) * 1024 // HEIGHT
    x = (np.arange(WIDTH)[None, :] - WIDTH // 2) * 1024 // WIDTH
    bright: NDArray[np.int32] = 1040 - (x * x + y * y)[..., None] // 2600
    return bright
