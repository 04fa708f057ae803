"""Draw furniture: chairs, lamps, screens and other clutter of a studio, flat, in two or three tones.

Coordinates are pixels of the image at twice its final size. Every colour gets an alpha of 255, so the same functions
draw on an image of three channels and on a layer of four.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Colour = tuple[int, int, int]
Point = tuple[float, float]


def draw_polygon(image: Bytes, points: Sequence[Point], colour: Colour) -> None:
    """Draw a filled polygon with soft edges."""
    corners = np.round(np.array(points, np.float64) * 16).astype(np.int32)
    cv2.fillPoly(image, [corners], (*colour, 255), cv2.LINE_AA, 4)


def draw_box(image: Bytes, corner: Point, size: Point, colour: Colour) -> None:
    """Draw a filled upright rectangle."""
    (x, y), (width, height) = corner, size
    draw_polygon(image, [(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour)


def draw_bar(image: Bytes, start: Point, end: Point, width: float, colour: Colour) -> None:
    """Draw a round bar that is lit from the left: a stroke and a brighter one inside it."""
    ends = [tuple(round(part * 16) for part in point) for point in (start, end)]
    cv2.line(image, ends[0], ends[1], (*scale_colour(colour, 0.7), 255), max(round(width), 1), cv2.LINE_AA, 4)
    if width >= 4:
        lit = [(x - round(width * 3), y - round(width * 2)) for x, y in ends]
        cv2.line(image, lit[0], lit[1], (*scale_colour(colour, 1.25), 255), max(round(width * 0.4), 1), cv2.LINE_AA, 4)


def draw_disc(image: Bytes, centre: Point, radii: Point, colour: Colour) -> None:
    """Draw a filled ellipse."""
    middle = (round(centre[0] * 16), round(centre[1] * 16))
    axes = (round(radii[0] * 16), round(radii[1] * 16))
    cv2.ellipse(image, middle, axes, 0, 0, 360, (*colour, 255), -1, cv2.LINE_AA, 4)


def draw_shadow(layer: Bytes, centre: Point, radii: Point) -> None:
    """Draw a shadow on a layer of four channels: half-transparent black."""
    middle = (round(centre[0]), round(centre[1]))
    for scale, depth in ((1.0, 34), (0.8, 64), (0.6, 90)):
        axes = (round(radii[0] * scale), round(radii[1] * scale))
        cv2.ellipse(layer, middle, axes, 0, 0, 360, (0, 0, 0, depth), -1)


def scale_colour(colour: Colour, factor: float) -> Colour:
    """Return the colour, brighter or darker by a factor."""
    red, green, blue = (min(round(part * factor), 255) for part in colour)
    return red, green, blue


def draw_chair(image: Bytes, foot: Point, height: float, colour: Colour, *, turned: bool = False) -> None:
    """Draw a stacking chair of steel tube; `foot` is the position of its front left leg."""
    x, y = foot
    steel, unit, way = (126, 128, 134), height / 10, -1 if turned else 1
    wide, back = 5.0 * unit * way, 1.6 * unit * way
    seat, rest = y - 4.6 * unit, y - 9.9 * unit
    for shift in (0.0, wide):
        draw_bar(
            image, (x + shift + back, y - 1.1 * unit), (x + shift + back, rest), unit * 0.4, scale_colour(steel, 0.75)
        )
    cushion = [(x + back, seat - 1.1 * unit), (x + wide + back, seat - 1.1 * unit), (x + wide, seat), (x, seat)]
    draw_polygon(image, _find_slab_corners((x + back, rest), wide, 3.0 * unit), scale_colour(colour, 0.8))
    draw_polygon(image, _find_slab_corners((x + back, rest), wide, 0.5 * unit), scale_colour(colour, 1.15))
    draw_polygon(image, cushion, scale_colour(colour, 1.1))
    draw_polygon(image, _find_slab_corners((x, seat), wide, 0.7 * unit), scale_colour(colour, 0.62))
    for shift in (0.0, wide):
        draw_bar(image, (x + shift, seat + 0.6 * unit), (x + shift, y), unit * 0.45, steel)
    draw_bar(image, (x, y - 1.8 * unit), (x + wide, y - 1.8 * unit), unit * 0.3, scale_colour(steel, 0.8))


def _find_slab_corners(corner: Point, width: float, height: float) -> list[Point]:
    x, y = corner
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def draw_softbox(image: Bytes, foot: Point, height: float, glow: Colour = (255, 244, 224)) -> None:
    """Draw a photographer's lamp on a tripod."""
    x, y = foot
    black = (38, 38, 42)
    for reach in (-0.16, 0.02, 0.16):
        draw_bar(image, (x, y - height * 0.3), (x + reach * height, y + abs(reach) * 8), height * 0.014, black)
    draw_bar(image, (x, y - height * 0.1), (x, y - height * 0.8), height * 0.018, (84, 84, 88))
    head = y - height
    frame = [(-0.19, -0.02), (0.16, 0.0), (0.19, 0.3), (-0.17, 0.27)]
    inner = [(-0.175, 0.0), (0.145, 0.018), (0.172, 0.282), (-0.157, 0.253)]
    draw_polygon(image, [(x + dx * height, head + dy * height) for dx, dy in frame], black)
    draw_polygon(image, [(x + dx * height, head + dy * height) for dx, dy in inner], glow)


