"""Check what `predict` returned: proposals, one an image, or a sentence that says what to write in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from segqa.errors import ProposalsError
from segqa.evaluation.tally import require_scalable
from segqa.models.protocol import Proposals

_RETURN = "predict must return a list with one segqa.Proposals an image"
_NOTHING = "segqa.Proposals.none(image.shape[:2])"


def check_answers(answers: object, shapes: Sequence[tuple[int, int]]) -> list[Proposals]:
    """Return the answers in memory of their own, so that the next call cannot overwrite them.

    Args:
        answers: what `predict` returned.
        shapes: `(height, width)` of the images.

    Raises:
        ProposalsError: they are no proposals, not as many as images, or of other sizes than these; or the masks of two
            images share memory, so that one has overwritten the other.
    """
    if not isinstance(answers, Sequence) or isinstance(answers, str | bytes):
        raise ProposalsError(f"{_RETURN}, got {_describe(answers)}; {_mend_list(answers)}")
    found = [_require_proposals(answer, answers) for answer in answers]
    if len(found) != len(shapes):
        raise ProposalsError(f"{_RETURN}: expected {len(shapes)}, got {len(found)}; for no mask: {_NOTHING}")
    for proposals, shape in zip(found, shapes, strict=True):
        if len(proposals):
            require_scalable(proposals.masks.shape[1:], shape)
    for one, other in combinations(found, 2):
        if np.may_share_memory(one.masks, other.masks) and np.shares_memory(one.masks, other.masks):
            raise ProposalsError("masks of two images share memory, so one overwrites the other; return mask.copy()")
    return [proposals.copy() for proposals in found]


def _require_proposals(answer: object, answers: Sequence[object]) -> Proposals:
    if isinstance(answer, Proposals):
        return answer
    if isinstance(answers, tuple) and not any(isinstance(each, Proposals) for each in answers):
        raise ProposalsError(f"{_RETURN}, got {_describe(answers)}; {_mend(answers)}")
    raise ProposalsError(f"{_RETURN}, got a list with {_describe(answer)}; {_mend(answer)}")


def _mend_list(answers: object) -> str:
    """Say what to write where `predict` returned something that is no list."""
    if answers is None:
        return "end predict with a return"
    if isinstance(answers, Proposals):
        return "return [proposals]"
    if hasattr(answers, "__next__") or isinstance(answers, map):
        return "return list(...)"
    if _shape(answers):
        return "return [segqa.Proposals.single(mask) for mask in masks], of probabilities single(mask > 0.5)"
    return _mend(answers)


def _mend(answer: object) -> str:
    """Say what to write in place of one answer, by the forms that other libraries have."""
    if answer is None:
        return f"where nothing is found, return {_NOTHING}"
    for recognise, text in _FORMS:
        if recognise(answer):
            return text
    if isinstance(answer, Sequence) and not isinstance(answer, str) and len(answer) and _keys(answer[0]):
        return _mend(answer[0])
    return "for one mask: segqa.Proposals.single(mask); for several: " + _several("masks", "scores", "boxes")


def _several(masks: str, scores: str, boxes: str) -> str:
    return f"segqa.Proposals({masks}, {scores}, {scores}, {boxes}) with boxes as x0, y0, x1, y1"


def _has(*names: str) -> Any:
    """Recognise a mapping with these keys."""
    return lambda answer: _keys(answer).issuperset(names)


def _is_array(axes: int) -> Any:
    return lambda answer: len(_shape(answer)) == axes


def _begins_with(axes: int) -> Any:
    """Recognise a tuple of masks with so many axes, and of scores or the like."""
    return lambda answer: (
        isinstance(answer, tuple) and [len(_shape(each)) == axes for each in answer[:2]] == [True, False]
    )


_OF_SAM = (
    "of the dictionaries of SAM's mask generator: segqa.Proposals([each['segmentation'] for each in found], "
    "[each['predicted_iou'] for each in found], [each['stability_score'] for each in found], "
    "[(x, y, x + w, y + h) for x, y, w, h in (each['bbox'] for each in found)])"
)

_FORMS: tuple[tuple[Any, str], ...] = (
    (lambda answer: _has("segmentation", "predicted_iou")(answer[0] if _is_filled_list(answer) else answer), _OF_SAM),
    (_has("masks", "scores", "boxes"), _several("found['masks'] > 0.5", "found['scores']", "found['boxes']")),
    (_has("masks", "scores"), _several("found['masks'] > 0", "found['scores']", "boxes")),
    (
        _has("segmentation", "segments_info"),
        "of a map of segments: masks = [found['segmentation'] == each['id'] for each in found['segments_info']], then "
        + _several("masks", "scores", "boxes"),
    ),
    (
        lambda answer: all(hasattr(answer, name) for name in ("xyxy", "mask", "confidence")),
        "of detections: segqa.Proposals(found.mask, found.confidence, found.confidence, found.xyxy)",
    ),
    (_begins_with(2), "of one mask and its score: segqa.Proposals.single(mask, score)"),
    (_begins_with(3), "of masks and their scores: " + _several("masks", "scores", "boxes")),
    (_is_array(2), "return segqa.Proposals.single(mask), of probabilities single(mask > 0.5)"),
    (_is_array(3), "of masks [N, height, width]: " + _several("masks", "scores", "boxes")),
)
"""Forms in which other libraries answer, and what makes proposals of them."""


def _is_filled_list(answer: object) -> bool:
    return isinstance(answer, list | tuple) and len(answer) > 0


def _keys(answer: object) -> set[object]:
    """Return the keys of a dictionary; of transformers' and torch's, too."""
    return set(answer.keys()) if isinstance(answer, Mapping) else set()


def _shape(answer: object) -> tuple[int, ...]:
    """Return the shape of an array or a tensor; empty for what has none."""
    shape = getattr(answer, "shape", ())
    return tuple(shape) if isinstance(shape, Sequence) else ()


def _describe(answer: object) -> str:
    """Say what came, in a few words."""
    shape, kind = _shape(answer), type(answer).__name__
    if answer is None:
        return "None"
    if shape:
        return f"{kind} of shape {shape} and type {getattr(answer, 'dtype', '?')}"
    if _keys(answer):
        return f"{kind} with {', '.join(sorted(map(str, _keys(answer)))[:6])}"
    if _is_filled_list(answer):
        return f"{kind} of {type(answer[0]).__name__}"  # type: ignore[index] # it is filled
    return kind
