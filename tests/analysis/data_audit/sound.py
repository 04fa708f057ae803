"""Make a data set without flaws: unrelated images, each with a disc as its target."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from segqa.data.mask import Image, Mask
from tests.conftest import write_case

SHAPE = (80, 90)


def make_image(seed: int) -> Image:
    """Return an image of 72 patches of random colours."""
    patches = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    return np.kron(patches, np.ones((10, 10, 1), np.uint8))


def make_disc(seed: int) -> Mask:
    """Return a disc whose size and position depend on the seed, away from the border."""
    canvas = np.zeros(SHAPE, np.uint8)
    cv2.circle(canvas, (40 + seed % 7, 40 - seed % 5), 12 + seed % 11, 1, -1)
    return canvas.view(np.bool_)


def write_sound(folder: Path, count: int = 12, first: int = 0) -> Path:
    """Write `count` cases, `c00`, `c01`, …, into a folder."""
    for index in range(first, first + count):
        write_case(folder, f"c{index:02}", make_image(index), make_disc(index))
    return folder
