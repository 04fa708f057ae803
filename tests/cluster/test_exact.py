import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from segqa.cluster.exact import fewest, log_tail


@given(st.data())
def test_the_tail_is_scipys(data: st.DataObject) -> None:
    cases = data.draw(st.integers(2, 300))
    failing_all, support = data.draw(st.integers(0, cases)), data.draw(st.integers(1, cases))
    failing = data.draw(st.integers(0, min(failing_all, support)))
    (tail,) = log_tail(np.array([failing]), np.array([support]), failing_all, cases)
    # scipy's own logarithm of the tail loses digits; its sum of probabilities does not
    every = np.arange(failing, min(failing_all, support) + 1)
    assert np.exp(tail) == pytest.approx(hypergeom.pmf(every, cases, failing_all, support).sum(), rel=1e-9)


def test_more_than_possible_is_impossible() -> None:
    assert log_tail(np.array([4]), np.array([3]), 10, 20)[0] == -np.inf
    assert log_tail(np.array([0]), np.array([3]), 10, 20)[0] == 0


def test_a_tail_far_below_what_a_float_can_hold_is_still_a_number() -> None:
    drawn = np.arange(2000)  # one failing case after the other
    by_hand = np.log((5000 - drawn) / (100_000 - drawn)).sum()
    assert log_tail(np.array([2000]), np.array([2000]), 5000, 100_000)[0] == pytest.approx(by_hand)


def test_far_below_what_one_expects_the_tail_is_everything() -> None:
    assert log_tail(np.array([1, 100]), np.array([50_000, 50_000]), 30_000, 100_000).tolist() == [0, 0]


@given(st.integers(2, 200), st.data())
def test_the_fewest_failures_are_the_first_that_are_rare_enough(cases: int, data: st.DataObject) -> None:
    failing_all, bound = data.draw(st.integers(0, cases)), data.draw(st.floats(-12, -0.1))
    supports = np.arange(1, cases + 1)
    for support, found in zip(supports.tolist(), fewest(supports, failing_all, cases, bound).tolist(), strict=True):
        most = min(support, failing_all)
        tails = log_tail(np.arange(most + 1), np.full(most + 1, support), failing_all, cases)
        rare = np.flatnonzero(tails <= bound)
        assert found == (rare[0] if len(rare) else most + 1)
