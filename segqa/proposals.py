"""Proposals are what a model offers for a case: masks, each with a score for itself and one for its detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segqa.errors import ProposalsError
from segqa.mask import Image, Mask, around

Floats = NDArray[np.float64]

_NUMBER = np.dtype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """The masks that a model offers for one image; there may be none.

    Attributes:
        masks: `[N, H, W]` bool, True = object.
        mask_scores: `[N]`, how good the mask (SAM's predicted IoU); higher is better. NaN = unknown.
        box_scores: `[N]`, how sure the detection (Grounding DINO's); higher is better. NaN = unknown.
        boxes: `[N, 4]`, x0, y0, x1, y1 in pixels of the image.

    Raises:
        ProposalsError: an array has another shape or type than stated here.

    >>> Proposals.none((480, 640)).masks.shape
    (0, 480, 640)
    """

    masks: Mask
    mask_scores: Floats
    box_scores: Floats
    boxes: Floats

    def __post_init__(self) -> None:
        count = self._count()
        for name, shape in (("mask_scores", (count,)), ("box_scores", (count,)), ("boxes", (count, 4))):
            value = getattr(self, name)
            if not isinstance(value, np.ndarray):
                raise ProposalsError(f"{name} must be a numpy array, got {type(value).__name__}")
            if value.shape != shape:
                raise ProposalsError(f"{name} must have shape {shape} for {count} masks, got {value.shape}")
            if value.dtype != _NUMBER:
                # in full: a tie that rounding makes would be picked otherwise once the proposals have been stored
                object.__setattr__(self, name, value.astype(_NUMBER))

    def _count(self) -> int:
        """How many masks there are; raises `ProposalsError` if they are none."""
        masks = self.masks
        if not isinstance(masks, np.ndarray):
            raise ProposalsError(f"masks must be a numpy array, got {type(masks).__name__}")
        if masks.ndim != 3 or masks.dtype != np.bool_:
            came = f"shape {masks.shape} and dtype {masks.dtype}"
            raise ProposalsError(f"masks must be bool of shape (N, height, width), got {came}")
        return len(masks)

    def __len__(self) -> int:
        return len(self.masks)

    @classmethod
    def none(cls, shape: tuple[int, int]) -> Proposals:
        """No proposal for an image of `(height, width)`: the model saw nothing."""
        return cls(np.zeros((0, *shape), np.bool_), np.zeros(0), np.zeros(0), np.zeros((0, 4)))

    @classmethod
    def single(cls, mask: Mask, score: float = 1.0) -> Proposals:
        """One mask `[H, W]`, as a model without a detector gives it; its box is the mask's own."""
        return cls(mask[None], np.array([score]), np.array([1.0]), np.array([box_of(mask)]))


def box_of(mask: Mask) -> tuple[float, float, float, float]:
    """The box x0, y0, x1, y1 around a mask `[H, W]`, right and bottom edge exclusive; zeros where it is empty."""
    rows, columns = around(mask)
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
            images: RGB, uint8, `[H, W, 3]` each, of any sizes; must not be changed.
            prompts: what to segment, one an image (`"person."`).

        Returns:
            As many proposals as images; masks preferably at the image's own size.
        """
        ...
