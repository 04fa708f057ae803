"""Limit the request bodies that are received at a time; slow ones give way to new ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from segqa.serving.errors import RequestError
from segqa.serving.limits import Limits, make_busy_error
from segqa.support.plurals import format_count


@dataclass(slots=True, eq=False)
class BodySlot:
    """A body that is being received.

    Attributes:
        deadline: timeout of the body.
        started: start time on the monotonic clock, in seconds.
        received: number of bytes so far.
        evicted: whether its slot was given to another body.
    """

    deadline: asyncio.Timeout
    started: float = field(default_factory=time.monotonic)
    received: int = 0
    evicted: bool = False

    def evict(self) -> None:
        """Cancel the reception of this body."""
        self.evicted = True
        self.deadline.reschedule(0)


class BodySlots:
    """Limits how many bodies are received at a time.

    When all slots are taken, a new body gets the slot of the one that is furthest behind `limits.body_rate`. So clients
    that send slowly, or stop, do not keep others out. Bodies that come at that rate or faster keep their slots.

    Args:
        limits: `queue` sets the number of slots: two for each request that may wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: set[BodySlot] = set()

    @asynccontextmanager
    async def receive(self) -> AsyncIterator[BodySlot]:
        """Hold a slot while the block receives a body.

        Raises:
            RequestError: no slot is free, or the body came too slowly.
        """
        self._make_room()
        slot = BodySlot(asyncio.timeout(self._limits.body_seconds))
        try:
            async with slot.deadline:
                self._taken.add(slot)
                yield slot
        except TimeoutError as error:
            raise self._make_timeout_error(slot) from error
        finally:
            self._taken.discard(slot)

    def _make_room(self) -> None:
        """Evict the slowest body where all slots are taken."""
        if len(self._taken) < 2 * self._limits.queue:
            return
        slowest = max(self._taken, key=self._lag)
        if self._lag(slowest) <= 0:
            raise make_busy_error(1.0, f"{format_count(len(self._taken), 'body', 'bodies')} on their way already")
        self._taken.remove(slowest)
        slowest.evict()

    def _lag(self, slot: BodySlot) -> float:
        """Return how many bytes a body is behind the lowest rate."""
        return (time.monotonic() - slot.started) * self._limits.body_rate - slot.received

    def _make_timeout_error(self, slot: BodySlot) -> RequestError:
        expected = f"the whole body within {self._limits.body_seconds:g} s"
        if slot.evicted:
            expected = f"at least {self._limits.body_rate} bytes of the body a second while other requests wait"
        return RequestError(
            HTTPStatus.REQUEST_TIMEOUT,
            expected=expected,
            got=f"{slot.received} bytes in {time.monotonic() - slot.started:.1f} s",
            do="send a smaller image, or over a faster connection",
            headers={"Connection": "close"},
        )
