import threading
import time

import pytest

from segqa.evaluation.read_ahead import read_ahead


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
