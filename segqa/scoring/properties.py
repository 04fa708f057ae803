"""Image properties of a case, such as object size, brightness and sharpness, and digests of its pixels."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Image, Mask, bounding_box

PROPERTY_VERSION = 3
"""Goes up whenever the same pixels would measure otherwise than before."""

LEVELS = MappingProxyType(
    {
        "target_area": ("small", "medium", "large"),
        "elongation": ("compact", "oblong", "slender"),
        "brightness": ("dark", "medium", "bright"),
        "contrast": ("low", "medium", "high"),
        "sharpness": ("blurred", "medium", "sharp"),
        "colour_similarity": ("low", "medium", "high"),
        "image_size": ("small", "medium", "large"),
    }
)
"""Names of the lower, middle and upper third of each property."""

COUNTS = frozenset({"components", "proposals"})
"""Integer properties; their slices are named by the numbers (`components=2-3`)."""

BORDER = MappingProxyType({0.0: "free", 1.0: "touching"})
"""Names of the two values of `border`."""

PROPERTIES = frozenset({*LEVELS, *COUNTS, "border"})
"""Names of all properties. `proposals` counts the model's proposals, so a run has it and a data set does not."""

_BINS = 8
Box: TypeAlias = tuple[slice, slice]
"""Rows and columns."""

_SAMPLED, _ROWS = 1 << 15, 64


@dataclass(frozen=True, slots=True)
class CaseProperties:
    """Properties and pixel digest of a case, independent of any model.

    Attributes:
        properties: see `compute_properties`.
        pixels: see `digest_pixels`; empty where nobody has read them.
    """

    properties: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    pixels: str = ""

    @classmethod
    def measure(cls, image: Image, target: Mask) -> CaseProperties:
        """Measure an image and a target of the same size."""
        return cls(compute_properties(image, target), digest_pixels(image, target))


def digest_pixels(image: Image, target: Mask) -> str:
    """Return 32 hex digits: 16 that change with the image's pixels or shape, then 16 that change with the target's.

    The files do not matter: packed anew without loss, an image has the same digest.

    Args:
        image: RGB uint8 `[H, W, 3]`, upright.
        target: bool `[H, W]`.
    """
    return _hash_pixels(image.shape, image) + _hash_pixels(target.shape, np.packbits(target))


def _hash_pixels(shape: tuple[int, ...], pixels: NDArray[np.uint8]) -> str:
    """Return 16 hex digits of a SHA-256."""
    digest = hashlib.sha256(repr(shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:16]


def compute_properties(image: Image, target: Mask) -> dict[str, float]:
    """Compute the properties of a case. Undefined ones (the elongation of an empty target) are left out.

    Args:
        image: RGB uint8 `[H, W, 3]`.
        target: bool `[H, W]`, of the same size.

    Returns:
        `image_size` in pixels; `brightness` and `contrast`, mean and standard deviation of the luma (Rec. 601), 0 to 1;
        `sharpness`, the variance of its Laplacian in squared grey levels (Pech-Pacheco et al., ICPR 2000);
        `target_area`, a share of the image; `components`, 8-connected; `border`, 1 if the target touches it, else 0;
        `elongation`, the ratio of the axes of the ellipse with the target's second moments, 1 or more;
        `colour_similarity` of object and background, 0 to 1: Bhattacharyya's coefficient of their colour histograms
        (8 × 8 × 8 bins of RGB), over every n-th row where the box around the object, or the image, is large.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean, spread = cv2.meanStdDev(grey)
    _, edges = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    found = {
        "image_size": float(target.size),
        "brightness": float(mean[0, 0]) / 255,
        "contrast": float(spread[0, 0]) / 255,
        "sharpness": float(edges[0, 0]) ** 2,
        "target_area": cv2.countNonZero(target.view(np.uint8)) / target.size,
    }
    box = _find_box(target)
    return found | (
        {"components": 0.0}
        if box is None
        else _compute_shape_properties(target, box) | _compute_colour_properties(image, target, box)
    )


def _compute_shape_properties(target: Mask, box: Box) -> dict[str, float]:
    """Compute the properties of the target alone."""
    pixels = np.ascontiguousarray(target[box]).view(np.uint8)
    # each component has one outer contour; following these is faster than numbering the pixels
    nesting = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[1]
    components = np.count_nonzero(nesting[0, :, 3] < 0)
    touching = any(side.any() for side in (target[0], target[-1], target[:, 0], target[:, -1]))
    return {"components": float(components), "border": float(touching), "elongation": _compute_elongation(pixels)}


def _find_box(target: Mask) -> Box | None:
    """Return the rows and columns of the object's bounding box; None without an object."""
    box = bounding_box(target)
    return box if box[0].stop else None


def _compute_elongation(pixels: Image) -> float:
    """Compute the ratio of the axes from the central moments. Each pixel is a square, so a thin line has a width."""
    # the pixels are 0 and 1 already; OpenCV takes twice as long with its flag for binary images
    m = cv2.moments(pixels)
    xx, yy, xy = m["mu20"] / m["m00"] + 1 / 12, m["mu02"] / m["m00"] + 1 / 12, m["mu11"] / m["m00"]
    half, root = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    # the product of both axes is the determinant; dividing by it keeps the small one exact
    return (half + root) / math.sqrt(max(xx * yy - xy * xy, 1e-12))


def _compute_colour_properties(image: Image, target: Mask, box: Box) -> dict[str, float]:
    """Compute the properties of the object against the background."""
    inside, outside = _read_colours(image[box], target[box]), _read_colours(image, ~target)
    if not inside.any() or not outside.any():
        return {}
    shared = np.sqrt(inside / inside.sum() * (outside / outside.sum())).sum()
    return {"colour_similarity": min(1.0, float(shared))}


def _read_colours(image: Image, where: Mask) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the colour histogram of these pixels, float64 `[8, 8, 8]`; large images are sampled every n-th row."""
    step = max(1, min(where.size // _SAMPLED, len(where) // _ROWS))
    pixels = where[::step].view(np.uint8)
    return cv2.calcHist([image[::step]], [0, 1, 2], pixels, [_BINS] * 3, [0, 256] * 3).astype(np.float64)
