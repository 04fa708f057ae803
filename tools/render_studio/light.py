"""Shade a relief with the lamps of a studio."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import bounding_box
from tools.render_studio.relief import NOWHERE, Floats, Relief

Colour = tuple[float, float, float]
Direction = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Light:
    """Lamps and ambient light of a room.

    Attributes:
        key: direction to the key lamp (x right, y down, z to the viewer).
        key_colour: of the key lamp, by channel.
        fill: colour of the ambient light from above.
        floor: colour of the light that the floor reflects.
        rim: direction to the rim lamp, behind the figure.
        rim_colour: of the rim lamp.
        strength: a factor for all of them.
    """

    key: Direction = (-0.45, -0.55, 0.7)
    key_colour: Colour = (1.0, 0.96, 0.9)
    fill: Colour = (0.34, 0.36, 0.4)
    floor: Colour = (0.2, 0.17, 0.14)
    rim: Direction = (0.85, -0.35, -0.4)
    rim_colour: Colour = (0.5, 0.56, 0.7)
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Cutout:
    """A figure without background.

    Attributes:
        colour: uint8 `[H, W, 3]`, multiplied by the coverage.
        coverage: uint8 `[H, W]`, 255 where the figure covers the whole pixel.
    """

    colour: NDArray[np.uint8]
    coverage: NDArray[np.uint8]


def shade(relief: Relief, light: Light) -> Cutout:
    """Light a relief and halve its size, so that pixels at edges are covered in part."""
    present = relief.height > NOWHERE / 2
    colour = np.zeros((*present.shape, 3), np.uint8)
    if present.any():
        window = bounding_box(present)  # most of the image is empty
        colour[window] = _light_surface(relief, light, present[window], window)
    return Cutout(_halve(colour), _halve(present.astype(np.uint8) * np.uint8(255)))


def _light_surface(
    relief: Relief, light: Light, present: NDArray[np.bool_], window: tuple[slice, slice]
) -> NDArray[np.uint8]:
    tall = relief.height.shape[0]
    open_sky = _estimate_openness(relief.height[window], present, tall)[present] * np.float32(light.strength)
    diffuse, shine = _compute_lamp_light(relief.normal[:, *window][:, present], light)
    gloss = relief.gloss[window][present] * np.float32(0.42)
    colour = np.zeros((*present.shape, 3), np.uint8)
    for part, channel in enumerate(relief.colour):
        albedo = channel[window][present]
        glow = np.zeros_like(albedo)
        for lamp, amount in diffuse:
            glow += amount * np.float32(lamp[part])
        lit = (albedo * albedo * np.float32(1 / 65025) * glow + gloss * shine[part]) * open_sky
        colour[present, part] = np.sqrt(np.clip(lit, 0, 1)) * np.float32(255)
    return colour


def _halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = image.shape[1] // 2, image.shape[0] // 2
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _compute_lamp_light(
    normal: Floats, light: Light
) -> tuple[list[tuple[Colour, Floats]], tuple[Floats, Floats, Floats]]:
    """Return the diffuse light of each lamp at the surface, and the specular light by channel."""
    _, y, z = normal
    key = _compute_cosine(normal, light.key)
    wrapped = np.clip((key + np.float32(0.25)) * np.float32(0.8), 0, 1)
    rim = np.clip(_compute_cosine(normal, light.rim), 0, 1) * np.clip(np.float32(1.15) - z, 0, 1)
    sky = np.clip(np.float32(0.5) - y * np.float32(0.5), 0, 1)
    facing = np.float32(0.55) + z * np.float32(0.45)
    bright = wrapped * wrapped * np.float32(0.4) + wrapped * np.float32(0.75)
    half = _compute_half_vector(light.key)
    gleam = np.clip(_compute_cosine(normal, half), 0, 1)
    gleam = gleam * gleam
    gleam = gleam * gleam
    gleam = gleam * gleam
    gleam = gleam * gleam
    diffuse = [
        (light.key_colour, bright),
        (light.fill, sky * facing),
        (light.floor, (1 - sky) * facing),
        (light.rim_colour, rim),
    ]
    red, green, blue = (gleam * np.float32(part) + rim * np.float32(0.25 * part) for part in light.key_colour)
    return diffuse, (red, green, blue)


def _normalize(direction: Direction) -> Direction:
    x, y, z = direction
    size = (x * x + y * y + z * z) ** 0.5
    return x / size, y / size, z / size


def _compute_half_vector(direction: Direction) -> Direction:
    x, y, z = _normalize(direction)
    return x, y, z + 1


def _compute_cosine(normal: Floats, direction: Direction) -> Floats:
    x, y, z = (np.float32(part) for part in _normalize(direction))
    turned: Floats = normal[0] * x + normal[1] * y + normal[2] * z
    return turned


def _estimate_openness(height: Floats, present: NDArray[np.bool_], tall: int) -> Floats:
    """Return the share of ambient light that reaches each pixel: less in armpits, between legs and under a chin."""
    low, high = float(height[present].min()), float(height[present].max())
    levels = np.clip((height - np.float32(low)) * np.float32(200 / (high - low + 1)) + 40, 0, 255) * present
    small = np.ascontiguousarray(levels[::4, ::4]).astype(np.uint8)
    near = _upscale(cv2.GaussianBlur(small, (9, 9), 0), height.shape)
    far = _upscale(cv2.GaussianBlur(small, (31, 31), 0), height.shape)
    unit = np.float32((high - low + 1) / 200 / tall * 40)
    buried = np.clip((near - levels) * unit, 0, 1) * np.float32(0.35)
    buried += np.clip((far - levels) * unit * np.float32(0.5), 0, 1) * np.float32(0.4)
    openness: Floats = 1 - buried
    return openness


def _upscale(small: cv2.typing.MatLike, shape: tuple[int, ...]) -> Floats:
    return cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR_EXACT).astype(np.float32)
