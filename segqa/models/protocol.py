"""The model protocol (`Model`) and its answer (`Proposals`): masks with mask scores, box scores and boxes."""

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
"""Advice for masks with the wrong number of axes, by that number."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """The proposals of a model for one image; there may be none.

    Attributes:
        masks: `[N, H, W]` bool, True = object.
        mask_scores: `[N]`, mask quality (SAM's predicted IoU); higher is better. NaN = unknown.
        box_scores: `[N]`, detection confidence (Grounding DINO's); higher is better. NaN = unknown.
        boxes: `[N, 4]`, x0, y0, x1, y1 in pixels of the image.

    Each may be an array, a tensor or a list. Masks may also hold {0, 1} or {0, 255}, or have the shape
    `[N, 1, H, W]`; values that would need a cutoff are refused.

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
        """Return a deep copy."""
        return Proposals(self.masks.copy(), self.mask_scores.copy(), self.box_scores.copy(), self.boxes.copy())

    @classmethod
    def none(cls, shape: tuple[int, int]) -> Proposals:
        """Return empty proposals for an image of `(height, width)`: the model found nothing.

        Raises:
            ProposalsError: the shape is not that of a mask.
        """
        if len(shape) != 2:
            raise ProposalsError(f"none takes (height, width), got {tuple(shape)}; pass image.shape[:2]")
        return cls(np.zeros((0, *shape), np.bool_), np.zeros(0), np.zeros(0), np.zeros((0, 4)))

    @classmethod
    def single(cls, mask: Mask, score: float = 1.0) -> Proposals:
        """Return one mask `[H, W]` as proposals, for models without a detector; its box is the mask's bounding box.

        The mask may be a tensor, have the shape `[1, H, W]`, and hold {0, 1} or {0, 255}.

        Raises:
            ProposalsError: there are several masks, or values that would need a cutoff.
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
    """Convert masks to bool `[N, H, W]`."""
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
    """Convert numbers to a shape; axes of length 1 may be missing or extra.

    Precision is kept: rounding could create a tie, and the pick would change once the proposals have been stored.
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
    """Return the bounding box x0, y0, x1, y1 of a mask `[H, W]`, right and bottom edge exclusive; zeros if empty."""
    rows, columns = bounding_box(mask)
    return float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)


class Model(Protocol):
    """A segmentation model: anything that returns proposals for images.

    A model may also have a `fingerprint: str` that changes whenever its answers could (weights, arguments, code).
    With one, later runs reuse its cached proposals; without one, nothing is cached. It may also state the size of its
    weights, `weights_bytes: int`, for comparisons.

    It may split its work into `prepare(image, prompt)` and `predict_prepared(prepared, prompts)`. Evaluations then call
    the first in another thread while the model runs on the previous batch, and pass its results to the second.
    """

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> Sequence[Proposals]:
        """Return the proposals for each image, in order.

        Args:
            images: RGB, uint8, `[H, W, 3]` each, of any sizes. They are copies made for this call.
            prompts: the thing to segment, one an image (`"person."`).

        Returns:
            As many proposals as images; masks preferably at the image's own size. They are copied before the next call.
        """
        ...
