"""Proposals are what a model offers for a case: masks, each with a score for itself and one for its detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Image, Mask, bounding_box, to_array, to_bool
from segqa.errors import MaskError, ProposalsError

Floats = NDArray[np.float64]

_NUMBER = np.dtype(np.float64)

_OTHER_WAYS = {
    1: "; if there is no mask: segqa.Proposals.none(image.shape[:2])",
    2: "; for one mask: segqa.Proposals.single(mask)",
}
"""What to write in place of masks of so many axes."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """The masks that a model offers for one image; there may be none.

    Attributes:
        masks: `[N, H, W]` bool, True = object.
        mask_scores: `[N]`, how good the mask (SAM's predicted IoU); higher is better. NaN = unknown.
        box_scores: `[N]`, how sure the detection (Grounding DINO's); higher is better. NaN = unknown.
        boxes: `[N, 4]`, x0, y0, x1, y1 in pixels of the image.

    Each may be given as an array, a tensor or a list. Masks may also hold {0, 1} or {0, 255}, or have the shape
    `[N, 1, H, W]`; numbers that would need a cutoff are refused.

    Raises:
        ProposalsError: an array has another shape or other values than stated here.

    >>> Proposals.none((480, 640)).masks.shape
    (0, 480, 640)
    """

    masks: Mask
    mask_scores: Floats
    box_scores: Floats
    boxes: Floats

    def __post_init__(self) -> None:
        masks = _to_masks(self.masks)
        object.__setattr__(self, "masks", masks)
        count = len(masks)
        for name, shape in (("mask_scores", (count,)), ("box_scores", (count,)), ("boxes", (count, 4))):
            object.__setattr__(self, name, _to_numbers(getattr(self, name), name, shape))

    def __len__(self) -> int:
        return len(self.masks)

    def copy(self) -> Proposals:
        """Return the same proposals in memory of their own."""
        return Proposals(self.masks.copy(), self.mask_scores.copy(), self.box_scores.copy(), self.boxes.copy())

    @classmethod
    def none(cls, shape: tuple[int, int]) -> Proposals:
        """No proposal for an image of `(height, width)`: the model saw nothing.

        Raises:
            ProposalsError: the shape is not that of a mask.
        """
        if len(shape) != 2:
            raise ProposalsError(f"none takes (height, width), got {tuple(shape)}; pass image.shape[:2]")
        return cls(np.zeros((0, *shape), np.bool_), np.zeros(0), np.zeros(0), np.zeros((0, 4)))

    @classmethod
    def single(cls, mask: Mask, score: float = 1.0) -> Proposals:
        """One mask `[H, W]`, as a model without a detector gives it; its box is the mask's own.

        It may be a tensor, have the shape `[1, H, W]`, and hold {0, 1} or {0, 255}.

        Raises:
            ProposalsError: it is several masks, or numbers that would need a cutoff.
        """
        array = _to_array(mask, "mask")
        while array.ndim > 2 and array.shape[0] == 1:
            array = array[0]
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        if array.ndim != 2:
            raise ProposalsError(
                f"single takes one mask of shape (height, width), got shape {array.shape}; "
                "for several: segqa.Proposals(masks, mask_scores, box_scores, boxes)"
            )
        one = _to_bool(array)
        return cls(one[None], _to_numbers(score, "score", (1,)), np.array([1.0]), np.array([compute_box(one)]))


def _to_masks(values: object) -> Mask:
    """Return masks as bool `[N, H, W]`."""
    if isinstance(values, np.ndarray) and values.ndim == 3 and values.dtype == np.bool_:
        return values
    array = _to_array(values, "masks")
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 3:
        hint = _OTHER_WAYS.get(array.ndim, "")
        raise ProposalsError(
            f"masks must be bool of shape (N, height, width), got shape {array.shape} and dtype {array.dtype}{hint}"
        )
    return _to_bool(array)


def _to_numbers(values: object, name: str, shape: tuple[int, ...]) -> Floats:
    """Return numbers in a shape; axes of length 1 may be missing or too many.

    They are kept in full: a tie that rounding makes would be picked otherwise once the proposals have been stored.
    """
    if isinstance(values, np.ndarray) and values.shape == shape and values.dtype == _NUMBER:
        return values
    array = _to_array(values, name)
    if array.dtype.kind not in "biuf":
        raise ProposalsError(f"{name} must hold numbers, got {type(values).__name__} of dtype {array.dtype}")
    if array.shape != shape:
        lengths = [tuple(side for side in sides if side != 1) for sides in (array.shape, shape)]
        if lengths[0] != lengths[1] and not (array.size == 0 and 0 in shape):
            raise ProposalsError(f"{name} must have shape {shape} for {shape[0]} masks, got {array.shape}")
        array = array.reshape(shape)
    return array.astype(_NUMBER)


def _to_array(values: object, name: str) -> NDArray[Any]:
    try:
        return to_array(values)
    except MaskError as error:
        raise ProposalsError(f"{name}: {error}") from error


def _to_bool(array: NDArray[Any]) -> Mask:
    try:
        return to_bool(array)
    except MaskError as error:
        raise ProposalsError(str(error)) from error


def compute_box(mask: Mask) -> tuple[float, float, float, float]:
    """The box x0, y0, x1, y1 around a mask `[H, W]`, right and bottom edge exclusive; zeros where it is empty."""
    rows, columns = bounding_box(mask)
    return float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)


class Model(Protocol):
    """Anything that answers images with proposals.

    A model may also have a `fingerprint: str` that changes whenever its answers could (weights, arguments, code).
    With one, its proposals are kept and used again by later runs; without one, they never are. And it may say the size
    of its weights, `weights_bytes: int`, for comparisons.

    It may split its work: with `prepare(image, prompt)` and `predict_prepared(prepared, prompts)` evaluations call the
    first in another thread while the model works on what came before, and hand its answers to the second.
    """

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> Sequence[Proposals]:
        """The proposals for each image, in order.

        Args:
            images: RGB, uint8, `[H, W, 3]` each, of any sizes. They are copies, made for this call.
            prompts: what to segment, one an image (`"person."`).

        Returns:
            As many proposals as images; masks preferably at the image's own size. They are copied before the next call.
        """
        ...
