import gc
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from urllib.parse import urlparse

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.data.mask import Image
from segqa.errors import SettingsError
from segqa.models.protocol import Proposals
from segqa.serving.limits import Limits
from tests.serving.conftest import Blocked, Bright, Serve, make_png


def iter_chunks(size: int) -> Iterator[bytes]:
    """Yield a body in chunks, without a stated length."""
    yield from (bytes(10_000) for _ in range(size // 10_000))


def connect(url: str, sent: bytes) -> socket.socket:
    """Open a connection and send these bytes."""
    where = urlparse(url)
    connection = socket.create_connection((where.hostname or "", where.port or 0), timeout=60)
    connection.sendall(sent)
    return connection


@pytest.mark.parametrize("counted", [True, False], ids=["its length stated", "in chunks"])
@pytest.mark.parametrize("size", [30_000, 1_000_000])
def test_a_large_body_is_refused_while_it_comes(serve: Serve, counted: bool, size: int) -> None:
    import httpx

    body = bytes(size) if counted else iter_chunks(size)
    answer = httpx.post(f"{serve(Bright(), body_bytes=20_000)}/predict", content=body)
    assert answer.status_code == 413
    assert answer.json()["expected"] == "a body of at most 20000 bytes"


def test_pixels_are_counted_by_the_headers_of_all_images(serve: Serve) -> None:
    import httpx

    model = Bright()
    url = serve(model, pixels=100)
    answers = [httpx.post(f"{url}/predict", files=[("image", make_png())] * count) for count in (2, 3)]
    assert [each.status_code for each in answers] == [200, 413]
    assert answers[1].json()["got"] == "144 pixels"
    assert len(model.calls) == 2


def test_a_decompression_bomb_is_refused_by_its_header(serve: Serve) -> None:
    import httpx

    written = BytesIO()
    Pillow.new("1", (20_000, 20_000)).save(written, "PNG")
    answer = httpx.post(f"{serve(Bright())}/predict", content=written.getvalue())
    assert answer.status_code == 413
    assert "image 1 claims more than" in answer.json()["got"]


def test_more_images_than_allowed_are_refused(serve: Serve) -> None:
    import httpx

    answer = httpx.post(f"{serve(Bright(), images=2)}/predict", files=[("image", make_png())] * 3)
    assert answer.status_code == 400
    assert "Maximum number of files is 2" in answer.json()["got"]


def test_who_finds_the_queue_full_is_told_when_to_come_again(serve: Serve) -> None:
    import httpx

    model = Blocked()
    url = serve(model, queue=2)
    # three have a place at the model, two wait
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(httpx.post, f"{url}/predict", content=make_png()) for _ in range(5)]
        wait_for(url, "segqa_queue_length 2.0")
        refused = httpx.post(f"{url}/predict", content=make_png())
        model.may_answer.set()
        assert [each.result().status_code for each in asked] == [200] * 5
    assert (refused.status_code, refused.json()["got"]) == (503, "2 requests that wait already")
    assert int(refused.headers["Retry-After"]) >= 1
    assert httpx.post(f"{url}/predict", content=make_png()).status_code == 200


def test_a_body_that_takes_too_long_is_given_up(serve: Serve) -> None:
    url = serve(Bright(), body_seconds=0.5)
    with connect(url, b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc") as connection:
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")


def test_slow_bodies_do_not_keep_a_good_request_out(serve: Serve) -> None:
    import httpx

    url = serve(Bright())
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc"
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(url, head)) for _ in range(40)]
        # the first eight are told why, and hung up on
        told = [b"".join(iter(partial(read_some, connection), b"")) for connection in slow[:8]]
        answers = [httpx.post(f"{url}/predict", content=make_png()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert all(each.startswith(b"HTTP/1.1 408") and b"3 bytes in" in each for each in told)


def test_a_body_that_comes_fast_enough_keeps_its_slot(serve: Serve) -> None:
    import httpx

    url = serve(Bright(), queue=1, body_rate=1)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n" + bytes(90)
    with connect(url, head) as first, connect(url, head) as second:
        time.sleep(0.3)
        refused = httpx.post(f"{url}/predict", content=make_png())
        for connection in (first, second):
            connection.sendall(bytes(10))
        answers = [connection.recv(4096) for connection in (first, second)]
    assert (refused.status_code, refused.json()["got"]) == (503, "2 bodies on their way already")
    assert all(answer.startswith(b"HTTP/1.1 422") for answer in answers)


def test_who_does_not_read_an_answer_is_hung_up_on(serve: Serve) -> None:
    url = serve(Bright(), body_seconds=0.3)
    # larger than what the buffers of the network hold
    stripes = np.zeros((2400, 2400), np.uint8)
    stripes[::2] = 255
    body = cv2.imencode(".png", stripes)[1].tobytes()
    head = f"POST /predict?proposals=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with connect(url, head + body) as connection:
        assert connection.recv(1) == b"H"
        time.sleep(1)
        received = sum(map(len, iter(partial(read_some, connection), b"")))
    assert received < 16_000_000


def read_some(connection: socket.socket) -> bytes:
    """Return the next bytes; empty if the other side has closed the connection."""
    try:
        return connection.recv(1 << 16)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("sent", [b"", b"POST /predict HTTP/1.1\r\nHo"])
def test_who_does_not_get_to_the_end_of_a_head_is_hung_up_on(serve: Serve, sent: bytes) -> None:
    url = serve(Bright(), header_seconds=0.3)
    with connect(url, sent) as connection:
        assert connection.recv(4096) == b""


def test_a_connection_that_is_kept_is_hung_up_on_in_a_head_too(serve: Serve) -> None:
    url = serve(Bright(), header_seconds=0.3)
    with connect(url, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        answer = b""
        while b'"ok"' not in answer:
            answer += connection.recv(4096)
        connection.sendall(b"GET /hea")
        assert connection.recv(4096) == b""


def test_a_model_that_takes_too_long_is_not_waited_for(serve: Serve) -> None:
    import httpx

    model = Blocked()
    url = serve(model, predict_seconds=0.5)
    late = httpx.post(f"{url}/predict", content=make_png())
    time.sleep(0.1)
    health, refused = httpx.get(f"{url}/health"), httpx.post(f"{url}/predict", content=make_png())
    model.may_answer.set()
    assert (late.status_code, health.status_code, refused.status_code) == (504, 503, 503)
    assert health.json() == {"status": "stuck"}
    assert refused.json()["got"] == "a model that does not answer"
    wait_for(url, "segqa_in_flight 0.0")
    assert httpx.post(f"{url}/predict", content=make_png()).status_code == 200


def test_what_nobody_waits_for_any_more_is_not_asked(serve: Serve) -> None:
    import httpx

    model = Blocked()
    url = serve(model)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(httpx.post, f"{url}/predict?prompt=first", content=make_png())
        assert model.asked.wait(10)
        length = f"Content-Length: {len(make_png())}\r\n\r\n".encode()
        with connect(url, b"POST /predict?prompt=gone HTTP/1.1\r\nHost: localhost\r\n" + length + make_png()):
            wait_for(url, "segqa_in_flight 2.0")
        wait_for(url, "segqa_in_flight 1.0")
        model.may_answer.set()
        assert first.result().status_code == 200
    assert httpx.post(f"{url}/predict?prompt=last", content=make_png()).status_code == 200
    assert [prompt for _, prompt in model.calls] == ["first", "last"]


def test_what_has_been_taken_on_is_answered_when_the_server_stops() -> None:
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    httpx = pytest.importorskip("httpx", reason="asking a server needs segqa[http]")
    from tests.serving.conftest import start_server

    model = Blocked()
    with ThreadPoolExecutor(1) as pool:
        with start_server(model) as url:
            answer = pool.submit(httpx.post, f"{url}/predict", content=make_png())
            assert model.asked.wait(10)
            threading.Timer(0.5, model.may_answer.set).start()
        assert answer.result().status_code == 200


@pytest.mark.parametrize("limits", [{"queue": 0}, {"body_seconds": float("nan")}, {"pixels": 90_000_000}])
def test_limits_that_limit_nothing_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(limits))):
        Limits(**limits)


def wait_for(url: str, line: str) -> None:
    """Wait until the metrics of the server contain a line."""
    import httpx

    for _ in range(200):
        if line in httpx.get(f"{url}/metrics").text:
            return
        time.sleep(0.05)
    raise AssertionError(httpx.get(f"{url}/metrics").text)


@pytest.mark.parametrize(("prompt", "status"), [("person.", 200), ("fail", 500)])
def test_images_leave_memory_with_their_answer_and_not_when_garbage_is_collected(
    serve: Serve, prompt: str, status: int
) -> None:
    import httpx

    images: list[weakref.ref[Image]] = []

    class Watched(Bright):
        def predict(self, images_: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            images.extend(weakref.ref(image) for image in images_)
            if prompts[0] == "fail":
                raise RuntimeError("on purpose")
            return super().predict(images_, prompts)

    url = serve(Watched())
    gc.collect()
    gc.disable()
    try:
        answers = [httpx.post(f"{url}/predict", params={"prompt": prompt}, content=make_png()) for _ in range(5)]
        alive = [image() is not None for image in images]
    finally:
        gc.enable()
    assert {answer.status_code for answer in answers} == {status}
    # the thread that asks the model has the last one until there is another
    assert alive[:-1] == [False] * 4
