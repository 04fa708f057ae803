from dataclasses import FrozenInstanceError, fields
from itertools import product

import numpy as np
import pytest
from scipy import stats

from segqa.stats.permutation_test import (
    MOST_ROWS,
    Drop,
    Interval,
    _compute_t,
    _draw_sums,
    compute_bootstrap_interval,
    compute_detectable_drop,
    compute_interval,
    judge_drops,
)

SKEWED = np.random.default_rng(7).exponential(0.02, 40) - 0.03


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


@pytest.mark.parametrize("losses", [2, 3, 4])
@pytest.mark.parametrize("spread", [0, 1e-10, 1e-6])
def test_a_few_equal_losses_could_be_chance(losses: int, spread: float) -> None:
    differences = np.array([*(-0.01 + spread * np.arange(losses)), 0.0, 0.0])
    members = [everything(losses + 2), np.arange(losses + 2) < losses]
    for drop in judge_drops(differences, members, [0.0, 0.0]):
        assert drop.p == pytest.approx(0.5**losses, abs=0.015)
        assert drop.corrected == pytest.approx(0.5**losses, abs=0.015)


def test_a_small_gain_is_no_drop_either() -> None:
    assert judge_drops(SKEWED - SKEWED.mean() + 0.0005, [everything(40)], [0.0])[0].p == 1


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
    assert judge_drops(differences.reshape(12, 50).sum(axis=1), [everything(12)], [0.0])[0].p == grouped


def test_the_interval_is_the_t_intervals_where_there_is_no_skew() -> None:
    differences = np.array([-0.02, -0.01, 0.0, 0.01, 0.02]) - 0.03
    low, high = stats.t.interval(0.9, 4, loc=differences.mean(), scale=stats.sem(differences))
    found = compute_interval(differences)
    assert [found.low, found.high] == pytest.approx([float(low), float(high)])
    assert compute_interval(np.zeros(1)).low == -np.inf
    assert compute_interval(np.full(9, 0.5)).low == 0.5


def test_the_bootstrap_is_near_it() -> None:
    differences = np.random.default_rng(2).exponential(0.02, 300)
    found, boot = compute_interval(differences), compute_bootstrap_interval(differences)
    assert boot is not None
    assert boot.low == pytest.approx(found.low, abs=0.001)
    assert boot.high == pytest.approx(found.high, abs=0.001)
    assert compute_bootstrap_interval(differences[:59]) is None
    assert compute_bootstrap_interval(np.zeros(100)) is None


def test_the_detectable_drop_is_the_textbooks() -> None:
    differences = np.random.default_rng(2).normal(0, 0.05, 400)
    assert compute_detectable_drop(differences) == pytest.approx(2.487 * differences.std(ddof=1) / 20, rel=0.005)
    assert np.isnan(compute_detectable_drop(np.zeros(1)))
    assert np.isnan(compute_detectable_drop(np.zeros(0)))


def test_the_statistic_is_the_one_of_the_definition() -> None:
    sets = [SKEWED, SKEWED[:9] * 5, -SKEWED[:2], np.full(7, -0.5), np.full(3, 0.1), np.zeros(4), SKEWED[:1], SKEWED[:0]]
    power = [np.array([(each**exponent).sum() for each in sets]) for exponent in (1, 2, 3)]
    found = _compute_t(power[0], power[1], power[2], np.array([len(each) for each in sets]))
    assert found[:3].tolist() == pytest.approx([hall(each) for each in sets[:3]], rel=1e-9)
    assert found[3:].tolist() == [-np.inf, np.inf, np.inf, np.inf, np.inf]


def test_rounding_is_no_spread() -> None:
    values = np.full(1000, 0.1) + np.resize([1e-9, -1e-9], 1000)
    assert _compute_t(*(np.array([(-(values**k)).sum()]) for k in (1, 2, 3)), np.array([1000]))[0] == -np.inf  # type: ignore[call-arg]


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_the_interval_is_corrected_for_skewness(level: float) -> None:
    n, mean, spread = len(SKEWED), SKEWED.mean(), SKEWED.std(ddof=1)
    centre = mean + ((SKEWED - mean) ** 3).mean() / (6 * spread**2 * n)
    reach = stats.t.ppf(1 - (1 - level) / 2, n - 1) * spread / n**0.5
    found = compute_interval(SKEWED, level=level)
    assert [found.low, found.high] == pytest.approx([centre - reach, centre + reach], rel=1e-9)


def test_two_differences_are_enough_for_an_interval() -> None:
    found = compute_interval(np.array([-0.1, 0.1]))
    assert found.high == -found.low == pytest.approx(stats.t.ppf(0.95, 1) * 0.1)
    assert compute_detectable_drop(np.array([-0.1, 0.1])) == pytest.approx(
        (stats.t.ppf(0.95, 1) + stats.t.ppf(0.8, 1)) * 0.1
    )


