import cv2
import pytest

from segqa.support.environment import compute_fair_share, limit_threads


def test_threads_are_limited_and_given_back() -> None:
    torch = pytest.importorskip("torch")
    before = cv2.getNumThreads(), torch.get_num_threads()
    with limit_threads(1):
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (1, 1)
    assert (cv2.getNumThreads(), torch.get_num_threads()) == before


def test_they_are_given_back_after_an_error() -> None:
    before = cv2.getNumThreads()
    with pytest.raises(KeyboardInterrupt), limit_threads(1):
        raise KeyboardInterrupt
    assert cv2.getNumThreads() == before


def test_without_a_limit_nothing_changes() -> None:
    before = cv2.getNumThreads()
    with limit_threads(None):
        assert cv2.getNumThreads() == before


def test_everybody_gets_a_thread() -> None:
    assert compute_fair_share(10_000) == 1
    assert compute_fair_share(1) >= compute_fair_share(2) >= 1
