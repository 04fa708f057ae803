"""Validate models before the first call, and what `predict` returns after each call."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from segqa.errors import ModelError, ProposalsError
from segqa.inference.case_scores import require_scalable
from segqa.inference.proposal_cache import ProposalCache
from segqa.models.protocol import Proposals
from segqa.runs.run import Run
from segqa.support.plurals import format_count, select_form

_EXPECTED = "expected an object with a method predict(images, prompts)"


def require_model(model: object, name: str) -> None:
    """Refuse what cannot be asked, or says things of itself that cannot be kept.

    Args:
        model: what should be one.
        name: that it is evaluated under.

    Raises:
        ModelError: says what to write.
    """
    problem = (
        _find_problem(model)
        or _find_problem_of_predict(model)
        or _find_problem_of_fingerprint(getattr(model, "fingerprint", None))
        or _find_problem_of_size(getattr(model, "weights_bytes", None))
    )
    if problem:
        raise ModelError(f"model {name}: {problem}")


def _find_problem(model: object) -> str:
    if model is None:
        return "expected a model, got None: the function that builds it must end with `return model`"
    if isinstance(model, type):
        return f"{_EXPECTED}, got the class {model.__name__}; make one: {model.__name__}()"
    if not callable(getattr(model, "predict", None)):
        return f"{_EXPECTED}, got {type(model).__name__}"
    return ""


def _find_problem_of_predict(model: Any) -> str:
    """Return why `predict` does not take images and prompts; nothing of one that does not tell its arguments."""
    try:
        signature = inspect.signature(model.predict)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind([], [])
    except TypeError as error:
        return f"predict must take (images, prompts), got {signature}: {error}"
    return ""


def _find_problem_of_fingerprint(fingerprint: object) -> str:
    """Return why a fingerprint cannot be kept: what a path, a number or bytes would stand for is not certain."""
    if fingerprint is None or isinstance(fingerprint, str):
        return ""
    kind = type(fingerprint).__name__
    if callable(fingerprint):
        return f"fingerprint must be a text, got a {kind}; make it a property, or call it"
    return (
        f"fingerprint must be a text, got {fingerprint!r} of type {kind}; write "
        "segqa.fingerprint_of(model, PATH_OF_THE_WEIGHTS), or leave it away to keep nothing for later runs"
    )


def _find_problem_of_size(size: object) -> str:
    if size is None or isinstance(size, int):
        return ""
    return f"weights_bytes must be a whole number of bytes, got {size!r} of type {type(size).__name__}; write int(...)"


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


_LOOKED_AT = 1000


def note_on_sizes(run: Run, cache: ProposalCache) -> list[str]:
    """Return the note on masks that are not of their image's size; none where all are.

    Up to a thousand cases are looked at, evenly over the run.

    Args:
        run: with its outcomes.
        cache: has its proposals.
    """
    columns = run.columns
    if len(columns) > _LOOKED_AT:
        columns = columns.take(np.linspace(0, len(columns) - 1, _LOOKED_AT).astype(int))
    ids = {bytes.fromhex(key): case_id for case_id, key in zip(columns.ids, columns.keys, strict=True) if key}
    resized = {ids[key]: size for key, size in cache.sizes(ids).items() if size[0] != size[1]}
    if not resized:
        return []
    case_id = min(resized)
    mask, image = (f"{width} × {height}" for height, width in resized[case_id])
    part = "" if len(columns) == len(run.columns) else f" of {len(columns)} looked at"
    cases, verb = format_count(len(resized), "case"), select_form(len(resized), "is", "are")
    text = f"{cases}{part} {verb} scored by resized masks, such as {case_id}: {mask} for an image of {image}"
    return [f"{text}; return masks of the image's size to score what you would deliver"]
