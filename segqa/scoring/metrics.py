"""Segmentation metrics: pixel counts, IoU, Dice, precision, recall, and boundary and surface distances.

Every function here is pure. Undefined is NaN, and `resolve_empty` is the one place where NaN becomes a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from segqa.data.mask import Mask, as_mask, bounding_box
from segqa.errors import MaskError, SettingsError
from segqa.settings import EmptyPolicy

METRIC_VERSION = 2
"""Goes up whenever the same two masks would score differently than before."""

_BYTES = np.dtype(np.uint8)


_CHUNK_SIZE = 1 << 16


class Counts(NamedTuple):
    """Confusion counts of a prediction against its target, with the overlap metrics as properties.

    A metric is NaN where both masks are empty. Where just one is empty, nothing is correct and all four are 0.

    >>> Counts(tp=3, fp=1, fn=2, tn=10).iou
    0.5
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Counts) -> Counts:  # type: ignore[override]  # not a longer tuple
        """Return the sum of both counts, as for an IoU pooled over the pixels of many cases."""
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def predicted(self) -> int:
        """Area of the prediction in pixels."""
        return self.tp + self.fp

    @property
    def target(self) -> int:
        """Area of the target in pixels."""
        return self.tp + self.fn

    @property
    def iou(self) -> float:
        """Intersection over union, the Jaccard index: TP / (TP + FP + FN)."""
        return self._share("iou")

    @property
    def dice(self) -> float:
        """Dice's coefficient, the F1 score: 2 TP / (2 TP + FP + FN)."""
        return self._share("dice")

    @property
    def precision(self) -> float:
        """Share of the prediction that is correct: TP / (TP + FP)."""
        return self._share("precision")

    @property
    def recall(self) -> float:
        """Share of the target that is found: TP / (TP + FN)."""
        return self._share("recall")

    def _share(self, metric: str) -> float:
        """Return TP over a number of pixels, by the rules of the class docstring."""
        if self.tp:
            return float(self.tp / _FORMULAS[metric](self.tp, self.fp, self.fn))
        return 0.0 if self.fp or self.fn else math.nan


_FORMULAS: Mapping[str, Callable[[Any, Any, Any], Any]] = MappingProxyType(
    {
        "iou": lambda tp, fp, fn: tp + fp + fn,
        "dice": lambda tp, fp, fn: (2 * tp + fp + fn) / 2,
        "precision": lambda tp, fp, fn: tp + fp,  # noqa: ARG005 - all are asked alike
        "recall": lambda tp, fp, fn: tp + fn,  # noqa: ARG005
    }
)
"""Denominators of the metrics that are shares with TP as the numerator."""


def compute_metric(counts: NDArray[Any], metric: str) -> NDArray[np.float64]:
    """Compute a metric for many counts at once, as the property of `Counts` does for each; NaN where undefined.

    Args:
        counts: whole numbers `[n, 4 or more]`: tp, fp, fn and whatever follows.
        metric: `"iou"`, `"dice"`, `"precision"` or `"recall"`.

    >>> compute_metric(np.array([[3, 1, 2, 10], [0, 0, 0, 9]]), "iou")
    array([0.5, nan])
    """
    found = np.empty(len(counts))
    # in chunks: for millions of counts the intermediate arrays would need more memory than the counts
    for start in range(0, len(counts), _CHUNK_SIZE):
        tp, fp, fn = counts[start : start + _CHUNK_SIZE, :3].T.astype(np.int64)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(tp > 0, tp / _FORMULAS[metric](tp, fp, fn), np.where(fp + fn > 0, 0.0, np.nan))
        found[start : start + _CHUNK_SIZE] = share
    return found


_EMPTY_VALUES: Mapping[EmptyPolicy, float] = MappingProxyType({"one": 1.0, "zero": 0.0, "nan": math.nan})


def resolve_empty(value: float, empty: EmptyPolicy) -> float:
    """Return the value of an undefined metric: `"one"` 1.0, `"zero"` 0.0, `"nan"` NaN.

    >>> resolve_empty(math.nan, "one"), resolve_empty(0.25, "one")
    (1.0, 0.25)
    """
    if empty not in _EMPTY_VALUES:
        raise SettingsError(f"empty must be one of {', '.join(_EMPTY_VALUES)}, got {empty!r}")
    return _EMPTY_VALUES[empty] if math.isnan(value) else value


