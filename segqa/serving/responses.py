"""Build the responses of `/predict`: the picked mask of each image and, on request, all proposals.

Masks are COCO run lengths (`segqa.data.rle`). Numbers that are not finite become null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO

import numpy as np
from PIL import Image as Pillow

from segqa.data.mask import Mask
from segqa.data.rle import encode_mask
from segqa.models.pickers import Picker
from segqa.models.protocol import Proposals


@dataclass(frozen=True, slots=True)
class Rle:
    """A mask in the run-length format of COCO.

    Attributes:
        size: height and width.
        counts: run lengths, compressed.
    """

    size: tuple[int, int]
    counts: str


@dataclass(frozen=True, slots=True)
class ProposalResponse:
    """One proposal.

    Attributes:
        mask: the mask.
        mask_score: score of the mask.
        box_score: score of the detection.
        box: x0, y0, x1, y1 in pixels of the image.
    """

    mask: Rle
    mask_score: float | None
    box_score: float | None
    box: tuple[float | None, float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class PredictionResponse:
    """The prediction for one image.

    Attributes:
        mask: the picked mask; empty if nothing is picked.
        picked: index of the picked proposal; null if nothing is picked.
        mask_score: mask score of the picked proposal.
        box_score: box score of the picked proposal.
        proposals: all proposals, if requested.
    """

    mask: Rle
    picked: int | None
    mask_score: float | None
    box_score: float | None
    proposals: tuple[ProposalResponse, ...] | None = None


@dataclass(frozen=True, slots=True)
class PredictResponse:
    """The JSON of a response.

    Attributes:
        model: name of the model.
        fingerprint: changes whenever the answers of the model could change; null without one.
        predictions: one prediction per image, in their order.
    """

    model: str
    fingerprint: str | None
    predictions: tuple[PredictionResponse, ...]

    def to_json(self) -> bytes:
        """Return the JSON; leave out proposals that were not requested."""
        table = asdict(self)
        for prediction in table["predictions"]:
            if prediction["proposals"] is None:
                del prediction["proposals"]
        return json.dumps(table, allow_nan=False, separators=(",", ":")).encode()


def make_predictions(answers: Sequence[Proposals], pick: Picker, *, everything: bool) -> tuple[PredictionResponse, ...]:
    """Return the prediction for each image, with all its proposals if `everything`."""
    return tuple(_make_prediction(proposals, pick(proposals), everything=everything) for proposals in answers)


def render_png(proposals: Proposals, pick: Picker) -> bytes:
    """Render the picked mask as a 1-bit PNG, white for the object; black if nothing is picked."""
    written = BytesIO()
    Pillow.fromarray(_select_mask(proposals, pick(proposals))).save(written, "PNG")
    return written.getvalue()


def _make_prediction(proposals: Proposals, picked: int | None, *, everything: bool) -> PredictionResponse:
    return PredictionResponse(
        mask=_to_rle(_select_mask(proposals, picked)),
        picked=picked,
        mask_score=None if picked is None else _to_number(proposals.mask_scores[picked]),
        box_score=None if picked is None else _to_number(proposals.box_scores[picked]),
        proposals=_list_proposals(proposals) if everything else None,
    )


def _list_proposals(proposals: Proposals) -> tuple[ProposalResponse, ...]:
    found = []
    for index, mask in enumerate(proposals.masks):
        x0, y0, x1, y1 = map(_to_number, proposals.boxes[index])
        scores = _to_number(proposals.mask_scores[index]), _to_number(proposals.box_scores[index])
        found.append(ProposalResponse(_to_rle(mask), *scores, (x0, y0, x1, y1)))
    return tuple(found)


def _select_mask(proposals: Proposals, picked: int | None) -> Mask:
    if picked is None:
        return np.zeros(proposals.masks.shape[1:], np.bool_)
    return np.asarray(proposals.masks[picked], np.bool_)


def _to_rle(mask: Mask) -> Rle:
    return Rle((mask.shape[0], mask.shape[1]), encode_mask(mask))


def _to_number(value: float) -> float | None:
    """Convert without rounding, so that ties stay ties; return None for values that are not finite."""
    return float(value) if math.isfinite(value) else None
