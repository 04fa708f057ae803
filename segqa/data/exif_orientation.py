"""Read the EXIF orientation of images and turn stored pixels upright."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import IO, Any, cast

from numpy.typing import NDArray
from PIL import Image as Pillow

_TAG = 0x0112
_SWAPS_SIZES = 5
_SIGNATURE = 8  # bytes that a PNG starts with


@dataclass(frozen=True, slots=True)
class ExifHeader:
    """Size and orientation of an image, from its header.

    Attributes:
        size: width and height, upright.
        orientation: the EXIF orientation, 1 to 8; 1 where there is none.
    """

    size: tuple[int, int]
    orientation: int

    @property
    def is_turned(self) -> bool:
        """Return whether the stored pixels are not upright."""
        return self.orientation != 1

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the stored pixels."""
        return self.size[::-1] if self.orientation >= _SWAPS_SIZES else self.size


def read_header(image: Pillow.Image) -> ExifHeader:
    """Read size and orientation of an open image that is not decoded yet."""
    orientation = (_read_png_exif(image) if image.format == "PNG" else image.getexif()).get(_TAG, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    # Pillow turns a TIFF when it decodes it, and swaps the sizes before
    is_swapped = orientation >= _SWAPS_SIZES and image.format != "TIFF"
    return ExifHeader(image.size[::-1] if is_swapped else image.size, orientation)


def _read_png_exif(image: Pillow.Image) -> Pillow.Exif:
    """Read the EXIF data of a PNG; Pillow would decode all pixels to find a chunk behind them."""
    probe = Pillow.new("1", (1, 1))
    probe.info = dict(image.info)
    late = b"" if "exif" in probe.info else _find_chunk(image, b"eXIf")
    if late:
        probe.info["exif"] = b"Exif\0\0" + late
    return probe.getexif()


def _find_chunk(image: Pillow.Image, kind: bytes) -> bytes:
    """Find the content of the first chunk of a type in a PNG; None without one."""
    file = cast("IO[bytes]", image.fp)  # type: ignore[attr-defined] # of an image file
    place = file.tell()
    file.seek(_SIGNATURE)
    found = b""
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == kind:
            found = file.read(length)
            break
        file.seek(length + 4, os.SEEK_CUR)
    file.seek(place)
    return found


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored pixels `[H, W, …]` upright, as `PIL.ImageOps.exif_transpose` does.

    >>> import numpy as np
    >>> turn_upright(np.array([[1, 2, 3]]), 6).tolist()
    [[1], [2], [3]]
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