def count(prediction: ArrayLike, target: ArrayLike) -> Counts:
    """Count a prediction `[H, W]` against its target `[H, W]`, both as `as_mask` takes them.

    Raises:
        MaskError: one is not a mask, or their shapes differ.

    >>> count([[1, 1, 0]], [[0, 1, 1]])
    Counts(tp=1, fp=1, fn=1, tn=0)
    """
    p, t = _check_pair(prediction, target)
    t8 = t.view(_BYTES)
    return _count_pixels(p.view(_BYTES), t8, _count_ones(t8))


def count_each(predictions: Iterable[ArrayLike], target: ArrayLike) -> list[Counts]:
    """Count many predictions against one target, all `[H, W]`, as `count` does for one.

    For example the proposals of a case, of which the best is the oracle's.

    Args:
        predictions: masks, or an array of them `[N, H, W]`.
        target: the ground truth; read once for all of them.

    Raises:
        MaskError: one is not a mask, or has not the target's shape.

    >>> [each.iou for each in count_each([[[1, 1, 0]], [[0, 1, 1]]], [[0, 1, 1]])]
    [0.3333333333333333, 1.0]
    """
    t = as_mask(target)
    t8 = t.view(_BYTES)
    wanted, found = _count_ones(t8), []
    for prediction in predictions:
        p = as_mask(prediction)
        if p.shape != t.shape:
            raise MaskError(_describe_shapes(p.shape, t.shape))
        found.append(_count_pixels(p.view(_BYTES), t8, wanted))
    return found


def iou(prediction: ArrayLike, target: ArrayLike, *, empty: EmptyPolicy = "one") -> float:
    """Compute the intersection over union of two masks `[H, W]`; see `Counts.iou` and `resolve_empty`.

    >>> iou([[1, 1, 0]], [[0, 1, 0]])
    0.5
    """
    return resolve_empty(count(prediction, target).iou, empty)


def dice(prediction: ArrayLike, target: ArrayLike, *, empty: EmptyPolicy = "one") -> float:
    """Compute the Dice coefficient of two masks `[H, W]`; see `Counts.dice` and `resolve_empty`."""
    return resolve_empty(count(prediction, target).dice, empty)


def precision(prediction: ArrayLike, target: ArrayLike, *, empty: EmptyPolicy = "one") -> float:
    """Compute the share of the prediction that is correct; see `Counts.precision` and `resolve_empty`."""
    return resolve_empty(count(prediction, target).precision, empty)


def recall(prediction: ArrayLike, target: ArrayLike, *, empty: EmptyPolicy = "one") -> float:
    """Compute the share of the target that is found; see `Counts.recall` and `resolve_empty`."""
    return resolve_empty(count(prediction, target).recall, empty)


def boundary_iou(prediction: ArrayLike, target: ArrayLike, *, ratio: float = 0.02, empty: EmptyPolicy = "one") -> float:
    """Compute the IoU of the two inner boundary bands (Cheng et al., Boundary IoU, CVPR 2021).

    A mask's band is what it loses when eroded by `d` = `ratio` × the image's diagonal, rounded, at least 1 pixel, with
    a square of 2 d + 1; what lies outside the image counts as background.

    Args:
        prediction: `[H, W]`.
        target: `[H, W]`.
        ratio: the band's width as a share of the image's diagonal, above 0.
        empty: value where both masks are empty.
    """
    p, t = _check_pair(prediction, target)
    width = compute_band_width(p.shape, ratio)
    p, t = _crop(p, t)
    return resolve_empty(count(_find_inner_band(p, width), _find_inner_band(t, width)).iou, empty)


def hausdorff(prediction: ArrayLike, target: ArrayLike, *, percentile: float = 100) -> float:
    """Compute the Hausdorff distance in pixels, or a percentile of it: the greater of the two directed distances.

    Distances run between edge pixels: those of a mask that touch, by a side, a pixel that is not of it (outside the
    image nothing is).

    Args:
        prediction: `[H, W]`.
        target: `[H, W]`.
        percentile: of each direction's distances, from 0 to 100, interpolated linearly, as in numpy.

    Returns:
        0 or more; infinity where just one mask is empty, NaN where both are.

    >>> hausdorff([[1, 1, 1, 0]], [[0, 0, 0, 1]])
    3.0
    """
    if not 0 <= percentile <= 100:
        raise SettingsError(f"percentile must be from 0 to 100, got {percentile}")
    return _SurfaceDistances.from_masks(prediction, target).hausdorff(percentile)


def hd95(prediction: ArrayLike, target: ArrayLike) -> float:
    """Compute the 95th percentile of the Hausdorff distance in pixels, see `hausdorff`."""
    return hausdorff(prediction, target, percentile=95)


