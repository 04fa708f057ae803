"""Drawing of error maps and side-by-side strips, and encoding of images.

The colours are distinguishable for every type of colour vision; hatching helps where the photo has the same colour.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import features

from segqa.data.mask import Image, Mask, bounding_box, resize_nearest

STRIP_HEIGHT = 300
STRIP_WIDTH = 400
"""Maximum size of one pane of a strip, in pixels."""

FALSE_POSITIVE = (213, 94, 0)
FALSE_NEGATIVE = (0, 114, 178)
_GAP = 6
_VEIL = (255, 255, 255)
_HATCH_EVERY, _HATCH_WIDTH = 7, 2


def error_map(image: Image, prediction: Mask, target: Mask) -> Image:
    """Draw the errors on the photo; all three arrays have the same size `[H, W]`.

    False positives are vermilion with dark stripes rising to the right, false negatives blue with light stripes
    falling, true positives under a light veil; the target's contour is white inside black.
    """
    painted = image.copy()
    # nothing is drawn outside both masks
    box = bounding_box(prediction | target)
    rows, columns = np.ogrid[box]
    found, wanted = prediction[box], target[box]
    rising = (rows + columns) % _HATCH_EVERY < _HATCH_WIDTH
    falling = (rows - columns) % _HATCH_EVERY < _HATCH_WIDTH
    wrong, lost = found & ~wanted, wanted & ~found
    _tint(painted[box], found & wanted, _VEIL, 0.25)
    _tint(painted[box], wrong, FALSE_POSITIVE, 0.55)
    _tint(painted[box], wrong & rising, (30, 10, 0), 0.7)
    _tint(painted[box], lost, FALSE_NEGATIVE, 0.55)
    _tint(painted[box], lost & falling, (235, 245, 255), 0.7)
    contours, _ = cv2.findContours(target.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(painted, contours, -1, (0, 0, 0), 3)
    cv2.drawContours(painted, contours, -1, (255, 255, 255), 1)
    return painted


def draw_strip(image: Image, prediction: Mask, target: Mask) -> Image:
    """Draw image, target, prediction and error map side by side, each at most 300 pixels high; resize masks nearest."""
    photo = fit(image, STRIP_HEIGHT, STRIP_WIDTH)
    shape = photo.shape[0], photo.shape[1]
    small_prediction, small_target = (resize_nearest(mask, shape) for mask in (prediction, target))
    panes = [
        photo,
        _draw_mask(small_target),
        _draw_mask(small_prediction),
        error_map(photo, small_prediction, small_target),
    ]
    gap = np.full((shape[0], _GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([part for pane in panes for part in (pane, gap)][:-1], axis=1)


def fit(image: Image, height: int, width: int) -> Image:
    """Scale an image down to fit; never enlarge it, and keep at least one pixel per side."""
    scale = min(1.0, height / image.shape[0], width / image.shape[1])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def encode_image(picture: Image) -> bytes:
    """Encode an image as WebP, or as JPEG if this Pillow has no WebP support."""
    buffer = io.BytesIO()
    if features.check("webp"):
        # method 4 takes more than twice as long for a file that is 5 % smaller
        Pillow.fromarray(picture).save(buffer, "WEBP", quality=75, method=2)
    else:
        Pillow.fromarray(picture).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def decode_image(encoded: bytes) -> Image:
    """Decode an image file written by `encode_image`."""
    with Pillow.open(io.BytesIO(encoded)) as opened:
        return np.asarray(opened.convert("RGB"))


def media_type(encoded: bytes) -> str:
    """Return `image/webp` or `image/jpeg`, based on the first bytes."""
    return "image/webp" if encoded.startswith(b"RIFF") else "image/jpeg"


def _tint(picture: Image, where: Mask, colour: tuple[int, int, int], opacity: float) -> None:
    """Mix a colour into the selected pixels of an image, in place."""
    if not where.any():
        return
    # use a lookup table, since every value maps to one other; selecting the pixels takes ten times as long
    becomes = np.arange(256)[:, None] * (1 - opacity) + np.array(colour) * opacity
    cv2.copyTo(cv2.LUT(picture, becomes.astype(np.uint8)[None]), where.view(np.uint8), picture)


def _draw_mask(mask: Mask) -> NDArray[np.uint8]:
    """Draw a mask as an image, white on dark grey, so that its frame is visible on a white page."""
    return np.where(mask[:, :, None], np.uint8(255), np.uint8(40)).repeat(3, axis=2)
