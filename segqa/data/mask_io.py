"""Read the values that a mask file stores, before a rule decides which of them mean the object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from segqa.data.bit_depth import has_white_as_zero

Values: TypeAlias = NDArray[Any]
"""`[H, W]`, whole numbers or floats."""

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue."""

_BLACK = (0, 0, 0)
_WHITE_OF_DEPTH = {"1": 1, "2": 3, "4": 15}
_COLOUR_NOISE = 16  # a grey picture that was saved as a JPEG in colour


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """The values that a mask file stores.

    Attributes:
        values: `[H, W]`; grey values at the file's own depth, palette indices, or the brightness of colours.
        white: the value that is white at this depth: 1, 3, 15, 255 or 65535; 255 for floats.
        palette: the value that each index stands for, where the colours of a palette tell it: those in use are only
            black and white, the greys 0 and 1, or black and another one as index 1 and 0; empty for other palettes;
            None where there is none.
        colours: of the indices in use, where there is a palette.
        is_coloured: whether it has colours without a palette, so that one number a pixel is not what it stores.
        is_lossy: whether the file may have been compressed with loss (JPEG, WebP).
    """

    values: Values
    white: int = 255
    palette: tuple[int, ...] | None = None
    colours: Mapping[int, Colour] = field(default_factory=lambda: MappingProxyType({}))
    is_coloured: bool = False
    is_lossy: bool = False


def read_raster(image: Pillow.Image) -> Raster:
    """Read the values of an open mask file, upright.

    Raises:
        ValueError: the shape is in the alpha channel.
    """
    white, is_lossy = _get_white(image), image.format in {"JPEG", "WEBP"}
    white_is_zero = has_white_as_zero(image)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "P":
        return _read_palette(image)
    if image.mode in {"1", "L"}:
        values = np.asarray(image, np.uint8)
        return Raster(
            values if white == 255 or image.mode == "1" else values // (255 // white), white, is_lossy=is_lossy
        )
    if image.mode.startswith("I"):
        wide: Values = np.asarray(image)
        return Raster(65535 - wide if white_is_zero else wide, 65535)
    if image.mode == "F":
        return Raster(np.asarray(image))
    _refuse_shape_in_alpha(image)
    return Raster(np.array(image.convert("L")), is_coloured=_is_coloured(image), is_lossy=is_lossy)


def _get_white(image: Pillow.Image) -> int:
    """Return the value of white at the bit depth of the header; Pillow scales 2 and 4 bits to 8 when it decodes."""
    if image.mode == "1":
        return 1
    tiles = getattr(image, "tile", ())
    found = tiles[0][3] if tiles else ""
    mode = str(found[0] if isinstance(found, tuple) else found)
    name, _, depth = mode.partition(";")
    return _WHITE_OF_DEPTH.get(depth[:1], 255) if name == "L" else 255


def _read_palette(image: Pillow.Image) -> Raster:
    """Read the indices of a palette file and the colours that they stand for."""
    indices = np.asarray(image)
    table = np.zeros((256, 3), np.uint8)
    listed = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    table[: len(listed)] = listed
    used = [int(index) for index in np.unique(indices)]
    colours: dict[int, Colour] = {index: tuple(table[index].tolist()) for index in used}
    greys = {value for colour in colours.values() for value in colour}
    is_grey = all(len(set(colour)) == 1 for colour in colours.values())
    palette: tuple[int, ...] = ()
    if is_grey and (greys <= {0, 255} or greys <= {0, 1}):
        palette = tuple(table[:, 0].tolist())
    elif used == [0, 1] and colours[1] == _BLACK:
        # an optimiser may store either order
        palette = (1, 0, *[0] * 254)
    return Raster(indices, 255, palette, colours)


def _is_coloured(image: Pillow.Image) -> bool:
    """Return whether the channels of an image differ."""
    channels = np.asarray(image.convert("RGB"), np.int16)
    return bool((channels.max(axis=2) - channels.min(axis=2)).max(initial=0) > _COLOUR_NOISE)


def _refuse_shape_in_alpha(image: Pillow.Image) -> None:
    """Refuse a mask of one colour whose shape is in the alpha channel."""
    if "A" not in image.getbands():
        return
    low, high = image.getchannel("A").getextrema()
    flat_low, flat_high = image.convert("L").getextrema()
    if low != high and flat_low == flat_high:
        raise ValueError("the mask has its shape in the alpha channel; expected it in the grey values")


MANY = 20
"""With so many values or more a mask is no label map."""

_COUNTED = 4096  # of a file with more values just the first are counted
_FEW = 4
_FAR = 16
_WHITE_SHARE = 0.1
_STRAY = 0.05
NOISE = 32
"""Compression with loss changes values of 0 and 255 by so much, at most."""


@dataclass(frozen=True, slots=True)
class MaskValues:
    """The counts of the values in one mask file.

    Attributes:
        raw: how many pixels have each value as it is stored; of a palette file each index.
        greys: the same of the grey values of a palette that holds only black and white, or 0 and 1; else `raw`.
        white: see `Raster`.
        palette: `"index"` if only the indices of the palette count, `"grey"` if its grey values do, `""` without one.
        is_coloured: see `Raster`.
        colours: see `Raster`.
        is_soft: whether all values between 0 and white lie beside the contour.
    """

    raw: Mapping[float, int]
    greys: Mapping[float, int]
    white: int
    palette: str
    is_coloured: bool
    colours: Mapping[int, Colour]
    is_soft: bool

    @property
    def is_blank(self) -> bool:
        """Return whether the mask holds 0 only."""
        return set(self.raw) <= {0} and set(self.greys) <= {0}

    @property
    def is_fraction(self) -> bool:
        """Return whether some value is not a whole number."""
        return any(value != int(value) for value in self.raw if np.isfinite(value))