def nsd(prediction: ArrayLike, target: ArrayLike, *, tolerance: float, empty: EmptyPolicy = "one") -> float:
    """Compute the normalised surface distance: the share of both edges within a tolerance of the other edge.

    After Nikolov et al. (2018), with edge pixels (see `hausdorff`) in place of surface elements.

    Args:
        prediction: `[H, W]`.
        target: `[H, W]`.
        tolerance: in pixels, 0 or more; an edge pixel just so far away is within it.
        empty: value where both masks are empty; 0 where just one is.
    """
    return hd95_and_nsd(prediction, target, tolerance=tolerance, empty=empty)[1]


def hd95_and_nsd(
    prediction: ArrayLike, target: ArrayLike, *, tolerance: float, empty: EmptyPolicy = "one"
) -> tuple[float, float]:
    """Compute `hd95` and `nsd` together; the distances, the slow part, are computed once."""
    if not tolerance >= 0:
        raise SettingsError(f"tolerance must be 0 or more pixels, got {tolerance}")
    apart = _SurfaceDistances.from_masks(prediction, target)
    return apart.hausdorff(95), resolve_empty(apart.share_within(tolerance), empty)


def compute_band_width(shape: tuple[int, ...], ratio: float = 0.02) -> int:
    """Return the width in pixels of a boundary band in an image of shape `(height, width)`: at least 1."""
    if not 0 < ratio < math.inf:
        raise SettingsError(f"ratio must be above 0, got {ratio}")
    return max(1, round(ratio * math.hypot(*shape)))


def count_interior(prediction: Mask, target: Mask, ratio: float = 0.02) -> Counts:
    """Count away from the target's contour: pixels within a boundary band on either side are left out.

    Where these counts agree and the full counts do not, only the contour is wrong.
    """
    return TargetCounter.from_target(target, ratio).count(prediction)[1]


@dataclass(frozen=True, slots=True, eq=False)
class TargetCounter:
    """Counter of many predictions against one target, which prepares the target once.

    Attributes:
        shape: the target's `(height, width)`.
        box: rows and columns outside of which the following are 0.
        whole: the target in the box, uint8, 0 and 1.
        core: the target without its inner boundary band.
        reach: the target with an outer band added.
        areas: pixels of the three.
    """

    shape: tuple[int, ...]
    box: tuple[slice, slice]
    whole: NDArray[np.uint8]
    core: NDArray[np.uint8]
    reach: NDArray[np.uint8]
    areas: tuple[int, int, int]

    @classmethod
    def from_target(cls, target: Mask, ratio: float = 0.02) -> TargetCounter:
        """Prepare a target `[H, W]`; the band width is a share of the image's diagonal."""
        width = compute_band_width(target.shape, ratio)
        box = bounding_box(target, margin=width)
        whole = core = reach = np.ascontiguousarray(target[box]).view(_BYTES)
        if whole.size:  # OpenCV takes no array without pixels
            core, reach = _erode_and_dilate(whole, 2 * width + 1)
        return cls(target.shape, box, whole, core, reach, (_count_ones(whole), _count_ones(core), _count_ones(reach)))

    def count(self, prediction: Mask) -> tuple[Counts, Counts]:
        """Count a prediction `[H, W]`, and count away from the target's contour; see `count_interior`."""
        if prediction.shape != self.shape:
            raise MaskError(_describe_shapes(prediction.shape, self.shape))
        p8 = prediction.view(_BYTES)
        predicted, size = _count_ones(p8), p8.size
        wanted, core, reach = self.areas
        near = p8[self.box]
        nearby = _count_ones(near)
        # the target is empty outside the box, so only the box is compared
        met = _count_intersection(near, nearby, self.whole, wanted)
        right = _count_intersection(near, nearby, self.core, core)
        beyond = predicted - _count_intersection(near, nearby, self.reach, reach)
        return _to_counts(met, predicted, wanted, size), Counts(right, beyond, core - right, size - reach - beyond)


def _count_pixels(prediction: NDArray[np.uint8], target: NDArray[np.uint8], wanted: int) -> Counts:
    """Count two masks of one shape, given the target's area."""
    predicted = _count_ones(prediction)
    return _to_counts(_count_intersection(prediction, predicted, target, wanted), predicted, wanted, prediction.size)


def _to_counts(met: int, predicted: int, wanted: int, size: int) -> Counts:
    """Return the counts of two masks from their intersection, their areas and the number of pixels."""
    return Counts(met, predicted - met, wanted - met, size - predicted - wanted + met)


