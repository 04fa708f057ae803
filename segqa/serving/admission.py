"""A desk takes requests in, lets so many to the model at a time, and turns the others away."""

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
    """The way of a request: its body is read, its images wait, are decoded, asked about, and the answer is drawn.

    Images wait as they came. Those of so many requests alone are decoded that the model always has the next at hand.

    Args:
        thread: asks the model.
        limits: of what is taken on.
    """

    def __init__(self, thread: ModelThread, limits: Limits) -> None:
        self.waiting = 0
        self.in_flight = 0
        self._thread = thread
        self._limits = limits
        self._slots = BodySlots(limits)
        # one call at the model, the next one decoded, and one request whose answer is being drawn
        self._places = asyncio.Semaphore(2 * thread.batch_size + 1)

    @property
    def is_stuck(self) -> bool:
        """Whether the model takes longer for a call than anybody waits."""
        return self._thread.call_seconds > self._limits.predict_seconds

    @asynccontextmanager
    async def receive_body(self) -> AsyncIterator[BodySlot]:
        """A slot for a request whose body is on its way.

        Raises:
            RefusedError: there is none, or the body comes too slowly.
        """
        self._require_room()
        async with self._slots.receive() as slot:
            yield slot

    async def ask(self, files: list[bytes], prompt: str, render: Callable[[list[Proposals]], Rendered]) -> Rendered:
        """What `draw` makes, in another thread, of the proposals for some images.

        Raises:
            RefusedError: they are no pictures or too large, too many wait, the model fails, or takes too long.
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
            raise _failed() from error

    @asynccontextmanager
    async def _hold_place(self) -> AsyncIterator[None]:
        """A place for a request whose images are decoded; those that came first get it first."""
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
    """The images; what can be told of one only now is refused, too."""
    try:
        return [decode_image(data, format_image_name(index)) for index, data in enumerate(files)]
    except CaseError as error:
        raise make_image_error(error) from error


def _failed() -> RequestError:
    return RequestError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        expected="an answer of the model",
        got="an error in the model",
        do="look into the log of the server, or try another image",
    )
