"""Apply geometric perturbations, each an affine map, to images and masks.

This module uses OpenCV alone. albumentations gives the same pixels, but takes most of a second to import, and warping a
mask needs nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Image, Mask

_Map: TypeAlias = tuple[float, float, float, float]
"""Scale in x and y, and translation in x and y in pixels."""

_Shape: TypeAlias = tuple[int, int]


def warp_image(name: str, amount: float, image: Image) -> Image:
    """Warp an image with bilinear interpolation; pixels from outside are black.

    Args:
        name: a key of `GEOMETRIC_MAPS`.
        amount: strength, see `segqa.analysis.robustness.perturbations`.
        image: RGB uint8 `[H, W, 3]`.
    """
    return _warp(name, amount, image, cv2.INTER_LINEAR)


def warp_mask(name: str, amount: float, mask: Mask) -> tuple[Mask, Mask]:
    """Warp a mask by nearest neighbour, and return it with the mask of the pixels that come from inside the image.

    Args:
        name: a key of `GEOMETRIC_MAPS`.
        amount: strength.
        mask: bool `[H, W]`.
    """
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    moved = _warp(name, amount, pixels, cv2.INTER_NEAREST)
    common = _warp(name, amount, np.ones_like(pixels), cv2.INTER_NEAREST)
    return moved.view(np.bool_), common.view(np.bool_)


def _warp(name: str, amount: float, pixels: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
    """Warp pixels by one of the maps."""
    height, width = pixels.shape[:2]
    (wider, higher, right, down), (high, wide) = GEOMETRIC_MAPS[name](amount, (height, width))
    matrix = np.array([[wider, 0, right], [0, higher, down]], np.float64)
    moved: Any = cv2.warpAffine(pixels, matrix, (wide, high), flags=interpolation, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(moved, np.uint8)


def _flip(_amount: float, shape: _Shape) -> tuple[_Map, _Shape]:
    return (-1, 1, shape[1] - 1, 0), shape


def _shift(amount: float, shape: _Shape) -> tuple[_Map, _Shape]:
    # whole pixels avoid blur
    down, right = (round(amount * side) for side in shape)
    return (1, 1, right, down), shape


def _scale(amount: float, shape: _Shape) -> tuple[_Map, _Shape]:
    # around the centre; the centre of the first pixel is at 0
    down, right = (middle - amount * middle for middle in ((side - 1) / 2 for side in shape))
    return (amount, amount, right, down), shape


def _pad(amount: float, shape: _Shape) -> tuple[_Map, _Shape]:
    down, right = (round(amount * side) for side in shape)
    return (1, 1, right, down), (shape[0] + 2 * down, shape[1] + 2 * right)


GEOMETRIC_MAPS: Mapping[str, Callable[[float, _Shape], tuple[_Map, _Shape]]] = MappingProxyType(
    {"flip": _flip, "shift": _shift, "scale": _scale, "padding": _pad}
)
"""For each perturbation: from an amount and a shape `(height, width)` to the map and the output shape."""
