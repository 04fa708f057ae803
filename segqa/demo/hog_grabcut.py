"""`hog_grabcut` finds people with OpenCV's HOG detector and cuts each out with GrabCut: no download, no torch.

The detector (Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005) comes pretrained
inside OpenCV; it knows upright, whole people. GrabCut is Rother, Kolmogorov and Blake, SIGGRAPH 2004.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from segqa.demo._grabcut import cut_person
from segqa.errors import ModelError
from segqa.models.fingerprint import fingerprint_of
from segqa.models.protocol import Proposals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segqa.data.mask import Image
    from segqa.demo._grabcut import Cut

_Floats: TypeAlias = NDArray[np.float64]

_WINDOW = (64, 128)
_PERSON_IN_WINDOW = 96
"""The detector was trained on people 96 pixels high in the middle of its window of 64 by 128."""

_BORDER = 0.2
_SCALE_STEP = 1.05
_STRIDE = 8
_RETRY_BELOW = 0.5
_SAME_PERSON = 0.65
"""The IoU from which two boxes mean one person. Lower mixes in boxes of half a person, and the mean loses the head."""

_PART_OF_PERSON = 0.7
"""The share of the smaller of two boxes within the larger from which the weaker one is no other person."""


class HogGrabCut:
    """Propose masks for the people in an image, one for each detection.

    A proposal's box is the person, not the detector's wider window. Its box score is the detector's margin `m` (a
    support vector machine's distance from undecided) as `1 / (1 + exp(-m))`: in (0, 1), in the same order as the
    margins, no calibrated probability. Its mask score is `segqa.demo._grabcut.compute_separation`, in [0, 1]: how much
    the colours on the two sides of the mask's outline differ. The two know nothing of each other: a bystander, or a
    lamp post taken for a person, can separate better than the person who was meant.

    The answer for an image depends on that image and the arguments alone.

    Args:
        smallest_person: the height of the smallest person to look for, as a share of the image's longer side. Smaller
            finds more bystanders and takes longer: the time grows with its inverse square.
        hit_threshold: the margin from which a detection counts. Where none reaches it, those within 0.5 below it
            count; where there are none either, there is no proposal.
        max_proposals: how many detections, by falling margin, are cut out at most.
        iterations: of each of the two GrabCut runs behind a mask.

    Raises:
        ModelError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        smallest_person: float = 0.35,
        hit_threshold: float = 0.0,
        max_proposals: int = 5,
        iterations: int = 2,
    ) -> None:
        if not 0.05 <= smallest_person <= 1:
            raise ModelError(f"smallest_person must lie in [0.05, 1], got {smallest_person}")
        if max_proposals < 1 or iterations < 1:
            raise ModelError(f"max_proposals and iterations must be positive, got {max_proposals} and {iterations}")
        self._side = round(_PERSON_IN_WINDOW / smallest_person)
        self._hit_threshold = hit_threshold
        self._max_proposals = max_proposals
        self._iterations = iterations
        self._detector = cv2.HOGDescriptor()
        self._detector.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))
        self.fingerprint = fingerprint_of(
            type(self),
            options={
                "smallest_person": smallest_person,
                "hit_threshold": hit_threshold,
                "max_proposals": max_proposals,
                "iterations": iterations,
                "opencv": cv2.__version__,
            },
        )

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        """Segment the people in each image.

        Args:
            images: RGB uint8 `[H, W, 3]`, of any sizes from 1 x 1; they are not changed.
            prompts: ignored, because people are all this model knows; as many as images.

        Returns:
            For each image 0 to `max_proposals` proposals, ordered by falling box score. None of the masks is empty.
        """
        return [self._predict_image(image) for image, _ in zip(images, prompts, strict=True)]

    def _predict_image(self, image: Image) -> Proposals:
        boxes, margins = self._detect(image)
        cuts = [cut_person(image, box, self._iterations) for box in boxes]
        found = np.array([cut is not None for cut in cuts], np.bool_)
        return _make_proposals([cut for cut in cuts if cut], margins[found], boxes[found], image.shape[:2])

    def _detect(self, image: Image) -> tuple[_Floats, _Floats]:
        """Detect people: return boxes `[N, 4]` and their margins `[N]`, in descending order."""
        windows, margins = self._detect_windows(image)
        sure = margins >= self._hit_threshold
        if sure.any():
            windows, margins = windows[sure], margins[sure]
        return _merge_boxes(_shrink_to_person(windows), margins, self._max_proposals)

    def _detect_windows(self, image: Image) -> tuple[_Floats, _Floats]:
        """Return all windows `[N, 4]` that the detector fires on, in pixels of the image, and their margins `[N]`."""
        height, width = image.shape[:2]
        factor = self._side / max(height, width)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        left, top = self._compute_borders(size)
        padded = cv2.copyMakeBorder(small, top, top, left, left, cv2.BORDER_REPLICATE)
        with _use_one_thread():
            found, margins = self._detector.detectMultiScale(
                padded,
                hitThreshold=self._hit_threshold - _RETRY_BELOW,
                winStride=(_STRIDE, _STRIDE),
                scale=_SCALE_STEP,
                groupThreshold=0,
            )
        corners = np.asarray(found, np.float64).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        scale = np.array([width / size[0], height / size[1]] * 2)
        return (corners - [left, top, left, top]) * scale, np.asarray(margins, np.float64).ravel()

    def _compute_borders(self, size: tuple[int, int]) -> tuple[int, int]:
        """Compute the borders to add left and right, and top and bottom, to an image of (width, height), in pixels.

        A person who fills the image leaves no room for the margin that the detector expects. An image smaller than
        one window would make the detector read beyond the image.
        """
        wanted = round(_BORDER * self._side)
        return max(wanted, (_WINDOW[0] - size[0] + 1) // 2), max(wanted, (_WINDOW[1] - size[1] + 1) // 2)


def _merge_boxes(boxes: _Floats, margins: _Floats, most: int) -> tuple[_Floats, _Floats]:
    """Merge boxes on the same person to their mean, weighted by margin; return the best `most` with their margins.

    A box that lies mostly within a better one, or around it, is a part of that person, or the person with something
    above or below: it adds no proposal.
    """
    # Sort by box, too: the detector reports equal margins in any order.
    order = np.lexsort((*boxes.T, -margins))
    boxes, margins = boxes[order], margins[order]
    means: list[_Floats] = []
    best: list[float] = []
    while len(boxes) and len(means) < most:
        shared, areas = _compute_overlaps(boxes[0], boxes), _compute_areas(boxes)
        same = shared > _SAME_PERSON * (areas[0] + areas - shared)
        means.append(np.average(boxes[same], axis=0, weights=np.exp(margins[same])))
        best.append(float(margins[0]))
        apart = shared <= _PART_OF_PERSON * np.minimum(areas[0], areas)
        boxes, margins = boxes[apart & ~same], margins[apart & ~same]
    return np.array(means).reshape(-1, 4), np.array(best)


def _compute_overlaps(one: _Floats, others: _Floats) -> _Floats:
    """Compute the area of the intersection of one box `[4]` with each of the others `[N, 4]`."""
    corner = np.maximum(one[:2], others[:, :2])
    sides = np.clip(np.minimum(one[2:], others[:, 2:]) - corner, 0, None)
    return np.asarray(sides.prod(axis=1))


def _compute_areas(boxes: _Floats) -> _Floats:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))


def _shrink_to_person(windows: _Floats) -> _Floats:
    """Shrink windows to the people in them: three quarters of the height and half of the width, centred."""
    width, height = windows[:, 2] - windows[:, 0], windows[:, 3] - windows[:, 1]
    return windows + np.stack([width / 4, height / 8, -width / 4, -height / 8], axis=1)


def _make_proposals(cuts: Sequence[Cut], margins: _Floats, boxes: _Floats, shape: tuple[int, ...]) -> Proposals:
    height, width = shape
    if not cuts:
        return Proposals.none((height, width))
    return Proposals(
        masks=np.stack([cut.mask for cut in cuts]),
        mask_scores=np.array([cut.separation for cut in cuts]),
        box_scores=1 / (1 + np.exp(-margins)),
        boxes=np.clip(boxes, 0, [width, height, width, height]),
    )


@contextmanager
def _use_one_thread() -> Iterator[None]:
    """Run OpenCV on one thread: its detector stores windows and margins under two locks, so threads may mix them up."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