@pytest.mark.parametrize(("cases", "made"), [(59, False), (60, True), (5000, True), (5001, False)])
def test_the_bootstrap_is_for_60_to_5000_cases(cases: int, made: bool) -> None:
    found = compute_bootstrap_interval(np.resize(SKEWED, cases), level=0.5)
    assert (found is not None) is made
    if found is not None:
        width = 2 * stats.norm.ppf(0.75) * SKEWED.std() / cases**0.5
        assert found.high - found.low == pytest.approx(width, rel=0.15)


def test_each_coin_falls_either_way_and_knows_nothing_of_the_others() -> None:
    heads = np.concatenate(list(_draw_sums(np.eye(9, dtype=np.float32), 10_000)))
    assert heads.shape == (10_000, 9)
    assert len(np.unique(heads, axis=0)) == 512
    assert heads.mean(axis=0) == pytest.approx(0.5, abs=0.02)


def test_many_coins_are_tossed_in_blocks() -> None:
    block = np.repeat([0, 1, 2], [1000, 1000, 100])
    heads = np.concatenate(list(_draw_sums(np.eye(3, dtype=np.float32)[block], 2_500)))
    assert heads.shape == (2_500, 3)
    assert heads.mean(axis=0) == pytest.approx([500, 500, 50], rel=0.02)
    assert heads.std(axis=0) == pytest.approx([250**0.5, 250**0.5, 5], rel=0.05)
    assert np.abs(np.corrcoef(heads.T) - np.eye(3)).max() < 0.06


@pytest.mark.parametrize("groups", [None, np.arange(40) // 4], ids=["alone", "in groups"])
def test_a_slice_is_judged_by_its_own_cases(groups: np.ndarray[tuple[int], np.dtype[np.int64]] | None) -> None:
    inside = np.arange(40) >= 20
    (found,) = judge_drops(SKEWED, [inside], [0.0], groups=groups)
    own = None if groups is None else groups[inside] - groups[inside].min()
    assert [found] == judge_drops(SKEWED[inside], [everything(20)], [0.0], groups=own)
    assert 0.0001 < found.p < 0.2


def test_a_tolerance_is_what_may_be_lost_of_each_difference() -> None:
    within = judge_drops(SKEWED, [everything(40)], [0.005])[0].p
    without = judge_drops(SKEWED + 0.005, [everything(40)], [0.0])[0].p
    assert within == without
    assert 0.0001 < within < 0.2


def test_a_mean_just_at_the_tolerance_has_not_dropped() -> None:
    assert judge_drops(np.array([-0.5, 0.0, -0.5, 0.0]), [everything(4)], [0.25])[0].p == 1


def test_groups_of_no_pairs_are_judged_as_no_drop() -> None:
    none = np.zeros(0)
    assert judge_drops(none, [none > 0], [0.0], groups=none.astype(np.int64))[0].p == 1


def test_few_flips_can_show_little() -> None:
    (drop,) = judge_drops(SKEWED - 1, [everything(40)], [0.0], flips=9)
    assert (drop.p, drop.corrected) == (0.1, 0.1)


def test_of_sets_that_share_nothing_each_is_one_of_many() -> None:
    differences = np.random.default_rng(11).normal(-0.004, 0.02, 2000)
    members = [np.arange(2000) // 100 == number for number in range(20)]
    drops = [drop for drop in judge_drops(differences, members, [0.0] * 20) if drop.p < 0.2]
    assert len(drops) > 10
    assert [drop.corrected for drop in drops] == pytest.approx([1 - (1 - drop.p) ** 20 for drop in drops], abs=0.04)


@pytest.mark.parametrize("made", [Drop(-0.1, 0.01, 0.02), Interval(-0.1, 0.1)], ids=str)
def test_what_was_judged_cannot_be_changed(made: Drop | Interval) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(made)[0].name, 0.0)
    assert not hasattr(made, "__dict__")


def test_of_many_pairs_several_are_flipped_as_one() -> None:
    random = np.random.default_rng(0)
    differences = random.normal(0, 0.1, 3 * MOST_ROWS)
    few = random.random(len(differences)) < 0.001
    lost = np.where(few, differences - 0.06, differences)
    together = judge_drops(lost, [everything(len(lost)), few], [0.0, 0.0], flips=999)
    alone = judge_drops(lost[few], [everything(int(few.sum()))], [0.0], flips=999)
    assert together[0].p == pytest.approx(stats.norm.cdf(hall(lost)), abs=0.05)
    assert together[1].corrected <= 0.01
    assert together[1].mean == alone[0].mean
    grouped = judge_drops(lost, [few], [0.0], groups=np.arange(len(lost)) // 2, flips=999)
    assert grouped[0].p <= 0.01