def inspect_mask(raster: Raster) -> MaskValues:
    """Count the values of a mask and find where those between object and background are."""
    raw = count_values(raster.values)
    palette = "" if raster.palette is None else "grey" if raster.palette else "index"
    greys = _map_indices(raw, raster.palette) if raster.palette else raw
    is_wide = raster.white == 65535 and max(raw, default=0) > 255
    white = 65535 if is_wide else 255 if raster.white == 65535 else raster.white
    between = set(raw) - {0, white}
    is_soft = palette != "index" and (not between or _is_soft(scale_to_8_bits(raster.values, white), raster.is_lossy))
    return MaskValues(raw, greys, raster.white, palette, raster.is_coloured, raster.colours, is_soft)


def _is_soft(values: Values, is_lossy: bool) -> bool:
    """Return whether a mask is black and white with soft edges: a tenth of what is not black is nearly white."""
    objects = int((values > 5).sum())
    return int((values >= 250).sum()) >= _WHITE_SHARE * objects and is_along_contour(values, is_lossy)


def count_values(values: Values) -> dict[float, int]:
    """Count the pixels of each value, at most 4,096 of them; whole numbers are ints."""
    if values.dtype == np.uint8:
        counts = cv2.calcHist([np.ascontiguousarray(values)], [0], None, [256], [0, 256])[:, 0]
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, times = np.unique(values, return_counts=True)
    pairs = zip(found[:_COUNTED].tolist(), times[:_COUNTED].tolist(), strict=True)
    return {(int(value) if np.isfinite(value) and value == int(value) else value): count for value, count in pairs}


def scale_to_8_bits(values: Values, white: int) -> Values:
    """Scale values to 8 bits, so that white is 255."""
    if white == 255:
        return values
    return values * (255 // white) if white < 255 else values / np.float32(257)


def is_along_contour(values: Values, is_lossy: bool, *, is_expected: bool = False) -> bool:
    """Return whether all values but 0 and 255 are beside the contour, as anti-aliased edges are.

    Args:
        values: `[H, W]`, on the scale of 8 bits.
        is_lossy: leave values up to 32 away from 0 and 255 out: compression makes them.
        is_expected: whether the masks of the data set are known to be of that kind.

    Of 20 values or more, of a file compressed with loss, and where it is expected: a pixel lies beside the contour if
    0 or 255 is at most 16 pixels away and it is not inside a flat area. Fewer values could be classes: both 0 and 255
    must be at most 2 pixels away, 1 where there are fewer than four. One pixel in twenty may lie elsewhere, but none
    where there are fewer than four values.
    """
    if values.min(initial=0) < 0 or not np.isfinite(values).all() or values.max(initial=0) > 255:
        return False
    noise = NOISE if is_lossy else 0
    low, high = values <= noise, values >= 255 - noise
    between = ~(low | high)
    levels = len(np.unique(values[between]))
    if is_lossy or is_expected or levels >= MANY:
        beside = _dilate(low | high, _FAR)
    elif not high.any():
        return False
    else:
        reach = 1 if levels < _FEW else 2
        beside = _dilate(low, reach) & _dilate(high, reach)
    grown = values.astype(np.float32)
    around = np.ones((3, 3), np.uint8)
    flat = cv2.dilate(grown, around) == cv2.erode(grown, around)
    elsewhere = int((between & (flat | ~beside)).sum())
    return elsewhere <= (0 if levels < _FEW and not (is_lossy or is_expected) else max(_FEW, _STRAY * between.sum()))


def compute_share_between(counts: Mapping[float, int]) -> float:
    """Return the share of pixels with a value strictly between 5 and 250, on the scale of 8 bits."""
    return sum(count for value, count in counts.items() if 5 < value < 250) / max(1, sum(counts.values()))


def list_shares(counts: Mapping[float, int], pixels: int = 0) -> str:
    """List values with their shares; of many only the smallest and largest.

    Args:
        counts: pixels of each value.
        pixels: of how many; 0 for their sum.

    >>> list_shares({0: 6, 1: 3, 255: 1})
    '0 (60 %), 1 (30 %), 255 (10 %)'
    """
    total = pixels or sum(counts.values())
    if len(counts) > MANY:
        return f"{len(counts)} values from {min(counts):.4g} to {max(counts):.4g}"
    return ", ".join(f"{value:.4g} ({_format_percent(count / total)})" for value, count in sorted(counts.items()))


def add_up(counts: Iterable[Mapping[float, int]]) -> dict[float, int]:
    """Add up the counts of several masks."""
    total: dict[float, int] = {}
    for each in counts:
        for value, count in each.items():
            total[value] = total.get(value, 0) + count
    return total


def _format_percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if share >= 0.01 else "<1 %"


def _map_indices(counts: Mapping[float, int], names: tuple[int, ...]) -> dict[float, int]:
    """Convert counts of palette indices to counts of the grey values they stand for."""
    return add_up({float(names[int(value)]): count} for value, count in counts.items())


def _dilate(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Dilate a mask by a number of pixels, by rows and columns."""
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), window) > 0
