"""Validate, resize and pack masks: 2-D bool arrays `[H, W]`, True = object."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from segqa.errors import MaskError

Mask: TypeAlias = NDArray[np.bool_]
"""`[H, W]` bool, True = object."""

Image: TypeAlias = NDArray[np.uint8]
"""`[H, W, 3]` uint8, RGB."""

_BOOL = np.dtype(np.bool_)


def as_mask(values: ArrayLike) -> Mask:
    """Convert an array of {False, True}, {0, 1} or {0, 255} to a mask; refuse everything else.

    Probabilities and grey values are refused: where to cut them is a decision, and it is not this function's.

    Args:
        values: `[H, W]`, bool or a number type.

    Raises:
        MaskError: not 2-D, NaN, or a value other than {0, 1} or {0, 255}.

    >>> as_mask([[0, 255], [255, 0]]).tolist()
    [[False, True], [True, False]]
    >>> as_mask([[0.2, 0.9]])
    Traceback (most recent call last):
    segqa.errors.MaskError: mask values must be {0, 1} or {0, 255}, got 0.2; apply a cutoff first, such as mask > 0.5
    """
    array = to_array(values)
    if array.ndim != 2:
        raise MaskError(f"mask must be 2-D (height, width), got shape {array.shape}")
    return to_bool(array)


def to_array(values: object) -> NDArray[Any]:
    """Convert anything that holds numbers to an array: nested lists, and tensors on any device.

    Memory may be shared. A tensor of torch loses its gradient and comes from its device.

    Raises:
        MaskError: the parts of a list have several shapes.

    >>> to_array([np.zeros((2, 3)), np.ones((2, 3))]).shape
    (2, 2, 3)
    """
    if hasattr(values, "detach"):
        return _from_torch(values)
    if isinstance(values, list | tuple):
        values = [to_array(each) if hasattr(each, "detach") else each for each in values]
    try:
        return np.asarray(values)
    except ValueError as error:
        raise MaskError(f"expected arrays of one shape, got several: {error}") from error


def _from_torch(tensor: Any) -> NDArray[Any]:
    """Convert a tensor to an array; numpy lacks some of torch's types, such as bfloat16."""
    try:
        found = tensor.numpy(force=True)
    except TypeError:
        found = tensor.detach().cpu().float().to_dense().numpy()
    return np.asarray(found)


def to_bool(array: NDArray[Any]) -> Mask:
    """Convert an array of {False, True}, {0, 1} or {0, 255}, of any shape, to bool.

    Raises:
        MaskError: it has other values; says how to make a mask of them.
    """
    if array.dtype == _BOOL:
        return array
    if array.dtype.kind not in "iuf":
        raise MaskError(f"mask must hold bools or numbers, got dtype {array.dtype}")
    return _from_numbers(array)


def _from_numbers(array: NDArray[Any]) -> Mask:
    """Convert an array of numbers to a mask and check its values in one pass."""
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise MaskError("mask holds NaN; every pixel must be object or background")
    on: Mask = array != 0
    top = array.max(initial=0)
    if on.any() and (top not in (1, 255) or not np.array_equal(on, array == top)):
        odd = array[on & (array != 1) & (array != 255)]
        came = odd.flat[0] if odd.size else "both 1 and 255"
        raise MaskError(f"mask values must be {{0, 1}} or {{0, 255}}, got {came}; {_describe_cutoff(array)}")
    return on


def _describe_cutoff(array: NDArray[Any]) -> str:
    """Describe how to turn numbers into a mask, by their range."""
    if array.dtype.kind != "f":
        return "compare with a class (mask == 1), or apply a cutoff first (mask > 127)"
    looks_like_logits = array.min() < 0 or array.max() > 1
    return f"apply a cutoff first, such as mask > {0 if looks_like_logits else 0.5}"


def bounding_box(mask: Mask, margin: int = 0) -> tuple[slice, slice]:
    """Return rows and columns of the box around a mask, with a margin, clipped to the array; `0:0` for an empty mask.

    >>> bounding_box(np.eye(3, 5, k=2, dtype=bool))
    (slice(0, 3, None), slice(2, 5, None))
    """
    # searching bytes from both ends takes less time than `cv2.boundingRect`, or asking all rows and columns
    pixels = mask.tobytes()
    first = pixels.find(1)
    if first < 0:
        return slice(0, 0), slice(0, 0)
    width = mask.shape[1]
    top, bottom = first // width, pixels.rfind(1) // width + 1
    columns = mask[top:bottom].any(axis=0).tobytes()
    left, right = columns.find(1), columns.rfind(1) + 1
    return slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)


def resize_nearest(mask: Mask, shape: tuple[int, int]) -> Mask:
    """Resize a mask to `(height, width)` by nearest neighbour."""
    if mask.shape == shape:
        return mask
    if mask.size == 0:
        raise MaskError(f"cannot resize an empty mask of shape {mask.shape} to {shape}")
    # INTER_NEAREST_EXACT samples at pixel centres; INTER_NEAREST shifts by half a pixel
    resized = cv2.resize(mask.view(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized.view(np.bool_)


def pack_masks(masks: Mask | Sequence[Mask]) -> bytes:
    """Compress masks `[N, H, W]` as bits with zlib; `unpack_masks` is the inverse."""
    return zlib.compress(np.packbits(np.asarray(masks, dtype=np.bool_)).tobytes(), level=1)


def unpack_masks(packed: bytes, shape: tuple[int, int, int]) -> Mask:
    """Decompress the masks `[N, H, W]` of `pack_masks`.

    Raises:
        MaskError: the bytes do not hold masks of that shape.

    >>> unpack_masks(pack_masks(np.eye(3, dtype=bool)[None]), (1, 3, 3)).astype(int).tolist()
    [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]]
    """
    try:
        bits = np.frombuffer(zlib.decompress(packed), dtype=np.uint8)
    except zlib.error as error:
        raise MaskError(f"packed masks are damaged: {error}") from error
    size = int(np.prod(shape))
    if len(bits) != (size + 7) // 8:
        raise MaskError(f"packed masks hold {len(bits)} bytes, shape {shape} needs {(size + 7) // 8}")
    return np.unpackbits(bits, count=size).reshape(shape).view(np.bool_)
