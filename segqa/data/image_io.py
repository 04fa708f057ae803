"""Open and decode image files.

Pillow reads them: it looks at the header before it decodes, and refuses a truncated file where OpenCV fills up with
grey (`docs/decisions/reading-images.md`).
"""

from __future__ import annotations

import hashlib
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from segqa.data.bit_depth import read_rgb
from segqa.data.mask import Image
from segqa.errors import CaseError, OversizeError
from segqa.support.git import describe_pointer

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""What counts as a picture, by the file's name."""

READER = f"2, Pillow {version('pillow')}"
"""Changes whenever the same file could be read as other pixels; raise the number when the code here does it."""

MAX_PIXELS = 89_478_485
"""More than this is refused before decoding (a quarter of a gigabyte as RGB); Pillow's own limit for a warning."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error)
_TOO_LARGE = (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning)


def decode_image(data: bytes, name: str) -> Image:
    """Decode an image file as RGB uint8 `[H, W, 3]`, upright by its EXIF orientation.

    It belongs to no data set: the depth of one that has more than 8 bits a channel is found from this image alone.

    Args:
        data: PNG, JPEG, BMP, TIFF or WebP.
        name: what errors call it.

    Raises:
        CaseError: it cannot be read as an image.
    """
    with open_image(BytesIO(data), name) as image:
        return read_rgb(image, None)


def count_claimed_pixels(data: bytes, name: str) -> int:
    """Return the number of pixels that the header of an image claims; nothing is decoded.

    Raises:
        OversizeError: more than `MAX_PIXELS`.
        CaseError: it is no picture.
    """
    with open_image(BytesIO(data), name) as image:
        return image.width * image.height


def digest_content(content: bytes) -> bytes:
    """Return the first 16 bytes of the SHA-256 of a file's bytes."""
    return hashlib.sha256(content).digest()[:16]


def read_file(path: Path) -> bytes:
    """Read a file.

    Raises:
        CaseError: it cannot be read, is no regular file or is empty.
    """
    _require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise CaseError(f"cannot read {path.name}: {error.strerror}") from error


@contextmanager
def open_path(path: Path) -> Iterator[Pillow.Image]:
    """Open an image as `open_image` does, if it is a regular file."""
    _require_file(path)
    try:
        # not by its path: Pillow would map a plain TIFF into memory and mistake its sides where it is turned
        with path.open("rb") as file, open_image(file, path.name) as image:
            yield image
    except OSError as error:
        raise CaseError(f"cannot read {path.name}: {error.strerror}") from error


@contextmanager
def open_image(source: BinaryIO, name: str) -> Iterator[Pillow.Image]:
    """Open an image without decoding a pixel; errors inside the block become a `CaseError`."""
    try:
        with Pillow.open(source, formats=_FORMATS) as image:
            _require_size(name, image)
            yield image
    except _TOO_LARGE as error:
        raise OversizeError(f"{name} claims more than {MAX_PIXELS} pixels; split it or scale it down") from error
    except UnidentifiedImageError as error:
        problem = describe_pointer(name, _read_beginning(source))
        raise CaseError(
            problem or f"{name} is not a PNG, JPEG, BMP, TIFF or WebP picture{_explain_tiff(source)}"
        ) from error
    except _UNREADABLE as error:
        raise CaseError(f"cannot read {name}: {error}") from error


def _read_beginning(source: BinaryIO) -> bytes:
    """Return the first bytes of a file."""
    source.seek(0)
    return source.read(100)


def _require_file(path: Path) -> None:
    """Refuse anything but a regular file: opening a pipe would wait forever."""
    try:
        found = path.stat()
    except OSError as error:
        raise CaseError(f"cannot read {path.name}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        came = "a folder" if stat.S_ISDIR(found.st_mode) else "not a file"
        raise CaseError(f"{path.name} is {came}; expected a picture")
    if found.st_size == 0:
        raise CaseError(f"{path.name} is empty (0 bytes)")


def _explain_tiff(source: BinaryIO) -> str:
    """Describe what is wrong with a TIFF that Pillow cannot identify."""
    is_tiff = _read_beginning(source)[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}
    return " that can be read: store this TIFF as uint8, uint16 or one channel of float32" if is_tiff else ""


def _require_size(name: str, image: Pillow.Image) -> None:
    """Refuse an image whose header claims too many pixels, before they are allocated."""
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} × {image.height}"
        raise OversizeError(f"{name} claims {size} pixels, more than {MAX_PIXELS}; split it or scale it down")
