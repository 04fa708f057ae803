"""Draw the room of each of the four cameras without a dancer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.render_studio import furniture
from tools.render_studio.light import Light
from tools.render_studio.texture import make_noise, repeat_tile

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Colour = tuple[int, int, int]

HEIGHT, WIDTH = 512, 384
TALL, WIDE = 2 * HEIGHT, 2 * WIDTH
"""Rooms are drawn at twice the final size."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of lamp light, or a shadow where `adds` is negative.

    Attributes:
        centre: in pixels at twice the final size.
        reach: half width and half height, in the same pixels.
        adds: to the brightness, by channel.
    """

    centre: tuple[float, float]
    reach: tuple[float, float]
    adds: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Room:
    """A camera's view of the studio.

    `floor` is the image row where the wall ends, and `stand` where dancers stand: (column, row). `size` is the height
    of a body there, as a share of the image's height. `around` and `above` give the camera's position, in degrees.
    """

    wall: Colour
    boards: Colour
    floor: int
    stand: tuple[int, int]
    size: float
    around: float
    above: float
    light: Light
    pools: tuple[Pool, ...]
    clutter: Callable[[Bytes], None]
    surface: str = "plaster"
    haze: int = 5
    beams: tuple[tuple[tuple[int, int], ...], ...] = ()
    """Patches of sun on floor and walls, as polygons in pixels of the drawing."""


def _furnish_daylight(image: Bytes) -> None:
    furniture.draw_window(image, (64, 70), (176, 300))
    furniture.draw_poster(image, (560, 120), (130, 180), (226, 214, 190), (150, 62, 52))
    furniture.draw_poster(image, (420, 190), (90, 120), (60, 74, 88), (196, 168, 96))
    furniture.draw_rail(image, (-20, 448), (790, 452), 712)
    furniture.draw_softbox(image, (700, 770), 430)
    furniture.draw_chair(image, (20, 800), 210, (70, 92, 120))
    furniture.draw_cable(image, [(700, 778), (640, 830), (700, 880), (800, 900)])


def _furnish_showroom(image: Bytes) -> None:
    furniture.draw_screen(image, (520, 70), (220, 136), (70, 120, 150), (30, 62, 48, 84, 70, 52, 90, 66))
    furniture.draw_speaker(image, (672, 470), (84, 216))
    furniture.draw_box(image, (330, 560), (330, 14), (92, 74, 60))
    for x in (344, 640):
        furniture.draw_bar(image, (x, 574), (x, 690), 8, (70, 60, 52))
    furniture.draw_box(image, (372, 512), (96, 48), (150, 146, 138))
    furniture.draw_box(image, (520, 530), (60, 30), (120, 62, 50))
    furniture.draw_cable(image, [(690, 690), (600, 720), (500, 700), (420, 730), (330, 700)])
    furniture.draw_softbox(image, (742, 790), 560, (250, 246, 236))


def _furnish_loft(image: Bytes) -> None:
    furniture.draw_window(image, (500, 40), (220, 260), (176, 196, 214))
    furniture.draw_screen(image, (96, 190), (190, 118), (176, 84, 60), (70, 44, 88, 60, 36))
    furniture.draw_speaker(image, (8, 520), (96, 236))
    furniture.draw_plant(image, (690, 764), 330, np.random.default_rng(5).integers(-100, 100, (16, 2)))
    furniture.draw_chair(image, (140, 780), 220, (150, 60, 48))
    furniture.draw_chair(image, (560, 760), 200, (60, 62, 66), turned=True)
    furniture.draw_cable(image, [(60, 760), (160, 830), (260, 800), (380, 850), (520, 1000)])


def _furnish_mirrors(image: Bytes) -> None:
    for x, tone in ((30, (150, 162, 172)), (222, (160, 171, 180)), (414, (154, 166, 175)), (606, (146, 158, 168))):
        furniture.draw_box(image, (x, 90), (182, 520), (108, 112, 116))
        furniture.draw_box(image, (x + 5, 95), (172, 510), tone)
        furniture.draw_polygon(image, [(x + 30, 95), (x + 92, 95), (x + 40, 605), (x + 5, 605), (x + 5, 340)], tuple(
            part + 12 for part in tone))  # type: ignore[arg-type]  # fmt: skip
    furniture.draw_rail(image, (-20, 430), (790, 430), 650, (190, 160, 120))
    furniture.draw_softbox(image, (70, 730), 470, (240, 246, 255))
    furniture.draw_chair(image, (590, 712), 170, (190, 170, 60))
    furniture.draw_chair(image, (480, 706), 165, (190, 170, 60))
    furniture.draw_plant(image, (722, 730), 260, np.random.default_rng(9).integers(-100, 100, (14, 2)))
    furniture.draw_cable(image, [(70, 736), (150, 790), (60, 860), (-10, 880)])


def _make_shadows(*places: tuple[float, float, float]) -> tuple[Pool, ...]:
    """Return shadows on the floor at (x, y, reach)."""
    return tuple(Pool((x, y), (reach, reach * 0.22), (-0.4, -0.4, -0.4)) for x, y, reach in places)


ROOMS: dict[str, Room] = {
    "C1": Room(
        wall=(196, 184, 166), boards=(164, 124, 86), floor=356, stand=(192, 474), size=0.66, around=0, above=7,
        light=Light(key=(-0.6, -0.45, 0.66), key_colour=(1.02, 0.97, 0.9)),
        pools=(Pool((150, 220), (300, 360), (0.5, 0.52, 0.55)), Pool((690, 420), (200, 230), (0.62, 0.54, 0.4)),
               *_make_shadows((80, 806, 110), (700, 776, 110))),
        beams=(((130, 830), (300, 806), (420, 890), (230, 926)), ((270, 950), (460, 908), (590, 1010), (380, 1060))),
        clutter=_furnish_daylight,
    ),
    "C2": Room(
        wall=(172, 176, 184), boards=(150, 144, 140), floor=342, stand=(248, 448), size=0.57, around=-14, above=9,
        light=Light(key=(0.5, -0.5, 0.7), key_colour=(0.92, 0.92, 0.94), fill=(0.26, 0.28, 0.34), strength=0.9),
        pools=(Pool((130, 420), (130, 330), (0.3, 0.3, 0.3)), Pool((540, 260), (340, 380), (0.2, 0.24, 0.26)),
               Pool((742, 310), (110, 150), (0.5, 0.48, 0.42)),
               *_make_shadows((714, 692, 90), (490, 700, 190), (742, 794, 100))),
        clutter=_furnish_showroom, surface="curtain",
    ),
    "C3": Room(
        wall=(142, 86, 66), boards=(112, 82, 60), floor=368, stand=(196, 480), size=0.7, around=18, above=6,
        light=Light(key=(0.62, -0.5, 0.6), key_colour=(1.0, 0.92, 0.82), rim=(-0.9, -0.3, -0.3)),
        pools=(Pool((610, 200), (320, 360), (0.36, 0.38, 0.42)), Pool((190, 250), (240, 200), (0.26, 0.14, 0.1)),
               Pool((400, 900), (520, 240), (0.2, 0.19, 0.17)),
               *_make_shadows((60, 762, 100), (200, 788, 100), (520, 766, 100), (690, 768, 80))),
        clutter=_furnish_loft, surface="brick",
    ),
    "C4": Room(
        wall=(176, 182, 188), boards=(140, 132, 122), floor=326, stand=(190, 434), size=0.55, around=-26, above=10,
        light=Light(key=(-0.4, -0.6, 0.7), key_colour=(0.96, 0.99, 1.03), fill=(0.42, 0.44, 0.46), strength=1.12),
        pools=(Pool((90, 330), (240, 280), (0.56, 0.6, 0.66)), Pool((420, 880), (420, 200), (0.16, 0.16, 0.15)),
               *_make_shadows((640, 716, 90), (530, 710, 90), (722, 734, 70), (72, 736, 110))),
        clutter=_furnish_mirrors,
    ),
}  # fmt: skip


@cache
def draw_room(camera: str) -> Bytes:
    """Draw the room of a camera, uint8 `[H, W, 3]`: furnished, lit and out of focus."""
    room = ROOMS[camera]
    image = np.empty((TALL, WIDE, 3), np.uint8)
    _draw_walls(image, room)
    _draw_floor(image, room)
    room.clutter(image)
    lit = _light_room(image, room)
    small = cv2.resize(lit, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (room.haze, room.haze), 0).astype(np.uint8, copy=False)


def _draw_walls(image: Bytes, room: Room) -> None:
    surface = {"plaster": _make_plaster, "brick": _make_bricks, "curtain": _make_curtain}[room.surface]
    rows = 2 * room.floor
    image[:rows] = _tint(room.wall, surface(rows))
    furniture.draw_box(image, (-4, rows - 30), (WIDE + 8, 26), furniture.scale_colour(room.wall, 0.8))
    furniture.draw_box(image, (-4, rows - 8), (WIDE + 8, 8), furniture.scale_colour(room.wall, 0.45))


def _tint(colour: Colour, tone: NDArray[np.int32]) -> Bytes:
    """Multiply the colour by a tone; 128 leaves it unchanged."""
    return np.clip(tone[..., None] * np.array(colour, np.int32) // 128, 0, 255).astype(np.uint8)


def _make_plaster(rows: int) -> NDArray[np.int32]:
    stains = repeat_tile(make_noise(21, 5, 5), rows, WIDE).astype(np.int32)
    specks = repeat_tile(make_noise(22, 96, 96), rows, WIDE).astype(np.int32)
    return 128 + (stains - 128) // 12 + (specks - 128) // 24 - np.arange(rows)[:, None] // 60


def _make_bricks(rows: int) -> NDArray[np.int32]:
    y, x = np.arange(rows)[:, None], np.arange(WIDE)[None, :]
    course = y // 26
    shifted = x + course % 2 * 31
    tones = np.random.default_rng(23).integers(-26, 27, (64, 16)).astype(np.int32)
    tone = 128 + tones[course % 64, shifted // 62 % 16]
    mortar = (y % 26 < 4) | (shifted % 62 < 4)
    edge = (y % 26 == 4) | (shifted % 62 == 4)
    specks = repeat_tile(make_noise(24, 80, 80), rows, WIDE).astype(np.int32)
    rough: NDArray[np.int32] = np.where(mortar, 150, tone + edge * 14) + (specks - 128) // 9
    return rough


def _make_curtain(rows: int) -> NDArray[np.int32]:
    """Return plaster whose left part a heavy dark curtain covers."""
    hangs = repeat_tile(make_noise(25, 2, 22), rows, WIDE).astype(np.int32)
    cloth = 30 + hangs // 6
    edge = 318 + (repeat_tile(make_noise(26, 3, 3), rows, 1).astype(np.int32) - 128) // 16
    return np.where(np.arange(WIDE)[None, :] < edge, cloth, _make_plaster(rows))


def _draw_floor(image: Bytes, room: Room) -> None:
    """Draw boards that run to a vanishing point above the far edge of the floor."""
    top = 2 * room.floor
    y = np.arange(top, TALL, dtype=np.float32)[:, None]
    x = np.arange(WIDE, dtype=np.float32)[None, :] - np.float32(WIDE * 0.45)
    depth = np.float32(1) / (y - np.float32(top - 330))
    lane = (x * depth * np.float32(9) + np.float32(40)).astype(np.float32)
    board = lane.astype(np.int32)
    run = (depth * np.float32(90000)).astype(np.int32) + board * 57
    tones = np.random.default_rng(31).integers(-14, 15, (128, 32)).astype(np.int32)
    veins = make_noise(32, 6, 64)
    vein = veins[(run // 2) & 255, (lane * np.float32(60)).astype(np.int32) & 255].astype(np.int32)
    tone = 128 + tones[board & 127, run // 110 & 31] + (vein - 128) // 10
    seam = ((lane - board) < np.float32(0.045)) | (run % 110 < 1)
    image[top:] = _tint(room.boards, np.where(seam, tone * 6 // 10, tone))


def _light_room(image: Bytes, room: Room) -> Bytes:
    """Light the drawing; the line where wall and floor meet is darker."""
    y = np.arange(TALL, dtype=np.float32)[:, None]
    x = np.arange(WIDE, dtype=np.float32)[None, :]
    meet = (y - 2 * room.floor) / np.float32(60)
    base = np.float32(0.66) - np.float32(0.12) / (1 + meet * meet) + _draw_sun(room)
    parts = [base.copy(), base.copy(), base]
    for pool in room.pools:
        dx, dy = (x - pool.centre[0]) / np.float32(pool.reach[0]), (y - pool.centre[1]) / np.float32(pool.reach[1])
        fall = 1 / (1 + dx * dx + dy * dy)
        for part, amount in zip(parts, pool.adds, strict=True):
            np.add(part, fall * fall * np.float32(amount), out=part)
    lit = [np.clip(image[..., index] * part, 0, 255) for index, part in enumerate(parts)]
    return np.stack(lit, axis=-1).astype(np.uint8)


def _draw_sun(room: Room) -> Floats:
    patches = np.zeros((TALL, WIDE), np.uint8)
    for beam in room.beams:
        cv2.fillPoly(patches, [np.array(beam, np.int32)], 255, cv2.LINE_AA)
    return cv2.GaussianBlur(patches, (13, 13), 0).astype(np.float32) * np.float32(0.34 / 255)
