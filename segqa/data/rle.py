"""Encode masks as COCO's run-length strings.

The lengths of runs of equal pixels, column by column, background first; from the third on as the difference to the one
two before; each in groups of five bits, the lowest first, as the characters from `0` on. The format is that of
pycocotools (`counts` of a compressed RLE).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segqa.data.mask import Mask
from segqa.errors import MaskError

_FIRST, _MORE, _SIGN, _FIVE_BITS = 48, 0x20, 0x10, 0x1F


def encode_mask(mask: Mask) -> str:
    """Encode a mask `[H, W]` as a string.

    >>> encode_mask(np.array([[0, 1], [0, 1]], dtype=bool))
    '22'
    """
    pixels = mask.ravel(order="F")
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], edges, [pixels.size]])).tolist()
    if pixels.size and pixels[0]:
        lengths.insert(0, 0)
    text = bytearray()
    for index, length in enumerate(lengths):
        _append_number(text, length - lengths[index - 2] if index > 2 else length)
    return text.decode("ascii")


def decode_mask(text: str, shape: tuple[int, int]) -> Mask:
    """Decode a string of `encode_mask` to a mask `[H, W]`.

    Raises:
        MaskError: the runs do not fill a mask of that shape.

    >>> decode_mask("22", (2, 2)).astype(int).tolist()
    [[0, 1], [0, 1]]
    """
    lengths: list[int] = []
    for value in _decode_numbers(text):
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
    return decode_runs(lengths, shape)


def decode_runs(lengths: Sequence[int], shape: tuple[int, int]) -> Mask:
    """Decode uncompressed COCO RLE to a mask `[H, W]`: run lengths column by column, background first.

    Raises:
        MaskError: the runs do not fill a mask of that shape.
    """
    if sum(lengths) != shape[0] * shape[1] or min(lengths, default=0) < 0:
        raise MaskError(f"runs of {sum(lengths)} pixels do not fill a mask of shape {shape}")
    pixels = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.ascontiguousarray(pixels.reshape(shape, order="F"))


def _append_number(text: bytearray, value: int) -> None:
    """Append one number; the highest bit of the last group is its sign."""
    more = True
    while more:
        group = value & _FIVE_BITS
        value >>= 5
        more = value != (-1 if group & _SIGN else 0)
        text.append(_FIRST + (group | _MORE if more else group))


def _decode_numbers(text: str) -> list[int]:
    """Decode the numbers in a string."""
    found, value, bits = [], 0, 0
    for sign in text.encode("ascii", "replace"):
        group = sign - _FIRST
        value |= (group & _FIVE_BITS) << bits
        bits += 5
        if not group & _MORE:
            found.append(value - (1 << bits) if group & _SIGN else value)
            value = bits = 0
    return found
