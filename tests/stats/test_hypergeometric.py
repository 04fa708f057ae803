import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from segqa.stats.hypergeometric import compute_log_tail, find_fewest


@given(st.data())
def test_the_tail_is_scipys(data: st.DataObject) -> None:
    cases = data.draw(st.integers(2, 300))
    failing_all, support = data.draw(st.integers(0, cases)), data.draw(st.integers(1, cases))
    failing = data.draw(st.integers(0, min(failing_all, support)))
    (tail,) = compute_log_tail(np.array([failing]), np.array([support]), failing_all, cases)
    # scipy's own logarithm of the tail loses digits; its sum of probabilities does not
    every = np.arange(failing, min(failing_all, support) + 1)
    assert np.exp(tail) == pytest.approx(hypergeom.pmf(every, cases, failing_all, support).sum(), rel=1e-9)


def test_more_than_possible_is_impossible() -> None:
    assert compute_log_tail(np.array([4]), np.array([3]), 10, 20)[0] == -np.inf
    assert compute_log_tail(np.array([0]), np.array([3]), 10, 20)[0] == 0


@pytest.mark.parametrize(("failing_all", "cases"), [(10, 20), (7, 40), (37, 40), (1, 3)])
def test_what_is_certain_has_a_probability_of_one_exactly(failing_all: int, cases: int) -> None:
    supports = np.arange(1, cases + 1)
    fewest_possible = np.maximum(0, supports + failing_all - cases)
    assert not compute_log_tail(fewest_possible, supports, failing_all, cases).any()
    assert not compute_log_tail(fewest_possible - 1, supports, failing_all, cases).any()


def test_a_tail_far_below_what_a_float_can_hold_is_still_a_number() -> None:
    drawn = np.arange(2000)  # one failing case after the other
    by_hand = np.log((5000 - drawn) / (100_000 - drawn)).sum()
    assert compute_log_tail(np.array([2000]), np.array([2000]), 5000, 100_000)[0] == pytest.approx(by_hand)


def test_far_below_what_one_expects_the_tail_is_everything() -> None:
    assert compute_log_tail(np.array([1, 100]), np.array([50_000, 50_000]), 30_000, 100_000).tolist() == [0, 0]


def test_a_sum_too_large_for_a_float_spoils_no_other() -> None:
    tails = compute_log_tail(np.array([1, 18_900]), np.array([300, 20_000]), 95_000, 100_000)
    assert tails[0] == 0
    assert tails[1] == pytest.approx(hypergeom.logsf(18_899, 100_000, 95_000, 20_000), rel=1e-5)


@settings(deadline=None)  # up to 200 supports an example
@given(st.integers(2, 200), st.data())
def test_the_fewest_failures_are_the_first_that_are_rare_enough(cases: int, data: st.DataObject) -> None:
    failing_all, bound = data.draw(st.integers(0, cases)), data.draw(st.floats(-12, -0.1))
    supports = np.arange(1, cases + 1)
    for support, found in zip(
        supports.tolist(), find_fewest(supports, failing_all, cases, bound).tolist(), strict=True
    ):
        most = min(support, failing_all)
        tails = compute_log_tail(np.arange(most + 1), np.full(most + 1, support), failing_all, cases)
        rare = np.flatnonzero(tails <= bound)
        assert found == (rare[0] if len(rare) else most + 1)
