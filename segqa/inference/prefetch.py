"""Prefetch: one thread reads the next items while the caller works on the current ones."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

T = TypeVar("T")
U = TypeVar("U")

_PATIENCE = 10.0
"""Seconds."""


@contextmanager
def read_ahead(items: Iterable[T], fetch: Callable[[T], U], *, depth: Callable[[], int]) -> Iterator[Iterator[U]]:
    """Iterate over `fetch(item)` in order, fetched by a thread of its own, at most `depth()` of them waiting.

    What `fetch` raises is raised to the caller at that item, and so is what `items` raise. When the block is left,
    however it is, the thread ends; one that is stuck in `fetch` is left behind after `_PATIENCE` seconds.
    """
    waiting: queue.Queue[Callable[[], U] | None] = queue.Queue(maxsize=depth())
    stopped = threading.Event()

    def work() -> None:
        try:
            for item in items:
                if stopped.is_set():
                    return
                waiting.put(_attempt(fetch, item))
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            waiting.put(_raiser(error))
        finally:
            # whoever waits must be told, whatever has ended the thread
            waiting.put(None)

    thread = threading.Thread(target=work, name="segqa-read-ahead", daemon=True)
    thread.start()
    try:
        yield _until_none(waiting, depth)
    finally:
        stopped.set()
        _drain(waiting, thread)


def _attempt(fetch: Callable[[T], U], item: T) -> Callable[[], U]:
    """The answer to `fetch(item)`, or what it raised, as a function that gives just that."""
    try:
        value = fetch(item)
    except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
        return _raiser(error)
    return lambda: value


def _raiser(error: BaseException) -> Callable[[], NoReturn]:
    def give() -> NoReturn:
        raise error

    return give


def _until_none(waiting: queue.Queue[Callable[[], U] | None], depth: Callable[[], int]) -> Iterator[U]:
    while (give := waiting.get()) is not None:
        yield give()
        # the thread looks at it whenever something has been taken out
        waiting.maxsize = depth()


def _drain(waiting: queue.Queue[Callable[[], U] | None], thread: threading.Thread) -> None:
    """Empty the queue until the thread, which may be waiting for room in it, has ended; not for ever."""
    end = time.monotonic() + _PATIENCE
    while thread.is_alive() and time.monotonic() < end:
        try:
            waiting.get(timeout=0.05)
        except queue.Empty:
            continue
