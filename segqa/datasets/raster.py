"""A raster is what a mask file stores, before anyone decides which of its values mean the object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from segqa.datasets.image_depth import has_white_as_zero

Values: TypeAlias = NDArray[Any]
"""`[H, W]`, whole numbers or floats."""

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue."""

_BLACK = (0, 0, 0)
_WHITE_OF_DEPTH = {"1": 1, "2": 3, "4": 15}
_COLOUR_NOISE = 16  # a grey picture that was saved as a JPEG in colour


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """What a mask file stores.

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


def read_raster(picture: Pillow.Image) -> Raster:
    """Return what a mask file stores, upright, of a picture that has not been decoded yet.

    Raises:
        ValueError: the shape is in the alpha channel.
    """
    white, is_lossy = _white(picture), picture.format in {"JPEG", "WEBP"}
    white_is_zero = has_white_as_zero(picture)
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode == "P":
        return _read_palette(picture)
    if picture.mode in {"1", "L"}:
        values = np.asarray(picture, np.uint8)
        return Raster(
            values if white == 255 or picture.mode == "1" else values // (255 // white), white, is_lossy=is_lossy
        )
    if picture.mode.startswith("I"):
        wide: Values = np.asarray(picture)
        return Raster(65535 - wide if white_is_zero else wide, 65535)
    if picture.mode == "F":
        return Raster(np.asarray(picture))
    _refuse_shape_in_alpha(picture)
    return Raster(np.array(picture.convert("L")), is_coloured=_is_coloured(picture), is_lossy=is_lossy)


def _white(picture: Pillow.Image) -> int:
    """The value of white at the depth that the header states: Pillow scales 2 and 4 bits to 8 when it decodes."""
    if picture.mode == "1":
        return 1
    tiles = getattr(picture, "tile", ())
    found = tiles[0][3] if tiles else ""
    mode = str(found[0] if isinstance(found, tuple) else found)
    name, _, depth = mode.partition(";")
    return _WHITE_OF_DEPTH.get(depth[:1], 255) if name == "L" else 255


def _read_palette(picture: Pillow.Image) -> Raster:
    """The indices of a palette file, and what its colours tell of them."""
    indices = np.asarray(picture)
    table = np.zeros((256, 3), np.uint8)
    listed = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
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


def _is_coloured(picture: Pillow.Image) -> bool:
    """Whether the channels of a picture differ."""
    channels = np.asarray(picture.convert("RGB"), np.int16)
    return bool((channels.max(axis=2) - channels.min(axis=2)).max(initial=0) > _COLOUR_NOISE)


def _refuse_shape_in_alpha(picture: Pillow.Image) -> None:
    """Refuse a mask of one colour with the shape in its alpha channel: its grey values would say nothing."""
    if "A" not in picture.getbands():
        return
    low, high = picture.getchannel("A").getextrema()
    flat_low, flat_high = picture.convert("L").getextrema()
    if low != high and flat_low == flat_high:
        raise ValueError("the mask has its shape in the alpha channel; expected it in the grey values")
