import threading
import time
from collections.abc import Iterator

import pytest

from segqa.inference import prefetch as module
from segqa.inference.prefetch import read_ahead


def test_items_come_in_order() -> None:
    with read_ahead(range(50), lambda item: item * item, depth=lambda: 3) as fetched:
        assert list(fetched) == [item * item for item in range(50)]


def test_no_items_give_nothing() -> None:
    with read_ahead([], str, depth=lambda: 3) as fetched:
        assert list(fetched) == []


def test_what_fetching_raises_comes_at_its_item() -> None:
    with read_ahead([2, 1, 0], lambda item: 2 // item, depth=lambda: 3) as fetched:
        assert [next(fetched), next(fetched)] == [1, 2]
        with pytest.raises(ZeroDivisionError):
            next(fetched)


def test_the_thread_runs_ahead_but_not_away() -> None:
    seen: list[int] = []
    with read_ahead(range(100), seen.append, depth=lambda: 4) as fetched:
        next(fetched)
        time.sleep(0.1)
        assert 4 <= len(seen) <= 6


def test_the_thread_ends_with_the_block() -> None:
    def leave_early() -> None:
        with read_ahead(range(1000), lambda item: item, depth=lambda: 2) as fetched:
            next(fetched)
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        leave_early()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(0), KeyboardInterrupt(), GeneratorExit(), MemoryError()]
)
def test_what_the_items_raise_comes_after_those_before_it(error: BaseException) -> None:
    """Without its closing message, the caller would wait for ever."""

    def items() -> Iterator[int]:
        yield 1
        raise error

    with read_ahead(items(), lambda item: item, depth=lambda: 3) as fetched:
        assert next(fetched) == 1
        with pytest.raises(type(error)):
            next(fetched)


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_what_leaves_a_thread_comes_at_its_item(error: BaseException) -> None:
    def fetch(item: int) -> int:
        if item == 1:
            raise error
        return item

    with read_ahead(range(3), fetch, depth=lambda: 3) as fetched:
        assert next(fetched) == 0
        with pytest.raises(type(error)):
            next(fetched)


def test_a_thread_that_is_stuck_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    may_end = threading.Event()

    def fetch(item: int) -> int:
        if item == 1:
            may_end.wait(60)
        return item

    start = time.monotonic()
    with read_ahead(range(3), fetch, depth=lambda: 1) as fetched:
        assert next(fetched) == 0
    assert time.monotonic() - start < 30
    may_end.set()
