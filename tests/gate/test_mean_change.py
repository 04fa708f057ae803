import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from segqa.errors import SettingsError
from segqa.gate.comparison import Comparison, compare
from segqa.gate.mean_change import classify_mean_change, measure_mean_change
from segqa.gate.rules import resolve_rules
from segqa.gate.verdict import Verdict, judge
from segqa.runs.run import Run
from segqa.stats.permutation_test import (
    compute_bootstrap_interval,
    compute_detectable_drop,
    compute_interval,
    compute_smallest_p,
    compute_t_interval,
    judge_drops,
    judge_gain,
    raise_p,
)
from tests.gate.paired_runs import case_of, run_of

Floats: TypeAlias = NDArray[np.float64]
Noise: TypeAlias = Callable[[np.random.Generator, int], Floats]

NOISES: dict[str, Noise] = {
    "symmetric": lambda random, n: random.normal(0, 0.02, n),
    "heavy-tailed": lambda random, n: 0.01 * random.standard_t(2.5, n),
    "skewed": lambda random, n: 0.02 * (random.exponential(1, n) - 1),
    "skewed the other way": lambda random, n: 0.02 * (1 - random.exponential(1, n)),
}
UNEQUAL = np.repeat(np.arange(9), [1, 2, 3, 5, 8, 13, 21, 34, 55])


def frames(changes: Floats, videos: NDArray[np.int64], **tags: NDArray[np.int64]) -> Comparison:
    """A comparison of frames of videos that change by so much."""
    known = {"video": videos, **tags}
    own = [{tag: f"{tag}{values[case]}" for tag, values in known.items()} for case in range(len(videos))]

    def made(ious: Floats) -> Run:
        outcomes = tuple(case_of(f"{n:04}", float(iou), own[n]) for n, iou in enumerate(ious))
        return replace(run_of([0.8] * len(videos)), outcomes=outcomes)

    return compare(made(np.full(len(videos), 0.8)), made(0.8 + changes))


def judged(changes: Floats, videos: NDArray[np.int64], *rules: str, group_by: str = "video", **tags: object) -> Verdict:
    return judge(frames(changes, videos, **tags), resolve_rules(rules), group_by=group_by)  # type: ignore[arg-type]


def null(seed: int, videos: int, kind: str, mean: float = 0.0) -> tuple[Floats, NDArray[np.int64]]:
    """Changes of the frames of videos of unequal length, which change together."""
    random = np.random.default_rng(seed)
    video = np.repeat(np.arange(videos), random.integers(5, 60, videos))
    return mean + NOISES[kind](random, videos)[video] + random.normal(0, 0.003, len(video)), video


def test_of_groups_of_one_size_the_interval_is_that_of_their_means() -> None:
    means = np.array([-0.02, -0.01, 0.0, 0.01, 0.02]) - 0.03
    low, high = stats.t.interval(0.9, 4, loc=means.mean(), scale=stats.sem(means))
    found = compute_interval(np.repeat(means, 30), np.repeat(np.arange(5), 30))
    assert [found.low, found.high] == pytest.approx([float(low), float(high)])


def test_of_groups_of_many_sizes_the_interval_is_the_jackknifes() -> None:
    random = np.random.default_rng(0)
    differences = random.normal(0, 0.02, 9)[UNEQUAL] + random.normal(0, 0.01, len(UNEQUAL))
    without = np.array([differences[group != UNEQUAL].mean() for group in range(9)])
    error = math.sqrt(8 / 9 * ((without - differences.mean()) ** 2).sum())
    found = compute_interval(differences, UNEQUAL)
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.95, 8) * error)
    assert compute_detectable_drop(differences, UNEQUAL) == pytest.approx(
        (stats.t.ppf(0.95, 8) + stats.t.ppf(0.8, 8)) * error
    )


def test_groups_of_one_case_change_nothing() -> None:
    differences = np.random.default_rng(1).exponential(0.02, 80)
    alone = np.arange(80)
    assert compute_interval(differences, alone) == compute_interval(differences)
    assert compute_bootstrap_interval(differences, alone) == compute_bootstrap_interval(differences)
    assert compute_detectable_drop(differences, alone) == compute_detectable_drop(differences)
    assert judge_gain(differences, 0.01, groups=alone) == judge_gain(differences, 0.01)


def test_one_group_bounds_nothing() -> None:
    found = compute_interval(np.array([0.1, 0.2]), np.zeros(2, np.int64))
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert math.isnan(compute_detectable_drop(np.array([0.1, 0.2]), np.zeros(2, np.int64)))