def draw_screen(image: Bytes, corner: Point, size: Point, tint: Colour, rows: Sequence[int]) -> None:
    """Draw a display that shows a chart."""
    (x, y), (width, height) = corner, size
    draw_box(image, (x - 7, y - 7), (width + 14, height + 14), (18, 18, 20))
    draw_box(image, corner, size, scale_colour(tint, 0.45))
    draw_box(image, (x, y), (width, height * 0.16), scale_colour(tint, 0.8))
    step = width / (len(rows) + 1)
    for index, value in enumerate(rows):
        tall = height * 0.7 * value / 100
        draw_box(
            image, (x + step * (index + 0.6), y + height * 0.94 - tall), (step * 0.66, tall), scale_colour(tint, 1.25)
        )


def draw_plant(image: Bytes, foot: Point, height: float, leaves: NDArray[np.int64]) -> None:
    """Draw a rubber plant in a pot; `leaves` holds one row a leaf: lean and reach in percent."""
    x, y = foot
    pot = [(-0.13, -0.27), (0.13, -0.27), (0.1, 0.0), (-0.1, 0.0)]
    rim = [(-0.145, -0.3), (0.145, -0.3), (0.145, -0.25), (-0.145, -0.25)]
    for number, (lean, reach) in enumerate(leaves.tolist()):
        tip = (x + lean / 100 * height * 0.5, y - height * (0.4 + reach / 170))
        root = (x + lean / 900 * height, y - height * 0.28)
        middle = ((root[0] * 2 + tip[0] * 3) / 5 + height * 0.05, (root[1] + tip[1] * 2) / 3)
        other = (middle[0] - height * 0.11, middle[1] + height * 0.02)
        tone = (44 + number % 4 * 14, 84 + number % 5 * 12, 48 + number % 3 * 8)
        draw_polygon(image, [root, middle, tip, other], tone)
        draw_polygon(image, [root, middle, tip], scale_colour(tone, 1.22))
    draw_polygon(image, [(x + dx * height, y + dy * height) for dx, dy in pot], (150, 92, 66))
    draw_polygon(image, [(x + dx * height, y + dy * height) for dx, dy in rim], (176, 112, 82))


def draw_speaker(image: Bytes, corner: Point, size: Point) -> None:
    """Draw a loudspeaker."""
    (x, y), (width, height) = corner, size
    draw_box(image, corner, size, (34, 34, 37))
    draw_box(image, (x + width, y + 4), (width * 0.16, height - 8), (22, 22, 24))
    for share, radius in ((0.27, 0.2), (0.68, 0.36)):
        centre = (x + width / 2, y + height * share)
        for scale, tone in ((1.0, 70), (0.88, 24), (0.7, 46), (0.3, 66)):
            draw_disc(image, centre, (width * radius * scale, width * radius * scale), (tone, tone, tone + 3))


def draw_rail(image: Bytes, start: Point, end: Point, floor: float, colour: Colour = (166, 122, 80)) -> None:
    """Draw a ballet rail on posts."""
    for share in (0.04, 0.5, 0.96):
        x = start[0] + (end[0] - start[0]) * share
        draw_bar(image, (x, start[1]), (x, floor), 6, (92, 94, 98))
    draw_bar(image, start, end, 11, colour)
    draw_bar(image, (start[0], start[1] + 62), (end[0], end[1] + 62), 9, scale_colour(colour, 0.85))


def draw_window(image: Bytes, corner: Point, size: Point, sky: Colour = (214, 228, 240)) -> None:
    """Draw a window with bars and a bright sky."""
    (x, y), (width, height) = corner, size
    draw_box(image, (x - 12, y - 12), (width + 24, height + 24), (196, 192, 184))
    draw_box(image, corner, size, sky)
    skyline = (0.62, 0.74, 0.58, 0.7, 0.66, 0.52, 0.72, 0.64)
    for index, share in enumerate(skyline):
        tone = scale_colour(sky, 0.82 + index % 3 * 0.04)
        draw_box(image, (x + width * index / 8, y + height * share), (width / 8, height * (1 - share)), tone)
    draw_polygon(
        image, [(x, y), (x + width * 0.4, y), (x + width * 0.1, y + height), (x, y + height)], scale_colour(sky, 1.06)
    )
    draw_box(image, (x + width / 2 - 5, y), (10, height), (206, 202, 196))
    draw_box(image, (x, y + height * 0.42), (width, 9), (206, 202, 196))
    draw_box(image, (x - 20, y + height + 10), (width + 40, 14), (222, 218, 210))


def draw_poster(image: Bytes, corner: Point, size: Point, paper: Colour, ink: Colour) -> None:
    """Draw a framed print of circles and lines of text."""
    (x, y), (width, height) = corner, size
    draw_box(image, (x - 5, y - 5), (width + 10, height + 10), (46, 42, 40))
    draw_box(image, corner, size, paper)
    draw_disc(image, (x + width * 0.5, y + height * 0.36), (width * 0.3, width * 0.3), ink)
    draw_disc(image, (x + width * 0.6, y + height * 0.42), (width * 0.2, width * 0.2), scale_colour(ink, 1.5))
    for line, share in enumerate((0.8, 0.6, 0.7)):
        draw_box(
            image,
            (x + width * 0.1, y + height * (0.72 + 0.07 * line)),
            (width * share, height * 0.03),
            scale_colour(ink, 0.7),
        )


def draw_cable(image: Bytes, points: Sequence[Point], colour: Colour = (26, 26, 28)) -> None:
    """Draw a cable on the floor, as a smooth curve through its points."""
    line = np.array(points, np.float64)
    for _ in range(3):
        ahead = np.roll(line, -1, 0)[:-1]
        cut = np.stack([line[:-1] * 0.75 + ahead * 0.25, line[:-1] * 0.25 + ahead * 0.75], 1).reshape(-1, 2)
        line = np.vstack([line[:1], cut, line[-1:]])
    cv2.polylines(image, [np.round(line * 16).astype(np.int32)], False, (*colour, 255), 4, cv2.LINE_AA, 4)
