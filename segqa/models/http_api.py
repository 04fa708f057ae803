"""Request and response formats of HTTP segmentation APIs: how an image is sent, and where masks and scores are found.

Places in a response are written as dotted paths, with `*` for each item of a list: `predictions.*.score`.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from segqa.data.mask import Image, Mask
from segqa.data.rle import decode_mask, decode_runs
from segqa.errors import ModelError
from segqa.models.protocol import Floats, Proposals, compute_box
from segqa.settings.checks import nearest

_CUTOFF = 127
_WHERE = "[tool.segqa.models.http]"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestForm:
    """The request format: the image as PNG, sent as the body or as a file of a multipart form.

    Attributes:
        path: appended to the URL.
        field: the name of the file in the form; empty if the image is the body.
        prompt: the name of the prompt, in the form if there is one, else in the query; empty if no prompt is sent.
        extra: further values to send in the form or the query.
    """

    path: str = ""
    field: str = ""
    prompt: str = ""
    extra: Mapping[str, str] = dataclasses.field(default_factory=lambda: MappingProxyType({}))

    def arguments(self, png: bytes, prompt: str) -> dict[str, Any]:
        """Return the keyword arguments of `httpx.Client.post`."""
        said = {**self.extra, **({self.prompt: prompt} if self.prompt else {})}
        if self.field:
            return {"files": {self.field: ("image.png", png, "image/png")}, "data": said}
        return {"content": png, "params": said, "headers": {"Content-Type": "image/png"}}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPlaces:
    """The response format: where the JSON holds masks, scores and boxes. An image as the response is the one mask.

    A mask is COCO's run lengths (`{"size": [H, W], "counts": …}`, compressed or not) or an image in base64.

    Attributes:
        masks: place of the masks.
        scores: place of the mask scores; empty if there are none.
        box_scores: place of the detection scores. If only one kind of score is given, it is used for both.
        boxes: place of the boxes x0, y0, x1, y1; empty to use the bounding boxes of the masks.
    """

    masks: str = ""
    scores: str = ""
    box_scores: str = ""
    boxes: str = ""

    def proposals(self, answer: object, image: Image) -> Proposals:
        """Return the proposals in the response for an image.

        Raises:
            ModelError: a value is missing or has the wrong type.
        """
        if not self.masks:
            raise ModelError(f'http: the answer is no picture; say where its masks are: {_WHERE} response.masks = "…"')
        try:
            masks = [_to_mask(found) for found in find_values(answer, self.masks)]
            if not masks:
                return Proposals.none((image.shape[0], image.shape[1]))
            scores, box_scores = self._read_scores(answer, len(masks))
            boxes = (
                [_to_box(box) for box in find_values(answer, self.boxes)]
                if self.boxes
                else [compute_box(mask) for mask in masks]
            )
            return Proposals(np.stack(masks), scores, box_scores, np.array(boxes))
        except (ValueError, TypeError) as error:  # mask sizes differ, more scores than masks, a string for a number
            raise ModelError(f"http: the answer cannot be read as proposals: {error}") from error

    def _read_scores(self, answer: object, count: int) -> tuple[Floats, Floats]:
        found = [_to_floats(find_values(answer, place)) if place else None for place in (self.scores, self.box_scores)]
        known = [each for each in found if each is not None] or [np.ones(count)]
        return known[0] if found[0] is None else found[0], known[-1] if found[1] is None else found[1]


SERVE_REQUEST = RequestForm(path="/predict", prompt="prompt", extra=MappingProxyType({"proposals": "true"}))
SERVE_ANSWER = AnswerPlaces(
    masks="predictions.*.proposals.*.mask",
    scores="predictions.*.proposals.*.mask_score",
    box_scores="predictions.*.proposals.*.box_score",
    boxes="predictions.*.proposals.*.box",
)
"""The response format of `segqa serve`."""


def parse_api(request: object, response: object) -> tuple[RequestForm, AnswerPlaces]:
    """Parse the two tables of the settings that describe an API.

    Raises:
        ModelError: a key is unknown or not a string, or the place of the masks is missing.
    """
    form = RequestForm(**_parse_string_table(request, "request", RequestForm))
    places = AnswerPlaces(**_parse_string_table(response, "response", AnswerPlaces))
    if (places.scores or places.box_scores or places.boxes) and not places.masks:
        raise ModelError(f'{_WHERE} response must say where the masks are: masks = "predictions.*.mask"')
    return form, places


def find_values(answer: object, place: str) -> list[Any]:
    """Return all values at a place of a response.

    Raises:
        ModelError: the place does not exist; the message tells how far it leads.

    >>> find_values({"found": [{"score": 0.5}, {"score": 0.25}]}, "found.*.score")
    [0.5, 0.25]
    """
    found: list[Any] = [answer]
    been = "the answer"
    for step in place.split("."):
        if step == "*":
            if not all(isinstance(each, list) for each in found):
                raise ModelError(f"http: expected a list at {been} for {place!r}, got {_describe_kind(found)}")
            found = [item for each in found for item in each]
        else:
            if not all(isinstance(each, dict) and step in each for each in found):
                raise ModelError(f"http: expected {step!r} at {been} for {place!r}, got {_describe_kind(found)}")
            found = [each[step] for each in found]
        been = f"{been}.{step}"
    return found


def decode_image(data: bytes) -> Mask:
    """Decode an image file to a mask: values above 127 are object.

    Raises:
        ModelError: the bytes are not an image.
    """
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if grey is None:
        raise ModelError("http: expected a mask as a picture, got something else")
    return np.asarray(grey > _CUTOFF)


def _to_mask(found: object) -> Mask:
    """Convert a mask in one of the supported encodings."""
    if isinstance(found, str):
        try:
            return decode_image(base64.b64decode(found.rpartition(",")[2], validate=True))
        except binascii.Error as error:
            raise ModelError(f"http: expected a mask as a picture in base64: {error}") from error
    if not isinstance(found, dict) or not {"size", "counts"} <= found.keys():
        raise ModelError(
            f"http: expected a mask as size and counts, or as a picture in base64, got {_describe_kind([found])}"
        )
    height, width = (int(side) for side in found["size"])
    counts = found["counts"]
    decode: Any = decode_mask if isinstance(counts, str) else decode_runs
    mask: Mask = decode(counts, (height, width))
    return mask


def _to_floats(values: list[Any]) -> Floats:
    """Convert to floats; null, an unknown score, becomes NaN."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _to_box(box: object) -> Floats:
    if not isinstance(box, list) or len(box) != 4:
        raise ModelError(f"http: expected a box of four numbers, got {box!r}")
    return _to_floats(box)


def _describe_kind(found: list[Any]) -> str:
    """Describe the values that came instead of the expected ones, in a few words."""
    odd = found[0] if found else None
    return f"the keys {', '.join(sorted(map(str, odd))[:10])}" if isinstance(odd, dict) else type(odd).__name__


def _parse_string_table(table: object, name: str, form: type) -> dict[str, Any]:
    """Parse a table of strings with known keys."""
    if not isinstance(table, Mapping):
        raise ModelError(f"{_WHERE} {name} must be a table, got {table!r}")
    known = [each.name for each in dataclasses.fields(form)]
    for key, value in table.items():
        if key not in known:
            raise ModelError(f"{_WHERE} {name} has an unknown key {key!r}; {nearest(key, known)}")
        texts = value.values() if key == "extra" and isinstance(value, Mapping) else [value]
        if not all(isinstance(text, str) for text in texts):
            raise ModelError(f"{_WHERE} {name} {key} must be a text, got {value!r}")
    return dict(table)
