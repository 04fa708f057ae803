"""Run a real server on a free port, in a thread of this process, with a model of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.data.mask import Image
from segqa.models.protocol import Proposals

Serve = Callable[..., str]


class Bright:
    """Proposes the bright and the brightest pixels; records its calls."""

    fingerprint = "bright-1"

    def __init__(self) -> None:
        self.calls: list[tuple[int, str]] = []

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        self.calls.append((len(images), prompts[0]))
        return [_make_proposals(image) for image in images]


class Blocked(Bright):
    """Waits for `may_answer`, and sets `asked` when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may_answer = threading.Event(), threading.Event()

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        self.asked.set()
        self.may_answer.wait(20)
        return super().predict(images, prompts)


class Broken(Bright):
    """Fails if the first pixel of an image is bright."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        if any(image[0, 0, 0] > 100 for image in images):
            raise RuntimeError("secret in /srv/weights")
        return super().predict(images, prompts)


def _make_proposals(image: Image) -> Proposals:
    grey = image[:, :, 0]
    masks = np.stack([grey > 100, grey > 220])
    return Proposals(masks, np.array([0.5, 0.9]), np.array([1 / 3, np.nan]), np.array([[0, 0, 8, 6], [0, 0, 4, 3.0]]))


def make_png(value: int = 0, shape: tuple[int, int] = (6, 8), **options: Any) -> bytes:
    """Return a PNG of one grey value whose right half is 200."""
    pixels = np.full((*shape, 3), value, np.uint8)
    pixels[:, shape[1] // 2 :] = 200
    written = BytesIO()
    Pillow.fromarray(pixels).save(written, "PNG", **options)
    return written.getvalue()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves a model until the test ends and returns the URL."""
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    pytest.importorskip("httpx", reason="asking a server needs segqa[http]")
    with ExitStack() as stack:
        yield lambda model, **how: stack.enter_context(start_server(model, **how))


@contextmanager
def start_server(
    model: Any, *, token: str = "", hosts: Collection[str] = (), batch_size: int = 1, **limits: Any
) -> Iterator[str]:
    """Serve a model while the block runs; yield the URL."""
    from segqa.serving.limits import Limits
    from segqa.serving.model_info import describe_model
    from segqa.serving.queue import ModelThread
    from segqa.serving.server import bind, make_server, run_server

    bounds = Limits(**limits)
    model_info = describe_model("bright", model, pick="product", prompt="person.", batch_size=batch_size, limits=bounds)
    ready = threading.Event()
    with bind("127.0.0.1", 0) as sock, ModelThread(model, batch_size).run() as asked:
        server = make_server(model_info, asked, token=token, hosts=hosts, ready=ready.set)
        thread = threading.Thread(target=run_server, args=(sock, server))
        thread.start()
        try:
            assert ready.wait(10)
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
