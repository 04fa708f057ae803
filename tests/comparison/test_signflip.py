from itertools import product

import numpy as np
import pytest
from scipy import stats

from segqa.comparison.signflip import bootstrap_interval, detectable_drop, interval, judge_drops


def everything(n: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.ones(n, np.bool_)


def hall(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The statistic from its definition, with numpy's own moments."""
    n, mean = len(values), values.mean()
    spread, third = values.std(ddof=1), ((values - mean) ** 3).mean() / values.std() ** 3
    t = mean / (spread / np.sqrt(n))
    skewed = third / np.sqrt(n)
    return float(t + skewed * t**2 / 3 + skewed**2 * t**3 / 27 + skewed / 6)


def test_few_pairs_have_the_p_value_of_all_their_flips() -> None:
    differences = np.array([-0.3, -0.1, 0.05, -0.2, -0.02, 0.01, -0.15, -0.07])
    seen = hall(differences)
    flips = [hall(np.array(signs) * differences) for signs in product((-1, 1), repeat=8)]
    exact = np.mean([flip <= seen + 1e-9 for flip in flips])
    (drop,) = judge_drops(differences, [everything(8)], [0.0])
    assert drop.p == pytest.approx(exact, abs=0.01)
    assert drop.corrected == drop.p
    assert drop.mean == pytest.approx(differences.mean())


def test_a_clear_drop_is_seen_and_a_gain_is_none() -> None:
    differences = np.random.default_rng(0).normal(-0.02, 0.02, 200)
    drop, gain = (judge_drops(sign * differences, [everything(200)], [0.0])[0] for sign in (1, -1))
    assert drop.p < 0.001
    assert gain.p == 1


def test_a_drop_within_the_tolerance_is_none() -> None:
    differences = np.random.default_rng(0).normal(-0.02, 0.02, 200)
    assert judge_drops(differences, [everything(200)], [0.03])[0].p == 1
    assert judge_drops(differences, [everything(200)], [0.01])[0].p < 0.001


@pytest.mark.parametrize("value", [0.0, -0.01])
def test_differences_without_spread(value: float) -> None:
    (drop,) = judge_drops(np.full(50, value), [everything(50)], [0.0])
    assert drop.p == (1 if value == 0 else pytest.approx(1 / 10_001))


def test_what_cannot_be_judged_is_no_drop() -> None:
    none = np.zeros(3, np.bool_)
    one = np.array([True, False, False])
    drops = judge_drops(np.array([-1.0, -0.5, -0.4]), [none, one], [0.0, 0.0])
    assert [drop.p for drop in drops] == [1, 1]
    assert judge_drops(np.zeros(0), [], []) == []


def test_many_sets_are_corrected_together() -> None:
    random = np.random.default_rng(3)
    differences = random.normal(0, 0.02, 240)
    members = [random.random(240) < 0.25 for _ in range(24)]
    drops = judge_drops(differences, members, [0.0] * 24)
    assert all(drop.corrected >= drop.p for drop in drops)
    bad = members[5]
    found = judge_drops(differences - 0.02 * bad, members, [0.0] * 24)
    assert found[5].corrected < 0.01
    assert min(range(24), key=lambda index: found[index].corrected) == 5


def test_cases_of_one_group_are_one_witness() -> None:
    differences = np.repeat(np.random.default_rng(1).normal(-0.01, 0.02, 12), 50)
    groups = np.repeat(np.arange(12), 50)
    alone, grouped = (judge_drops(differences, [everything(600)], [0.0], groups=g)[0].p for g in (None, groups))
    assert alone < 0.01 < grouped


def test_the_interval_is_the_t_intervals_where_there_is_no_skew() -> None:
    differences = np.array([-0.02, -0.01, 0.0, 0.01, 0.02]) - 0.03
    low, high = stats.t.interval(0.9, 4, loc=differences.mean(), scale=stats.sem(differences))
    found = interval(differences)
    assert [found.low, found.high] == pytest.approx([float(low), float(high)])
    assert interval(np.zeros(1)).low == -np.inf
    assert interval(np.full(9, 0.5)).low == 0.5


def test_the_bootstrap_is_near_it() -> None:
    differences = np.random.default_rng(2).exponential(0.02, 300)
    found, boot = interval(differences), bootstrap_interval(differences)
    assert boot is not None
    assert boot.low == pytest.approx(found.low, abs=0.001)
    assert boot.high == pytest.approx(found.high, abs=0.001)
    assert bootstrap_interval(differences[:59]) is None
    assert bootstrap_interval(np.zeros(100)) is None


def test_the_detectable_drop_is_the_textbooks() -> None:
    differences = np.random.default_rng(2).normal(0, 0.05, 400)
    assert detectable_drop(differences) == pytest.approx(2.487 * differences.std(ddof=1) / 20)
    assert np.isnan(detectable_drop(np.zeros(1)))
