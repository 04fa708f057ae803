"""An answer is what a request gets: the picked mask of each image, and all proposals if so asked.

Masks are COCO's run lengths (`segqa.rle`), numbers that are no finite ones are null.
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
    """A mask as COCO's tools read it.

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
        mask: where the object is.
        mask_score: how good the mask.
        box_score: how sure the detection.
        box: x0, y0, x1, y1 in pixels of the image.
    """

    mask: Rle
    mask_score: float | None
    box_score: float | None
    box: tuple[float | None, float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class PredictionResponse:
    """What the model says of one image.

    Attributes:
        mask: the picked one; empty where nothing is picked.
        picked: its index among the proposals; null where nothing is picked.
        mask_score: of what is picked.
        box_score: of what is picked.
        proposals: all of them, where they are asked for.
    """

    mask: Rle
    picked: int | None
    mask_score: float | None
    box_score: float | None
    proposals: tuple[ProposalResponse, ...] | None = None


@dataclass(frozen=True, slots=True)
class PredictResponse:
    """The JSON of an answer.

    Attributes:
        model: its name.
        fingerprint: changes whenever its answers could; null where it has none.
        predictions: one an image, in their order.
    """

    model: str
    fingerprint: str | None
    predictions: tuple[PredictionResponse, ...]

    def to_json(self) -> bytes:
        """As text; proposals that were not asked for are left out."""
        table = asdict(self)
        for prediction in table["predictions"]:
            if prediction["proposals"] is None:
                del prediction["proposals"]
        return json.dumps(table, allow_nan=False, separators=(",", ":")).encode()


def make_predictions(answers: Sequence[Proposals], pick: Picker, *, everything: bool) -> tuple[PredictionResponse, ...]:
    """What is said of each image, with all its proposals if so asked."""
    return tuple(_make_prediction(proposals, pick(proposals), everything=everything) for proposals in answers)


def render_png(proposals: Proposals, pick: Picker) -> bytes:
    """The picked mask as a PNG of one bit a pixel, white where the object is; black where nothing is picked."""
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
    """In full, so that a tie stays a tie."""
    return float(value) if math.isfinite(value) else None
