"""Find how many bits the images of a data set use, so that all of them are scaled to 8 bits in the same way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from segqa.data.exif_orientation import read_header, turn_upright
from segqa.data.mask import Image

DEPTHS = (8, 10, 12, 14, 16)
"""The bits that cameras and microscopes use of a 16-bit file."""

_WHITE_IS_ZERO = 0
_PHOTOMETRIC = 262


@dataclass(frozen=True, slots=True)
class DeepValues:
    """The range of the values in one image of more than 8 bits per channel.

    Attributes:
        highest: the largest value.
        is_float: whether values are floats; else they are whole numbers.
    """

    highest: float
    is_float: bool


@dataclass(frozen=True, slots=True)
class ImageRule:
    """The rule by which images of more than 8 bits per channel become 8 bits; images of 8 bits are unchanged.

    Attributes:
        bits: of whole numbers, from 8 to 16; None where no such image was seen.
        white: the value of floats that becomes 255, 1 or 255; None where no such image was seen.
    """

    bits: int | None = None
    white: int | None = None

    @property
    def text(self) -> str:
        """The rule in words; empty where all images have 8 bits."""
        parts = []
        if self.bits is not None:
            parts.append(f"images in 16-bit files hold {self.bits} bits: 0…{2**self.bits - 1} becomes 0…255")
        if self.white is not None:
            parts.append(f"images of floats hold 0…{self.white}, which becomes 0…255")
        return "; ".join(parts)


EIGHT_BITS = ImageRule()


def find_image_rule(seen: Iterable[DeepValues], bits: int | None = None) -> ImageRule:
    """Find the rule for the sampled images of more than 8 bits.

    Args:
        seen: what they hold.
        bits: as set by the user; None to use the smallest of `DEPTHS` that holds all values.

    >>> find_image_rule([DeepValues(4011, False), DeepValues(256, False)])
    ImageRule(bits=12, white=None)
    """
    seen = tuple(seen)
    whole = [each.highest for each in seen if not each.is_float]
    floats = [each.highest for each in seen if each.is_float]
    if bits is None and whole:
        bits = next((depth for depth in DEPTHS if max(whole) < 2**depth), DEPTHS[-1])
    return ImageRule(bits, (1 if max(floats) <= 1 else 255) if floats else None)


def is_deep(image: Pillow.Image) -> bool:
    """Return whether an image that is not decoded yet has more than 8 bits per channel."""
    return image.mode.startswith("I") or image.mode == "F" or _is_deep_colour(image)


def read_deep_values(image: Pillow.Image) -> DeepValues:
    """Read the range of values of an image of more than 8 bits.

    Raises:
        ValueError: a value is negative, not finite or above 65535.
    """
    values = _decode_deep(image)
    return DeepValues(float(values.max(initial=0)), values.dtype.kind == "f")


def read_rgb(image: Pillow.Image, rule: ImageRule | None = EIGHT_BITS) -> Image:
    """Decode an image, upright, as RGB uint8 `[H, W, 3]`.

    Args:
        image: grey is repeated, alpha dropped, CMYK converted.
        rule: how more than 8 bits become 8; None to find it from this image alone.

    Raises:
        ValueError: the image breaks the rule.
    """
    if not is_deep(image):
        ImageOps.exif_transpose(image, in_place=True)
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    values = _decode_deep(image)
    if rule is None:
        rule = find_image_rule([DeepValues(float(values.max(initial=0)), values.dtype.kind == "f")])
    scaled = _scale_to_8_bits(values, rule)
    return np.repeat(scaled[:, :, None], 3, axis=2) if scaled.ndim == 2 else scaled


def _scale_to_8_bits(values: NDArray[Any], rule: ImageRule) -> Image:
    """Scale the values to 8 bits by the rule."""
    highest = values.max(initial=0)
    if values.dtype.kind == "f":
        if rule.white is None or highest > rule.white:
            seen = "none of the images looked at holds floats" if rule.white is None else rule.text
            raise ValueError(f"the image holds floats up to {highest:g}; {seen}; store it as 8 or 16 bits")
        return np.rint(values * (255 / rule.white)).astype(np.uint8)
    if rule.bits is None or highest >= 2**rule.bits:
        seen = "none of the images looked at has more than 8 bits" if rule.bits is None else rule.text
        needed = next(depth for depth in DEPTHS if highest < 2**depth)
        raise ValueError(f"the image holds values up to {highest}; {seen}; set image_bits = {needed} if that is right")
    return cast("Image", (values.astype(np.uint32) * 255 // (2**rule.bits - 1)).astype(np.uint8))


def _decode_deep(image: Pillow.Image) -> NDArray[Any]:
    """Decode an image of more than 8 bits, upright, `[H, W]` or RGB `[H, W, 3]`."""
    if _is_deep_colour(image):
        return _decode_deep_colour(image)
    white_is_zero = has_white_as_zero(image)
    ImageOps.exif_transpose(image, in_place=True)
    values: NDArray[Any] = np.asarray(image)
    if not np.isfinite(values).all():
        raise ValueError("the image holds values that are not finite")
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise ValueError(f"grey values from {values.min():g} to {values.max():g}; expected 0 to 65535")
    return 65535 - values if white_is_zero else values


def has_white_as_zero(image: Pillow.Image) -> bool:
    """Return whether this is a 16-bit TIFF in which 0 is white; Pillow inverts such files of 1 and 8 bits only."""
    tags = getattr(image, "tag_v2", {})
    return image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _is_deep_colour(image: Pillow.Image) -> bool:
    """Return whether Pillow would drop the low 8 of 16 bits."""
    tiles = getattr(image, "tile", ())
    found = tiles[0][3] if tiles else ""
    mode = found[0] if isinstance(found, tuple) else found
    return str(mode).startswith(("RGB;16", "RGBA;16", "RGBX;16", "LA;16"))


def _decode_deep_colour(image: Pillow.Image) -> NDArray[Any]:
    """Decode the 16-bit channels of an image with OpenCV, after Pillow has verified that the file is complete."""
    header, form, size = read_header(image), image.format, image.size
    data = _get_content(image)
    image.load()
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.shape[1::-1] != size:
        raise ValueError("the colour picture has 16 bits a channel in a form that cannot be read; store it as 8 bits")
    # OpenCV turns a TIFF upright by itself, a PNG not
    return turn_upright(values[:, :, 2::-1], 1 if form == "TIFF" else header.orientation)


def _get_content(image: Pillow.Image) -> bytes:
    """Return the bytes of an open file that is not decoded yet."""
    file = cast("IO[bytes]", image.fp)  # type: ignore[attr-defined] # of an image file
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    return data
