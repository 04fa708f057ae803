"""Reading ahead: one thread fetches what comes next while the caller is busy with what came before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@contextmanager
def read_ahead(items: Iterable[T], fetch: Callable[[T], U], *, depth: Callable[[], int]) -> Iterator[Iterator[U]]:
    """Iterate over `fetch(item)` in order, fetched by a thread of its own, at most `depth()` of them waiting.

    What `fetch` raises is raised to the caller at that item. When the block is left, however it is, the thread ends.
    """
    waiting: queue.Queue[Callable[[], U] | None] = queue.Queue(maxsize=depth())
    stopped = threading.Event()

    def work() -> None:
        for item in items:
            if stopped.is_set():
                return
            waiting.put(_attempt(fetch, item))
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
    """Empty the queue until the thread, which may be waiting for room in it, has ended."""
    while thread.is_alive():
        try:
            waiting.get(timeout=0.05)
        except queue.Empty:
            continue
