"""Error breakdown of a prediction: wrong pixels by boundary, extent and segment errors.

After Bernhard et al., What's Outside the Intersection? Fine-grained Error Analysis for Semantic Segmentation Beyond IoU
(WACV 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask, bounding_box

BOUNDARY_RATIO = 0.01
"""Boundary width as a share of the image's diagonal, as in the paper."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Wrong pixels of a prediction by error type; each is counted once.

    Attributes:
        fp_boundary: false positives along a contour that is there in both masks, but not in the same place.
        fp_extent: other false positives of a predicted component that touches the target: it reaches too far.
        fp_segment: false positives of predicted components that have nothing to do with the target.
        fn_boundary: false negatives along a contour that both masks have.
        fn_extent: other false negatives of a component of the target that was found in part.
        fn_segment: false negatives of components of the target that were not found at all.
        union: pixels of prediction and target together.
    """

    fp_boundary: int
    fp_extent: int
    fp_segment: int
    fn_boundary: int
    fn_extent: int
    fn_segment: int
    union: int

    @property
    def shares(self) -> dict[str, float]:
        """Six counts as shares of the union; with the IoU they add up to 1. None where both masks are empty.

        >>> Breakdown(1, 2, 0, 1, 0, 0, union=8).shares["fp_extent"]
        0.25
        """
        names = [name for name in self.__slots__ if name != "union"]
        if not self.union:
            return dict.fromkeys(names, 0.0)
        return {name: getattr(self, name) / self.union for name in names}

    @property
    def numbers(self) -> tuple[int, ...]:
        """Seven numbers, in the order of the attributes."""
        return tuple(getattr(self, name) for name in self.__slots__)


def compute_empty_breakdown(target: int) -> Breakdown:
    """Return the breakdown of an empty prediction, which misses all `target` pixels."""
    return Breakdown(0, 0, 0, 0, 0, target, target)


def break_down(prediction: Mask, target: Mask) -> Breakdown:
    """Compute the error breakdown of a prediction. Both masks are `[H, W]` bool, of one shape.

    A wrong pixel is at the boundary if it lies within d (1 % of the diagonal, rounded, at least 1) both of a true
    positive and of a true negative, or within d of such a pixel; and if its patch of such pixels touches both kinds.
    """
    width = max(1, round(BOUNDARY_RATIO * math.hypot(*target.shape)))
    box = bounding_box(prediction | target, width + 1)
    prediction, target = prediction[box], target[box]
    right = prediction & target
    if not right.any():
        # nothing of the one touches the other: no contour is shared, and no component found in part
        fp, fn = int(prediction.sum()), int(target.sum())
        return Breakdown(0, 0, fp, 0, 0, fn, fp + fn)
    neither = ~(prediction | target)
    contested = _dilate(right, width) & _dilate(neither, width)
    false_positives = _split(prediction & ~target, prediction, contested, (right, neither), width)
    false_negatives = _split(target & ~prediction, target, contested, (right, neither), width)
    return Breakdown(*false_positives, *false_negatives, int((prediction | target).sum()))


def _split(wrong: Mask, mask: Mask, contested: Mask, neighbours: tuple[Mask, Mask], width: int) -> tuple[int, int, int]:
    """Count boundary, extent and segment errors among the wrong pixels, which belong to `mask`."""
    if not wrong.any():
        return 0, 0, 0
    boundary = _find_touching(_dilate(wrong & contested, width) & wrong, neighbours)
    rest = wrong & ~boundary
    labels, found = _label_components(mask)
    # the components that hold a true positive: what of them is wrong is their extent
    reaches_target = _find_labels(labels, neighbours[0], found)
    extent = int(reaches_target[labels[rest]].sum())
    at_boundary = int(boundary.sum())
    return at_boundary, extent, int(wrong.sum()) - at_boundary - extent


def _find_touching(patches: Mask, neighbours: tuple[Mask, Mask]) -> Mask:
    """Return the patches (8-connected components) that are adjacent to every neighbour."""
    labels, found = _label_components(patches)
    kept = np.ones(found, np.bool_)
    kept[0] = False
    for neighbour in neighbours:
        kept &= _find_labels(labels, _dilate(neighbour, 1) & patches, found)
    return kept[labels]


def _label_components(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Return the label of each pixel's 8-connected component, 0 for the background, and the number of labels."""
    found, labels = cv2.connectedComponents(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    return labels.astype(np.int32, copy=False), found


def _find_labels(labels: NDArray[np.int32], where: Mask, found: int) -> Mask:
    """Return which of the `found` components have a pixel in `where`, `[found]`."""
    return np.bincount(labels[where], minlength=found) > 0


def _dilate(mask: Mask, width: int) -> Mask:
    """Return the pixels whose rounded Euclidean distance to a mask is at most `width`; none for an empty mask."""
    if not mask.any():
        return np.zeros_like(mask)
    # a disc is as many chords as it has rows: the mask is widened to each of them, and moved up and down by its row
    chord: NDArray[Any] = mask.view(np.uint8)
    reach, height = 0, len(mask)
    near = np.zeros_like(chord)
    for away in range(min(width, height - 1), -1, -1):
        wider = math.isqrt(width * (width + 1) - away * away)
        if wider > reach:
            chord, reach = cv2.dilate(chord, np.ones((1, 2 * (wider - reach) + 1), np.uint8)), wider
        near[away:] |= chord[: height - away]
        near[: height - away] |= chord[away:]
    return near.view(np.bool_)
