"""The model `http`: against a real `segqa serve`, and against small servers of other kinds."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.analysis.label_errors import find_label_errors
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.data.rle import encode_mask
from segqa.demo import open_studio
from segqa.demo.hog_grabcut import HogGrabCut
from segqa.errors import ModelError
from segqa.inference.evaluator import evaluate
from segqa.models.http_api import AnswerPlaces, find_values, parse_api
from segqa.models.protocol import Model, Proposals
from segqa.runs.run import Run
from segqa.support.environment import limit_threads
from tests.serving.conftest import Bright, start_server

IMAGE = np.zeros((6, 8, 3), np.uint8)
MASK = np.arange(8)[None].repeat(6, axis=0) >= 4
Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture(autouse=True)
def _needs_httpx() -> None:
    pytest.importorskip("httpx", reason="the model http needs segqa[http]")


@contextmanager
def replying(*replies: Reply) -> Iterator[tuple[str, list[tuple[str, Message, bytes]]]]:
    """A server that gives these answers one after the other, the last again and again; and what it was asked."""
    asked: list[tuple[str, Message, bytes]] = []
    waiting = list(replies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.path, self.headers, body))
            status, headers, content = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join(10)


def as_json(answer: object, status: int = 200, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(answer).encode()


def asked_once(url: str, **options: Any) -> Proposals:
    """What a model makes of one image."""
    from segqa.models.http import HttpModel

    with HttpModel(url=url, backoff=0.01, **options) as model:
        [proposals] = model.predict([IMAGE], ["person."])
    return proposals


def served_and_local(model: Model, cases: Dataset, tmp_path: Path) -> tuple[Run, Run]:
    """The run of a model behind HTTP, and that of the model itself."""
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    from segqa.models.http import HttpModel

    with start_server(model) as url, HttpModel(url=url) as asked:
        served = evaluate(asked, cases, name="http", directory=tmp_path / "served")
    return served, evaluate(model, cases, name="local", directory=tmp_path / "local")


def told(run: Run) -> list[tuple[object, ...]]:
    """All that an outcome says but for the time that it took."""
    return [(each.case_id, each.status, each.picked, each.counts, each.proposal_scores) for each in run.outcomes]


@pytest.mark.slow
def test_a_served_model_scores_as_the_model_itself_on_the_embedded_photos(tmp_path: Path) -> None:
    # with several threads OpenCV's detector notes boxes and margins at different times, so that they may be exchanged
    with limit_threads(1):
        served, local = served_and_local(HogGrabCut(), open_studio().limit(6), tmp_path)
    assert told(served) == told(local)
    assert len(served.scored) == 6
    assert served.provenance["fingerprint"] != local.provenance["fingerprint"]
    assert served.provenance["served"]["fingerprint"] == local.provenance["fingerprint"]
    assert not find_label_errors([served, local])


def test_a_served_detector_and_segmenter_score_as_they_do_themselves_on_photos(
    tmp_path: Path, ccp: Path, weights: Path
) -> None:
    from segqa.models.detect_segment import DetectSegment

    model = DetectSegment(
        detector=weights / "yolox_nano.onnx", segmenter=weights / "selfie_segmentation.tflite", box_cutoff=0.05
    )
    served, local = served_and_local(model, open_folder(ccp).limit(12), tmp_path)
    assert told(served) == told(local)
    assert max(len(each.proposal_scores) for each in served.outcomes) > 1


def test_no_proposal_and_an_unknown_score_come_back_as_such() -> None:
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")

    class Blind(Bright):
        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            return [Proposals.none(image.shape[:2]) for image in images]

    with start_server(Blind()) as blind, start_server(Bright()) as bright:
        assert asked_once(blind).masks.shape == (0, 6, 8)
        assert np.isnan(asked_once(bright).box_scores[1])


def test_the_fingerprint_is_that_of_what_is_served() -> None:
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    from segqa.models.http import HttpModel

    def fingerprint_of(served: str | None) -> str | None:
        model = Bright()
        model.fingerprint = served  # type: ignore[assignment] # as of a model without one
        with start_server(model) as url, HttpModel(url=url) as asked:
            return asked.fingerprint

    assert fingerprint_of("a") == fingerprint_of("a") != fingerprint_of("b")
    assert fingerprint_of(None) is None


def test_an_answer_by_another_model_than_at_the_start_is_an_error() -> None:
    card, answer = {"fingerprint": "a"}, {"fingerprint": "b", "predictions": []}
    with (
        replying(as_json(card), as_json(answer)) as (url, _),
        pytest.raises(ModelError, match="model a, and has b"),
    ):
        asked_once(url)


def test_another_api_is_described_by_a_table() -> None:
    mask = {"size": [6, 8], "counts": encode_mask(MASK)}
    answer = {"predictions": [{"rle": mask, "score": 0.75}, {"rle": mask, "score": None}]}
    request = {"path": "/v1/segment", "field": "file", "prompt": "text", "extra": {"level": "2"}}
    response = {"masks": "predictions.*.rle", "scores": "predictions.*.score"}
    with replying(as_json(answer)) as (url, asked):
        proposals = asked_once(url, request=request, response=response)
    assert np.array_equal(proposals.masks, np.stack([MASK, MASK]))
    # the one score that there is counts as both
    assert proposals.mask_scores.tolist()[0] == proposals.box_scores.tolist()[0] == 0.75
    assert np.isnan(proposals.mask_scores[1])
    assert proposals.boxes[0].tolist() == [4, 0, 8, 6]
    path, headers, body = asked[0]
    assert path == "/v1/segment"
    assert headers["Content-Type"].startswith("multipart/form-data")
    for part in (b'name="file"; filename="image.png"', b'name="text"\r\n\r\nperson.', b'name="level"\r\n\r\n2'):
        assert part in body


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param({"size": [6, 8], "counts": [24, 24]}, id="run lengths that are not compressed"),
        pytest.param("PNG", id="base64"),
        pytest.param("data:image/png;base64,PNG", id="data URL"),
    ],
)
def test_masks_are_understood_in_several_ways(mask: Any) -> None:
    if isinstance(mask, str):
        mask = mask.replace("PNG", base64.b64encode(picture()).decode())
    with replying(as_json([mask])) as (url, _):
        proposals = asked_once(url, response={"masks": "*"})
    assert np.array_equal(proposals.masks[0], MASK)
    assert proposals.mask_scores.tolist() == proposals.box_scores.tolist() == [1.0]


def test_an_answer_that_is_a_picture_is_the_mask() -> None:
    with replying((200, {"Content-Type": "image/png"}, picture())) as (url, asked):
        proposals = asked_once(url, request={"path": "/cut", "prompt": "q"})
    assert np.array_equal(proposals.masks[0], MASK)
    assert asked[0][0] == "/cut?q=person."


def test_the_image_arrives_without_loss() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (31, 17, 3), np.uint8)
    from segqa.models.http import HttpModel

    reply = (200, {"Content-Type": "image/png"}, picture())
    with replying(reply) as (url, asked), HttpModel(url=url, request={"path": "/"}) as model:
        model.predict([noise], [""])
    assert np.array_equal(np.array(Pillow.open(BytesIO(asked[0][2]))), noise)


def test_a_foreign_api_has_the_fingerprint_that_is_stated() -> None:
    from segqa.models.http import HttpModel

    def fingerprint_of(**options: Any) -> str | None:
        with HttpModel(url="http://127.0.0.1:9", response={"masks": "masks"}, **options) as model:
            return model.fingerprint

    assert fingerprint_of() is None
    assert fingerprint_of(fingerprint="v1") == fingerprint_of(fingerprint="v1") != fingerprint_of(fingerprint="v2")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(status: int) -> None:
    answer = as_json([{"size": [6, 8], "counts": [24, 24]}])
    busy = [as_json({}, status, **{"Retry-After": "0"}), as_json({}, status), as_json({}, status)]
    with replying(*busy, answer) as (url, asked):
        assert len(asked_once(url, response={"masks": "*"})) == 1
    assert len(asked) == 4


def test_a_server_that_stays_busy_is_given_up_and_quoted() -> None:
    refused = as_json({"expected": "room", "got": "a crowd", "do": "wait"}, 503)
    with replying(refused) as (url, asked), pytest.raises(ModelError, match="expected room, got a crowd; wait"):
        asked_once(url, retries=2, response={"masks": "*"})
    assert len(asked) == 3


def test_a_server_that_wants_one_to_wait_for_an_hour_is_given_up_at_once() -> None:
    with replying(as_json({}, 503, **{"Retry-After": "3600"})) as (url, asked), pytest.raises(ModelError, match="busy"):
        asked_once(url, response={"masks": "*"})
    assert len(asked) == 1


def test_a_server_that_is_not_there_is_asked_again_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ModelError, match=rf"http://127.0.0.1:{port}/model cannot be reached: .*; asked 3 times"):
        asked_once(f"http://127.0.0.1:{port}", retries=2)


def test_a_server_that_takes_too_long_is_not_asked_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ModelError, match=r"no answer within 0\.2 s; raise timeout"):
            asked_once(url, timeout=0.2)


def test_a_refusal_is_not_asked_about_again() -> None:
    refused = as_json({"expected": "less", "got": "more", "do": "scale it down"}, 413)
    with replying(refused) as (url, asked), pytest.raises(ModelError, match="413: expected less, got more"):
        asked_once(url, response={"masks": "*"})
    assert len(asked) == 1


def test_the_token_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    monkeypatch.setenv("SEGQA_TOKEN", "sesame")
    with start_server(Bright(), token="sesame") as url:  # noqa: S106 - no secret
        assert len(asked_once(url, token_env="SEGQA_TOKEN")) == 2  # noqa: S106 - the name of a variable
        with pytest.raises(ModelError, match="401: expected the head Authorization"):
            asked_once(url)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: asked_once(""), "url = "),
        (lambda: asked_once("http://127.0.0.1:9", token_env="NOT_SET"), r"a token in \$NOT_SET"),  # noqa: S106
        (lambda: parse_api({"file": "x"}, {}), "did you mean 'field'"),
        (lambda: parse_api({"field": 3}, {}), "request field must be a text"),
        (lambda: parse_api([], {}), "request must be a table"),
        (lambda: parse_api({}, {"scores": "x"}), "must say where the masks are"),
        (lambda: AnswerPlaces().proposals({}, IMAGE), r"response.masks = "),
        (lambda: find_values({"a": 1}, "b"), "expected 'b' at the answer for 'b', got the keys a"),
        (lambda: find_values({"a": {}}, "a.*"), r"expected a list at the answer.a for 'a\.\*', got the keys"),
    ],
)
def test_settings_and_answers_that_do_not_fit_are_explained(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        make()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([{"size": [6, 8], "counts": [24]}], "do not fill a mask"),
        ([{"size": [6], "counts": [24]}], "cannot be read as proposals"),
        ([{"size": [6, 8], "counts": [48]}, {"size": [1, 2], "counts": [2]}], "same shape"),
        ([{"size": [6, 8], "counts": ["x"]}], "cannot be read as proposals"),
        ([7], "got int"),
        (["!"], "base64"),
        ([""], "expected a mask as a picture"),
    ],
)
def test_masks_that_are_none_are_an_error_of_the_case(answer: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        AnswerPlaces(masks="*").proposals(answer, IMAGE)


def test_what_is_no_json_is_quoted() -> None:
    with replying((200, {}, b"<html>hello")) as (url, _), pytest.raises(ModelError, match="no JSON but '<html>hello'"):
        asked_once(url)


def picture() -> bytes:
    written = BytesIO()
    Pillow.fromarray(MASK).save(written, "PNG")
    return written.getvalue()
