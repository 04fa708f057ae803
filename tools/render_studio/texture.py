"""Seamless tiles of noise, the same on every machine."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray


@cache
def make_noise(seed: int, rows: int, columns: int, size: int = 256) -> NDArray[np.uint8]:
    """Return smooth noise `[size, size]` from `rows` × `columns` random knots, stretched to the full range."""
    knots = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    wide = np.tile(knots, (3, 3))
    grown = cv2.resize(wide, (3 * size, 3 * size), interpolation=cv2.INTER_LINEAR_EXACT)
    spread = max(size // max(rows, columns) // 4, 1) * 2 + 1
    soft = cv2.GaussianBlur(grown, (spread, spread), 0)[size : 2 * size, size : 2 * size].astype(np.int32)
    low, high = int(soft.min()), int(soft.max())
    return ((soft - low) * 255 // max(high - low, 1)).astype(np.uint8)


@cache
def make_grain() -> NDArray[np.int16]:
    """Return sensor noise `[256, 256, 3]` from -8 to 8: the sum of four dice, so nearly normal."""
    dice = np.random.default_rng(7).integers(-2, 3, (4, 256, 256, 3), dtype=np.int16)
    total: NDArray[np.int16] = dice[0] + dice[1] + dice[2] + dice[3]
    return total


@cache
def make_fold_slopes() -> NDArray[np.float32]:
    """Return slopes `[2, 256, 256]` across and along hanging, creased cloth, about -1 to 1."""
    rising, falling = _shear(make_noise(11, 11, 3), 1), _shear(make_noise(12, 9, 3), -1)
    height = np.maximum(rising, falling) * 2 + _shear(make_noise(13, 22, 9), 1) // 2 + make_noise(14, 6, 8)
    across = np.roll(height, -3, 1) - np.roll(height, 3, 1)
    along = np.roll(height, -3, 0) - np.roll(height, 3, 0)
    return np.stack([across, along]).astype(np.float32) / np.float32(90)


def _shear(tile: NDArray[np.uint8], slope: int) -> NDArray[np.int32]:
    """Turn the creases of a tile by 45 degrees; it stays seamless."""
    size = tile.shape[0]
    rows = (np.arange(size)[:, None] + slope * np.arange(size)[None, :]) % size
    return np.take_along_axis(tile, rows, axis=0).astype(np.int32)


def repeat_tile(tile: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Repeat a tile to `[height, width]`."""
    rows = np.arange(height) % tile.shape[0]
    columns = np.arange(width) % tile.shape[1]
    cut: NDArray[np.uint8] = tile[rows][:, columns]
    return cut
