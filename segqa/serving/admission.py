"""Admission control: limit the requests that wait and that are at the model, and reject the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypeVar

from segqa.data.image_io import decode_image
from segqa.data.mask import Image
from segqa.errors import CaseError, ProposalsError
from segqa.models.protocol import Proposals
from segqa.serving.body_slots import BodySlot, BodySlots
from segqa.serving.errors import RequestError
from segqa.serving.limits import Limits, format_image_name, make_busy_error, make_image_error, require_images
from segqa.serving.queue import ModelThread

Rendered = TypeVar("Rendered")


class Admission:
    """Take a request through its stages: receive, wait, decode, predict and render.

    Waiting images stay encoded. Only as many requests are decoded as keep the model busy.

    Args:
        thread: calls the model.
        limits: the limits of the server.
    """

    def __init__(self, thread: ModelThread, limits: Limits) -> None:
        self.waiting = 0
        self.in_flight = 0
        self._thread = thread
        self._limits = limits
        self._slots = BodySlots(limits)
        # one call at the model, the next one decoded, and one request whose answer is being rendered
        self._places = asyncio.Semaphore(2 * thread.batch_size + 1)

    @property
    def is_stuck(self) -> bool:
        """Whether the current call of the model takes longer than clients wait."""
        return self._thread.call_seconds > self._limits.predict_seconds

    @asynccontextmanager
    async def receive_body(self) -> AsyncIterator[BodySlot]:
        """Hold a slot while the body of a request is received.

        Raises:
            RequestError: no slot is free, or the body arrives too slowly.
        """
        self._require_room()
        async with self._slots.receive() as slot:
            yield slot

    async def ask(self, files: list[bytes], prompt: str, render: Callable[[list[Proposals]], Rendered]) -> Rendered:
        """Predict, and render the proposals in another thread.

        Raises:
            RequestError: a file is not an image or is too large, too many requests wait, or the model fails or takes
                too long.
        """
        self._require_room()
        try:
            async with asyncio.timeout(self._limits.predict_seconds):
                await asyncio.to_thread(require_images, files, self._limits)
                async with self._hold_place():
                    images = await asyncio.to_thread(_decode, files)
                    proposals = await asyncio.wrap_future(self._thread.submit(images, prompt))
                    return await asyncio.to_thread(render, proposals)
        except TimeoutError as error:
            raise RequestError(
                HTTPStatus.GATEWAY_TIMEOUT,
                expected=f"an answer within {self._limits.predict_seconds:g} s",
                got="none yet",
                do="ask again later, or with a smaller image",
            ) from error
        except ProposalsError as error:
            raise RequestError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                expected="an answer of the model",
                got="an error in the model",
                do="look into the log of the server, or try another image",
            ) from error

    @asynccontextmanager
    async def _hold_place(self) -> AsyncIterator[None]:
        """Hold a place for decoded images; first come, first served."""
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self._places.release()

    def _require_room(self) -> None:
        if self.is_stuck:
            raise make_busy_error(self._limits.predict_seconds, "a model that does not answer")
        if self.waiting >= self._limits.queue:
            raise make_busy_error(self.waiting * self._thread.seconds, f"{self.waiting} requests that wait already")


def _decode(files: list[bytes]) -> list[Image]:
    """Decode the images; raise `RequestError` for an image that cannot be decoded."""
    try:
        return [decode_image(data, format_image_name(index)) for index, data in enumerate(files)]
    except CaseError as error:
        raise make_image_error(error) from error