def _count_intersection(first: NDArray[np.uint8], ones: int, second: NDArray[np.uint8], others: int) -> int:
    """Return the intersection of two masks in pixels, from their areas and differences, without temporaries.

    Each area is what both share and what only one has; what only one has is where they differ: the sum of the
    differences, as exact as `_count_ones`.
    """
    return (ones + others - int(cv2.norm(first, second, cv2.NORM_L1))) // 2 if first.size else 0


def _count_ones(pixels: NDArray[np.uint8]) -> int:
    """Return the number of ones among zeros and ones `[H, W]`. OpenCV sums bytes faster than it counts non-zeros.

    Exact: the sum is a double. OpenCV takes no array without pixels.
    """
    return int(cv2.sumElems(pixels)[0]) if pixels.size else 0


def _check_pair(prediction: ArrayLike, target: ArrayLike) -> tuple[Mask, Mask]:
    """Check and return two masks of one shape."""
    p, t = as_mask(prediction), as_mask(target)
    if p.shape != t.shape:
        raise MaskError(_describe_shapes(p.shape, t.shape))
    return p, t


def _describe_shapes(prediction: tuple[int, ...], target: tuple[int, ...]) -> str:
    """Describe two shapes for an error message."""
    return f"prediction and target must have one shape, got {prediction} and {target}; resize one of them"


def _crop(prediction: Mask, target: Mask) -> tuple[Mask, Mask]:
    """Crop both masks to the bounding box of their union, with a margin of one background pixel."""
    box = bounding_box(prediction | target)
    return np.pad(prediction[box], 1), np.pad(target[box], 1)


def _find_inner_band(mask: Mask, width: int) -> Mask:
    """Return the pixels of a mask that erosion by `width` removes. Outside the array there is background."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * width + 1, 2 * width + 1))
    inside = cv2.erode(mask.view(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & ~inside.view(np.bool_)


def _erode_and_dilate(pixels: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Erode and dilate zeros and ones by a square in one counting pass. Outside the array there is nothing."""
    depth = cv2.CV_16U if side * side < 2**16 else cv2.CV_32S  # the narrower, the faster
    ones = cv2.boxFilter(pixels, depth, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return (ones == side * side).view(np.uint8), (ones > 0).view(np.uint8)


def _find_edge(mask: Mask) -> Mask:
    """Return the pixels of a mask with a margin that share a side with a background pixel."""
    inside = cv2.erode(mask.view(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    return mask & ~inside.view(np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class _SurfaceDistances:
    """Distances of the edge pixels of two masks to the other mask's edge.

    Attributes:
        there: from the prediction to the target, in pixels; empty where a mask is.
        back: from the target to the prediction.
        without: what both scores are where a mask is empty: the distance and the share.
    """

    there: NDArray[np.float64]
    back: NDArray[np.float64]
    without: tuple[float, float] = (math.nan, math.nan)

    @classmethod
    def from_masks(cls, prediction: ArrayLike, target: ArrayLike) -> _SurfaceDistances:
        """Compute the distances of a prediction and a target, each `[H, W]`."""
        p, t = _crop(*_check_pair(prediction, target))
        if not p.any() or not t.any():
            nothing = np.empty(0)
            return cls(nothing, nothing, (math.inf, 0.0) if p.any() or t.any() else (math.nan, math.nan))
        p_edge, t_edge = _find_edge(p), _find_edge(t)
        return cls(_compute_distances(p_edge, t_edge), _compute_distances(t_edge, p_edge))

    def hausdorff(self, percentile: float) -> float:
        """Return the greater of the percentiles of both directions."""
        if not self.there.size:
            return self.without[0]
        return float(max(np.percentile(way, percentile) for way in (self.there, self.back)))

    def share_within(self, tolerance: float) -> float:
        """Return the share of all edge pixels within a tolerance of the other edge."""
        if not self.there.size:
            return self.without[1]
        return float((np.concatenate([self.there, self.back]) <= tolerance).mean())


def _compute_distances(edge: Mask, other: Mask) -> NDArray[np.float64]:
    """Return the Euclidean distance in pixels of each edge pixel to the nearest pixel of another edge.

    Exact below 2,048 pixels where the diagonal of both masks' box is below 4,096; within 0.001 up to 10,000.
    """
    near = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[edge]
    # Squares of these distances are whole numbers. OpenCV's roots are blurred by float32: that of 5 comes out above
    # `np.sqrt(5)`, and would not lie within that tolerance.
    return np.sqrt(np.rint(np.square(near, dtype=np.float64)))
