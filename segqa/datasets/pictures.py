"""Pictures: image and mask files as arrays, by the rules that every score rests on.

Pillow reads them: it looks at the header before it decodes, and refuses a truncated file where OpenCV fills up with
grey (`docs/decisions/reading-pictures.md`).
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
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from segqa.case import Target
from segqa.errors import CaseError, OversizeError
from segqa.git_lfs import describe_pointer
from segqa.mask import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""What counts as a picture, by the file's name."""

READER = f"1, Pillow {version('pillow')}"
"""Changes whenever the same file could be read as other pixels; raise the number when the code here does it."""

MAX_PIXELS = 89_478_485
"""More than this is refused before decoding (a quarter of a gigabyte as RGB); Pillow's own limit for a warning."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error)
_TOO_LARGE = (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning)


def read_image(path: Path) -> Image:
    """The image in a file as RGB uint8 `[H, W, 3]`, turned upright as its EXIF orientation says.

    Grey is repeated, alpha dropped, CMYK converted, 16 bits a channel scaled to 8.

    Raises:
        CaseError: the file cannot be read as an image.
    """
    with _opened(path) as picture:
        return _as_rgb(picture)


def decode_image(data: bytes, name: str) -> Image:
    """The image in the bytes of a file, as `read_image` reads one.

    Args:
        data: PNG, JPEG, BMP, TIFF or WebP.
        name: what errors call it.

    Raises:
        CaseError: it cannot be read as an image.
    """
    with _pictured(BytesIO(data), name) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        return _as_rgb(picture)


def claimed_pixels(data: bytes, name: str) -> int:
    """How many pixels the header of a picture claims; none is decoded.

    Raises:
        OversizeError: more than `MAX_PIXELS`.
        CaseError: it is no picture.
    """
    with _pictured(BytesIO(data), name) as picture:
        return picture.width * picture.height


def read_target(path: Path, cutoff: int = 127) -> Target:
    """The mask in a file: object where the grey value is above the cutoff; a file of {0, 1} is read as a mask, too.

    More than 1 % of values strictly between 5 and 250 (an anti-aliased or JPEG-compressed mask) makes a note.

    Raises:
        CaseError: the file cannot be read, or it has values above 1 and none above the cutoff (class numbers, say).
    """
    with _opened(path) as picture:
        return _as_target(path.name, picture, cutoff)


def decode_target(data: bytes, name: str, cutoff: int = 127) -> Target:
    """The mask in the bytes of a file, as `read_target` reads one.

    Raises:
        CaseError: it cannot be read as a mask.
    """
    with _pictured(BytesIO(data), name) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        return _as_target(name, picture, cutoff)


def content_digest(content: bytes) -> bytes:
    """The first 16 bytes of the SHA-256 of a file's bytes."""
    return hashlib.sha256(content).digest()[:16]


def target_digest(mask_digest: bytes, cutoff: int) -> bytes:
    """16 bytes that change with the digest of a mask file, and with the cutoff."""
    return content_digest(mask_digest + bytes([cutoff]))


def file_digest(path: Path) -> bytes:
    """The first 16 bytes of the SHA-256 of a file.

    Raises:
        CaseError: it cannot be read.
    """
    _require_file(path)
    try:
        return content_digest(path.read_bytes())
    except OSError as error:
        raise CaseError(f"cannot read {path.name}: {error.strerror}") from error


def _as_target(name: str, picture: Pillow.Image, cutoff: int) -> Target:
    """The mask in a picture that is upright."""
    _refuse_shape_in_alpha(name, picture)
    grey = _grey_target(name, picture, cutoff)
    # by far the most files are black and white: all that is not 0 is 255; a histogram takes ten times as long
    if cv2.sumElems(grey)[0] == 255 * cv2.countNonZero(grey) and cutoff < 255:
        return Target(grey > cutoff)
    values = cv2.calcHist([grey], [0], None, [256], [0, 256])[:, 0]
    if not values[2:].any():
        return Target(grey > 0)
    if not values[cutoff + 1 :].any():
        found = ", ".join(str(value) for value in np.flatnonzero(values)[:5])
        raise CaseError(f"mask {name} has values {found} and none above the cutoff {cutoff}; expected 0 and 255")
    between = values[6:250].sum() / grey.size
    note = f"mask {name} is not binary: {between:.0%} of its values lie between 5 and 250" if between > 0.01 else ""
    return Target(grey > cutoff, note)


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    """An upright picture; whatever goes wrong while it is open becomes a `CaseError`."""
    _require_file(path)
    with _pictured(path, path.name) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        yield picture


