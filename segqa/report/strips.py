"""A strip shows a case side by side: image, target, prediction, error map."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segqa.case import Case
from segqa.datasets.dataset import Dataset
from segqa.errors import CaseError
from segqa.evaluation.cache import ProposalCache
from segqa.evaluation.loop import prediction_of
from segqa.mask import Image, Mask, resize_nearest
from segqa.outcome import Outcome
from segqa.run import Run
from segqa.store import Store

PANE_HEIGHT = 300
MAX_PANE_WIDTH = 400
_GAP = 6

# Distinguishable for every type of colour vision, also where the photo has the tint's own colour: see the hatching.
FALSE_POSITIVE = (213, 94, 0)
FALSE_NEGATIVE = (0, 114, 178)
_VEIL = (255, 255, 255)
_HATCH_EVERY, _HATCH_WIDTH = 7, 2


def error_map(image: Image, prediction: Mask, target: Mask) -> Image:
    """What is wrong, drawn on the photo: all three of one size `[H, W]`.

    False positives are vermilion with dark stripes rising to the right, false negatives blue with light stripes
    falling, true positives under a light veil; the target's contour is white inside black.
    """
    painted = image.copy()
    rows, columns = np.indices(target.shape)
    rising = (rows + columns) % _HATCH_EVERY < _HATCH_WIDTH
    falling = (rows - columns) % _HATCH_EVERY < _HATCH_WIDTH
    wrong, lost = prediction & ~target, target & ~prediction
    _tint(painted, prediction & target, _VEIL, 0.25)
    _tint(painted, wrong, FALSE_POSITIVE, 0.55)
    _tint(painted, wrong & rising, (30, 10, 0), 0.7)
    _tint(painted, lost, FALSE_NEGATIVE, 0.55)
    _tint(painted, lost & falling, (235, 245, 255), 0.7)
    contours, _ = cv2.findContours(target.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(painted, contours, -1, (0, 0, 0), 3)
    cv2.drawContours(painted, contours, -1, (255, 255, 255), 1)
    return painted


def draw_strip(image: Image, prediction: Mask, target: Mask) -> Image:
    """The four panes side by side, each at most 300 pixels high; masks resized nearest."""
    size = _pane_size(image)
    photo = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    small_prediction, small_target = (resize_nearest(mask, (size[1], size[0])) for mask in (prediction, target))
    panes = [
        photo,
        _as_picture(small_target),
        _as_picture(small_prediction),
        error_map(photo, small_prediction, small_target),
    ]
    gap = np.full((size[1], _GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([part for pane in panes for part in (pane, gap)][:-1], axis=1)


def write_strips(run: Run, outcomes: Iterable[Outcome], dataset: Dataset, store: Store) -> None:
    """Draw strips of these outcomes beside the run's files; a case whose pixels cannot be had has none."""
    folder = store.run_folder(run.id) / "strips"
    folder.mkdir(exist_ok=True)
    cases = {case.id: case for case in dataset}
    with ProposalCache(store.proposals_path(run.id)) as cache:
        for outcome in outcomes:
            picture = _strip_of(outcome, cases, cache)
            if picture is not None:
                _strip_path(folder, outcome).write_bytes(_encoded(picture))


def read_strip(run: Run, outcome: Outcome, store: Store) -> bytes | None:
    """The strip of an outcome as a WebP file's bytes; None where there is none."""
    path = _strip_path(store.run_folder(run.id) / "strips", outcome)
    return path.read_bytes() if path.is_file() else None


def _strip_of(outcome: Outcome, cases: Mapping[str, Case], cache: ProposalCache) -> Image | None:
    answer = cache.get(bytes.fromhex(outcome.proposals_key)) if outcome.proposals_key else None
    if answer is None:
        return None
    case = cases[outcome.case_id]
    try:
        image, target = case.image(), case.target()
    except CaseError:
        return None
    shape = target.shape[0], target.shape[1]
    return draw_strip(image, prediction_of(answer.proposals, outcome.picked, shape), target)


def _strip_path(folder: Path, outcome: Outcome) -> Path:
    """Named by a digest: a case's id may hold what a file's name cannot."""
    return folder / f"{hashlib.sha256(outcome.case_id.encode()).hexdigest()[:32]}.webp"


def _pane_size(image: Image) -> tuple[int, int]:
    """The width and height of a pane: never larger than the image, never less than a pixel."""
    height, width = image.shape[:2]
    scale = min(1.0, PANE_HEIGHT / height, MAX_PANE_WIDTH / width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _tint(picture: Image, where: Mask, colour: tuple[int, int, int], opacity: float) -> None:
    """Mix a colour into some pixels of a picture, in place."""
    picture[where] = (picture[where] * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)


def _as_picture(mask: Mask) -> NDArray[np.uint8]:
    """A mask as a picture: white on dark grey, so that its frame shows on a white page."""
    return np.where(mask[:, :, None], np.uint8(255), np.uint8(40)).repeat(3, axis=2)


def _encoded(picture: Image) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(picture).save(buffer, "WEBP", quality=75, method=4)
    return buffer.getvalue()
