"""Hash images and find near duplicates; a hash keeps the digest and a thumbnail of 9 × 8 grey values.

Two images are near duplicates if their difference hashes differ in few bits and their thumbnails correlate;
`docs/decisions/the-data-suite.md` says how both bounds were found. The hash is dHash (N. Krawetz, "Kind of Like
That", The Hacker Factor Blog, 2013): one bit for each grey value that is brighter than its left neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Image

HASH_BITS = 64
"""Number of bits of a hash."""

MAX_DISTANCE = 8
"""Maximum Hamming distance of the hashes of near duplicates."""

MIN_CORRELATION = 0.95
"""Minimum Pearson correlation of their thumbnails; hashes of flat images agree in most bits by chance."""

_WIDTH, _HEIGHT = 9, 8


@dataclass(frozen=True, slots=True)
class ImageHash:
    """The digest and the thumbnail of an image.

    Attributes:
        digest: changes when the image does.
        size: width and height in pixels.
        thumbnail: 72 grey values, row by row.
    """

    digest: bytes
    size: tuple[int, int]
    thumbnail: bytes


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """An image and its nearest duplicate.

    Attributes:
        index: index of the image.
        other: index of the nearest of the images it was compared with.
        distance: Hamming distance of their 64-bit hashes.
    """

    index: int
    other: int
    distance: int


def compute_image_hash(digest: bytes, image: Image) -> ImageHash:
    """Compute the hash of an image, RGB uint8 `[H, W, 3]`."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return ImageHash(digest, (image.shape[1], image.shape[0]), small.tobytes())


def find_near_duplicates(
    hashes: Sequence[ImageHash], others: Sequence[ImageHash] | None = None, *, cells: int = 1 << 22
) -> Iterator[DuplicatePair]:
    """Yield each image that has a near duplicate, with the nearest one.

    All pairs are compared by matrix products: exact, and linear in memory.

    Args:
        hashes: the hashes of the images.
        others: the hashes to compare with; by default each image is compared with those before it, so the first of
            several duplicates is not reported.
        cells: number of pairs at a time; the default needs 16 MB per matrix.
    """
    if not hashes or (others is not None and not others):
        return
    bits, thumbnails = _compute_hash_bits(hashes), _normalize_thumbnails(hashes)
    other_bits, other_thumbnails = (
        (bits, thumbnails) if others is None else (_compute_hash_bits(others), _normalize_thumbnails(others))
    )
    step = max(1, cells // len(other_bits))
    for start in range(0, len(bits), step):
        rows = slice(start, start + step)
        until = len(other_bits) if others is not None else min(start + step, len(bits))
        agreeing = bits[rows] @ other_bits[:until].T  # 64 minus twice the distance, exact in float32
        near = agreeing >= HASH_BITS - 2 * MAX_DISTANCE
        if others is None:
            near &= np.arange(until) < np.arange(start, until)[:, None]
        hit = near.any(axis=1)
        near[hit] &= thumbnails[rows][hit] @ other_thumbnails[:until].T >= MIN_CORRELATION
        nearest = np.where(near, agreeing, -np.inf).argmax(axis=1)
        for row in np.flatnonzero(near.any(axis=1)).tolist():
            other = int(nearest[row])
            yield DuplicatePair(start + row, other, int(HASH_BITS - agreeing[row, other]) // 2)


def _stack_thumbnails(hashes: Sequence[ImageHash]) -> NDArray[np.uint8]:
    """Return the thumbnails, `[N, 8, 9]`."""
    values = np.frombuffer(b"".join(each.thumbnail for each in hashes), np.uint8)
    return values.reshape(len(hashes), _HEIGHT, _WIDTH)


def _compute_hash_bits(hashes: Sequence[ImageHash]) -> NDArray[np.float32]:
    """Return the hashes, `[N, 64]`, 1 for a bit that is set and -1 for one that is not."""
    small = _stack_thumbnails(hashes)
    brighter = small[:, :, 1:] > small[:, :, :-1]
    return np.where(brighter, 1, -1).astype(np.float32).reshape(len(hashes), HASH_BITS)


def _normalize_thumbnails(hashes: Sequence[ImageHash]) -> NDArray[np.float32]:
    """Return the thumbnails as vectors `[N, 72]` of mean 0 and length 1; those of a single grey are zero."""
    values: NDArray[np.float32] = _stack_thumbnails(hashes).reshape(len(hashes), -1).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    length = np.sqrt((values * values).sum(axis=1, keepdims=True))
    values /= np.where(length > 1e-3, length, np.inf)
    return values