def test_a_group_without_any_case_counts_for_nothing() -> None:
    differences = np.random.default_rng(0).normal(0, 0.02, len(UNEQUAL))
    gaps = UNEQUAL * 3 + 1
    assert compute_interval(differences, gaps) == compute_interval(differences, UNEQUAL)
    assert compute_t_interval(differences, gaps, level=0.9) == compute_t_interval(differences, UNEQUAL, level=0.9)
    assert compute_detectable_drop(differences, gaps) == compute_detectable_drop(differences, UNEQUAL)


def test_the_bootstrap_draws_whole_groups() -> None:
    differences, video = null(0, 80, "symmetric")
    alone, grouped, bounds = (
        compute_bootstrap_interval(differences),
        compute_bootstrap_interval(differences, video),
        compute_interval(differences, video),
    )
    assert alone is not None
    assert grouped is not None
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)
    assert [grouped.low, grouped.high] == pytest.approx([bounds.low, bounds.high], abs=0.0015)
    assert compute_bootstrap_interval(differences[video < 59], video[video < 59]) is None


def test_a_gain_is_judged_as_a_drop_is_the_other_way_round() -> None:
    differences, video = null(3, 12, "skewed", mean=0.01)
    everything = [np.ones(len(video), np.bool_)]
    (mirrored,) = judge_drops(-differences, everything, [0.0], groups=video)
    assert judge_gain(differences, groups=video) == mirrored.p
    assert judge_gain(differences, -0.05, groups=video) < 0.001
    assert judge_gain(differences, 0.05, groups=video) == 1


@pytest.mark.parametrize("videos", [1, 4, 6])
def test_with_few_groups_nothing_is_proven_and_the_verdict_says_so(videos: int) -> None:
    video = np.arange(240) % videos
    for change in (0.02, -0.02, -0.0001):
        verdict = judged(np.full(240, change), video, "slice(*).mean_iou:off")
        assert verdict.name == "inconclusive"
        (note,) = verdict.notes
        assert note == (
            f"with {videos} group{'s' * (videos > 1)} by 'video' nothing can be proven about means; "
            "broken cases, errors and missing cases are still judged"
        )
    assert judged(np.zeros(240), video).name == "identical"


def test_few_cases_prove_nothing_either() -> None:
    verdict = judge(compare(run_of([0.8] * 4), run_of([0.9] * 4)))
    assert verdict.name == "inconclusive"
    assert verdict.notes[0].startswith("with 4 cases nothing can be proven about means")


def test_seven_groups_that_all_change_prove_it() -> None:
    video = np.arange(240) % 7
    assert judged(np.full(240, 0.02), video).name == "improved"
    assert judged(np.full(240, -0.02), video).name == "regressed"
    assert judged(np.full(240, -0.001), video).name == "similar"
    assert compute_smallest_p(6) > 0.05 > compute_smallest_p(7)


def test_one_broken_case_is_found_with_as_few_groups_as_one() -> None:
    for videos in (1, 3, 60):
        changes, video = np.zeros(60), np.arange(60) % videos
        changes[17] = -0.8
        assert [finding.rule for finding in judged(changes, video).findings] == ["broken:0"]


def test_findings_and_headline_count_the_groups() -> None:
    verdict = judged(np.full(238, -0.02), np.arange(238) % 12)
    (found,) = verdict.findings
    assert "changed by -0.0200 over 238 cases in 12 groups, proven below -0.002 (p " in found.text
    assert "(-0.0200 over 238 cases in 12 groups)" in verdict.headline


def test_a_p_value_of_few_samples_is_raised() -> None:
    (found,) = judged(np.full(240, -0.02), np.arange(240) % 8, "slice(*).mean_iou:off").findings
    p = float(found.text.partition("(p ")[2].removesuffix(")"))
    assert p == pytest.approx(2**-8 * 30 / 8, rel=0.3)


def test_a_slice_of_few_groups_is_not_judged_and_that_is_said() -> None:
    video = np.arange(600) % 40
    floors: dict[str, object] = {"floor": (video >= 14).astype(np.int64)}
    off = ("mean_iou:off", "slice(*).mean_iou:off", "slice(floor).mean_iou:-0.002")
    verdict = judged(np.full(600, -0.02), video, *off, group_by="video", **floors)
    assert [finding.condition for finding in verdict.findings] == ["floor=floor1"]
    assert "over 390 cases in 26 groups" in verdict.findings[0].text
    assert any(note.startswith("1 slice is not judged: fewer than 30 cases or 15 groups") for note in verdict.notes)