@contextmanager
def _pictured(source: Path | BytesIO, name: str) -> Iterator[Pillow.Image]:
    """A picture whose header has been read; what goes wrong while it is open becomes a `CaseError`."""
    try:
        with Pillow.open(source, formats=_FORMATS) as picture:
            _require_size(name, picture)
            yield picture
    except _TOO_LARGE as error:
        raise OversizeError(f"{name} claims more than {MAX_PIXELS} pixels; split it or scale it down") from error
    except UnidentifiedImageError as error:
        problem = describe_pointer(name, _read_beginning(source))
        raise CaseError(problem or f"{name} is not a PNG, JPEG, BMP, TIFF or WebP picture") from error
    except _UNREADABLE as error:
        raise CaseError(f"cannot read {name}: {error}") from error


def _read_beginning(source: Path | BytesIO) -> bytes:
    """Return the first bytes of a file."""
    if isinstance(source, BytesIO):
        return source.getvalue()[:100]
    with source.open("rb") as file:
        return file.read(100)


def _as(picture: Pillow.Image, mode: str) -> Pillow.Image:
    """The picture in a mode; one that has it already is not copied."""
    return picture if picture.mode == mode else picture.convert(mode)


def _require_file(path: Path) -> None:
    """Refuse what is not a regular file: opening a pipe would wait for ever."""
    try:
        found = path.stat()
    except OSError as error:
        raise CaseError(f"cannot read {path.name}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        came = "a folder" if stat.S_ISDIR(found.st_mode) else "not a file"
        raise CaseError(f"{path.name} is {came}; expected a picture")
    if found.st_size == 0:
        raise CaseError(f"{path.name} is empty (0 bytes)")


def _require_size(name: str, picture: Pillow.Image) -> None:
    """Refuse a picture that claims too many pixels, by its header, before they are allocated."""
    if picture.width * picture.height > MAX_PIXELS:
        size = f"{picture.width} × {picture.height}"
        raise OversizeError(f"{name} claims {size} pixels, more than {MAX_PIXELS}; split it or scale it down")


def _as_rgb(picture: Pillow.Image) -> Image:
    if picture.mode.startswith("I"):
        return np.repeat(_eight_bits(picture)[:, :, None], 3, axis=2)
    return np.array(_as(picture, "RGB"))


def _grey_target(name: str, picture: Pillow.Image, cutoff: int) -> NDArray[np.uint8]:
    """The grey values of a mask, 8 bits each. Of 16 bits the low ones must not get lost: they may be class numbers."""
    if not picture.mode.startswith("I"):
        return np.array(_as(picture, "L"))
    wide: NDArray[Any] = np.asarray(picture)
    if wide.max(initial=0) > 255 and not (wide > cutoff * 257).any():
        found = ", ".join(str(value) for value in np.unique(wide)[:5])
        raise CaseError(f"mask {name} has values {found} of 16 bits, none above the cutoff {cutoff} × 257")
    return _eight_bits(picture)


def _refuse_shape_in_alpha(name: str, picture: Pillow.Image) -> None:
    """Refuse a mask of one colour with the shape in its alpha channel: its grey values would say nothing."""
    if "A" not in picture.getbands():
        return
    low, high = picture.getchannel("A").getextrema()
    flat_low, flat_high = picture.convert("L").getextrema()
    if low != high and flat_low == flat_high:
        raise CaseError(f"mask {name} has its shape in the alpha channel; expected it in the grey values")


def _eight_bits(picture: Pillow.Image) -> NDArray[np.uint8]:
    """A grey picture of 16 or 32 bits as 8; one whose values need no more than 8 bits keeps them."""
    wide: NDArray[Any] = np.asarray(picture)
    if wide.min(initial=0) < 0 or wide.max(initial=0) > 65535:
        raise ValueError(f"grey values from {wide.min()} to {wide.max()}; expected 0 to 65535")
    return (wide if wide.max(initial=0) <= 255 else wide // 257).astype(np.uint8)
