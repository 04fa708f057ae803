"""Data sets in the forms that people have: made on the spot, each with one image and one object, seen by `Bright`."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segqa import Proposals
from segqa.data.mask import Image, Mask

Write: TypeAlias = Callable[[Path, int], None]
"""Writes the mask or the image of a case to a path without a suffix; the number makes it another case."""

SHAPE = (64, 80)


class Bright:
    """Segments what is brighter than the middle."""

    fingerprint = "bright"

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [Proposals.single(image.mean(axis=2) > 120) for image in images]


def blob(index: int) -> Mask:
    """The object of a case: not symmetric, inside the image."""
    canvas = np.zeros(SHAPE, np.uint8)
    cv2.ellipse(canvas, (30 + index % 9, 24 + index % 7), (14, 9), 30, 0, 360, 1, -1)
    cv2.rectangle(canvas, (40, 30), (52 + index % 5, 40), 1, -1)
    return canvas.view(np.bool_)


def photo(index: int) -> Image:
    """A bright blob on dark noise, RGB."""
    noise = np.random.default_rng(index).integers(0, 60, (*SHAPE, 3))
    return (noise + 150 * blob(index)[:, :, None]).astype(np.uint8)


def levels(index: int) -> NDArray[np.uint8]:
    """The object as 0 and 255."""
    return blob(index).astype(np.uint8) * 255


def ring(mask: Mask) -> Mask:
    """The pixels just around an object."""
    grown: Mask = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return grown & ~mask


def grey(make: Callable[[int], NDArray[Any]], suffix: str = ".png", **options: Any) -> Write:
    """Write an array by its dtype."""

    def write(path: Path, index: int) -> None:
        Pillow.fromarray(make(index)).save(path.with_suffix(suffix), **options)

    return write


def palette(make: Callable[[int], NDArray[Any]], colours: Sequence[tuple[int, int, int]]) -> Write:
    """Write indices with a palette."""

    def write(path: Path, index: int) -> None:
        picture = Pillow.fromarray(make(index).astype(np.uint8))
        picture.putpalette([value for colour in colours for value in colour])
        picture.save(path.with_suffix(".png"))

    return write


def low_depth(depth: int, make: Callable[[int], NDArray[Any]]) -> Write:
    """Write a grey PNG of 1, 2 or 4 bits, which Pillow cannot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def write(path: Path, index: int) -> None:
        values = make(index).astype(np.uint8)
        bits = np.unpackbits(values[:, :, None], axis=2)[:, :, 8 - depth :].reshape(len(values), -1)
        rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
        header = struct.pack(">IIBBBBB", SHAPE[1], SHAPE[0], depth, 0, 0, 0, 0)
        parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)

    return write


def exif(make: Callable[[int], NDArray[Any]], orientation: int, suffix: str = ".jpg") -> Write:
    """Write with an EXIF orientation."""

    def write(path: Path, index: int) -> None:
        data = Pillow.Exif()
        data[0x0112] = orientation
        Pillow.fromarray(make(index)).save(path.with_suffix(suffix), exif=data)

    return write


GOOD = grey(levels)
PHOTO = grey(photo)


def write_set(folder: Path, *parts: tuple[int, Write, Write]) -> Path:
    """A folder with so many cases of each kind, each with a writer for images and one for masks."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    index = 0
    for count, image, mask in parts:
        for _ in range(count):
            image(folder / "images" / f"c{index:02}", index)
            mask(folder / "masks" / f"c{index:02}", index)
            index += 1
    return folder