def test_a_change_in_few_groups_of_a_slice_is_not_judged() -> None:
    video, changes = np.arange(600) % 40, np.zeros(600)
    changes[video < 4] = -0.1
    off = ("mean_iou:off", "slice(*).mean_iou:off", "slice(half).mean_iou:-0.002")
    verdict = judged(changes, video, *off, half=(video >= 20).astype(np.int64))
    assert verdict.passed
    assert any(note.startswith("1 slice is not judged") for note in verdict.notes)
    assert any("5 groups with a case that changed" in note for note in verdict.notes)


def test_a_tag_that_suggests_groups_is_named_beside_the_p_value() -> None:
    changes, video = np.full(240, -0.02), np.arange(240) // 20
    assert judged(changes, video, group_by="").notes[-1] == (
        "cases look grouped by 'video' (12 values, 20 cases each): "
        "set group_by = 'video', or p-values and intervals count them as independent"
    )
    assert not any("look grouped" in note for note in judged(changes, video).notes)
    assert judged(np.zeros(240), video, group_by="").notes == ()


@pytest.mark.parametrize("tag", ["vidoe", "brightness"])
def test_a_tag_to_group_by_that_no_case_has_is_refused(tag: str) -> None:
    with pytest.raises(SettingsError, match=f"no case has a tag '{tag}' to group by"):
        judged(np.full(60, 0.01), np.arange(60), "mean_iou:off", "slice(*).mean_iou:off", group_by=tag)


FAST = {(20, "symmetric"), (8, "skewed"), (20, "skewed the other way")}
SIMULATED = [
    pytest.param(videos, kind, marks=[] if (videos, kind) in FAST else pytest.mark.slow)
    for videos in (8, 20, 60)
    for kind in NOISES
]


@pytest.mark.parametrize(("videos", "kind"), SIMULATED)
def test_frames_that_change_together_by_chance_are_seldom_claimed_improved_or_worse(videos: int, kind: str) -> None:
    """At a level of one in twenty: more than 12 of 120 by chance in one of 200 tests."""
    improved = regressed = alone = 0
    for seed in range(120):
        differences, video = null(seed, videos, kind)
        improved += classify_mean_change(differences, video) == "improved"
        (drop,) = judge_drops(differences, [np.ones(len(video), np.bool_)], [0.002], groups=video, flips=999)
        regressed += raise_p(drop.p, videos) <= 0.05
        alone += compute_interval(differences).low > 0
    assert improved <= 12
    assert regressed <= 12
    assert alone > 24


@pytest.mark.parametrize(("videos", "kind"), SIMULATED)
def test_a_drop_as_large_as_the_tolerance_is_seldom_claimed_to_be_similar(videos: int, kind: str) -> None:
    claims = [classify_mean_change(*null(seed, videos, kind, mean=-0.002), 0.002) for seed in range(120)]
    assert claims.count("similar") + claims.count("improved") <= 12


def test_a_small_loss_in_every_video_is_similar_and_a_gain_within_the_noise_is_inconclusive() -> None:
    changes, video = null(5, 20, "symmetric")
    steady = measure_mean_change(frames(np.where(video % 4, 0.0, -0.0025), video), 0.002, "video")
    assert steady.claim == "similar"
    assert measure_mean_change(frames(changes, video), 0.002, "video").claim == "inconclusive"
    assert (steady.cases, steady.samples) == (len(video), 20)


@pytest.mark.parametrize(("changed", "few"), [(1, True), (4, True), (8, False)])
def test_that_too_few_groups_changed_to_prove_a_drop_is_said(changed: int, *, few: bool) -> None:
    video = np.repeat(np.arange(20), 10)
    loss = np.where(video < changed, -0.3, 0.0) + np.where(video < changed, 0.01 * (video % 3), 0.0)
    verdict = judged(loss, video, "broken:off", "slice(*).mean_iou:off")
    notes = "; ".join(verdict.notes)
    assert (f"only {changed} of 20 groups changed, too few to prove a drop of the mean" in notes) is few
    assert verdict.passed is few
    assert not (few and "would be seen" in notes)


def test_the_interval_of_a_difference_lies_where_it_can_be() -> None:
    change = judged(np.array([-0.9, 0.0, -0.9, 0.0]), np.array([0, 1, 0, 1])).change
    assert (change.interval.low, change.interval.high) == (-1, 1)
    (one,) = {judged(np.array([-0.1, -0.1]), np.array([0, 0])).change.interval}
    assert (one.low, one.high) == (-1, 1)
