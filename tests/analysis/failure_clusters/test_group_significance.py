from collections.abc import Callable
from itertools import permutations, product

import numpy as np
import pytest

from segqa.analysis.failure_clusters.group_significance import MOST_GROUPS, Moments
from segqa.analysis.failure_clusters.search import find_clusters
from segqa.errors import SettingsError
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from tests.analysis.failure_clusters.synthetic import MERGED, RIGHT, WRONG, make_outcome, make_video_run


def make_run_with(rows: list[dict[str, str]], failing: Callable[[dict[str, str]], bool]) -> Run:
    """A run in which the cases with these tags fail."""
    outcomes = tuple(make_outcome(case, own, WRONG if failing(own) else RIGHT) for case, own in enumerate(rows))
    return Run("r", "m", "d", tuple(each.case_id for each in outcomes), outcomes, "agreement")


def fail_whole_videos(bad: int) -> Callable[[dict[str, str], float], bool]:
    """Fail in nine of ten frames of each video with one of the first numbers, and hardly ever elsewhere."""
    return lambda own, chance: chance < (0.9 if int(own["video"]) < bad else 0.02)


@pytest.mark.parametrize("seed", range(3))
def test_the_moments_are_those_of_all_permutations_and_signs(seed: int) -> None:
    random = np.random.default_rng(seed)
    sizes = random.integers(2, 9, 4).astype(np.float64)
    failing = np.floor(random.random(4) * (sizes + 1))
    support = np.floor(random.random((3, 4)) * (sizes + 1))
    support[0] = [sizes[0], 0, sizes[2], 0]  # constant in each group
    inside = np.minimum(np.floor(random.random((3, 4)) * (failing + 1)), support)
    inside = np.maximum(inside, failing + support - sizes)
    found = Moments.from_counts(sizes, failing, support, inside)
    assert found.excess == pytest.approx(inside.sum(axis=1) - failing.sum() / sizes.sum() * support.sum(axis=1))
    sums = np.array(
        [
            found.between[list(order)] @ found.shares.T + np.array(signs) @ found.within.T
            for order, signs in product(permutations(range(4)), product([1, -1], repeat=4))
        ]
    )
    assert sums.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert sums.std(axis=0) == pytest.approx(found.deviation)
    assert (sums**3).mean(axis=0) == pytest.approx(found.skewness * found.deviation**3, abs=1e-9)
    assert found.within[0] == pytest.approx(np.zeros(4))


@pytest.mark.parametrize("videos", [8, 20, pytest.param(60, marks=pytest.mark.slow)])
def test_tags_unrelated_to_failing_videos_are_not_reported(videos: int) -> None:
    runs = [make_video_run(videos, 20, fail_whole_videos(videos // 4), seed=seed) for seed in range(12)]
    assert sum(bool(len(find_clusters(run, group_by="video", depth=2))) for run in runs) <= 1
    # the same search over the same cases as if they were independent
    assert sum(bool(len(find_clusters(run, depth=2))) for run in runs) == 12


def test_a_tag_of_enough_failing_videos_is_found_with_its_groups() -> None:
    rows = [{"video": f"{n // 20}", "camera": "C2" if n // 20 in {1, 4, 9, 12, 15} else "C1"} for n in range(400)]
    run = make_run_with(rows, lambda own: own["camera"] == "C2" and own["video"] != "12")
    (found,) = find_clusters(run, group_by="video")
    assert str(found) == ("camera=C2: 80% wrong_object (80 of 100 in 4 of 5 groups), no other case does; p 0.005")
    assert found.groups == (4, 5)
    assert not found.caveat


@pytest.mark.parametrize("rule", [{"f1": "v0"}, {"f1": "v0", "c0": "v1"}])
def test_a_rule_that_varies_within_videos_is_found(rule: dict[str, str]) -> None:
    run = make_video_run(40, 25, lambda own, chance: chance < (0.9 if rule.items() <= own.items() else 0.03))
    (found,) = find_clusters(run, group_by="video", depth=2)
    assert {str(predicate) for predicate in found.rule} == {f"{name}={value}" for name, value in rule.items()}


@pytest.mark.parametrize(("failing", "found"), [(2, 0), (3, 1)])
def test_failures_of_two_groups_are_no_cluster(failing: int, found: int) -> None:
    rows = [{"video": f"{n // 10:02}", "camera": "C2" if n // 10 < 4 else "C1"} for n in range(1200)]
    run = make_run_with(rows, lambda own: int(own["video"]) < failing)
    assert len(find_clusters(run, group_by="video")) == found
    assert len(find_clusters(run)) > 0


@pytest.mark.parametrize(
    ("videos", "note"), [(1, "with 1 group nothing can"), (4, "with 4 groups nothing can"), (8, "")]
)
def test_few_groups_prove_nothing_and_the_note_says_so(videos: int, note: str) -> None:
    rows = [{"video": f"{n % videos}", "light": "dark" if n % 3 else "bright"} for n in range(210)]
    run = make_run_with(rows, lambda own: own["light"] == "dark")
    found = find_clusters(run, group_by="video")
    assert found.note.startswith(note)
    assert bool(len(found)) is not bool(note)
    assert len(find_clusters(run, group_by="video", alpha=0.9)) == (videos > 2)


def test_no_p_value_is_lower_than_all_signs_alike() -> None:
    rows = [{"video": f"{n % 7}", "light": "dark" if n % 3 else "bright"} for n in range(210)]
    (found,) = find_clusters(make_run_with(rows, lambda own: own["light"] == "dark"), group_by="video", alpha=0.05)
    assert found.corrected >= 0.5**7


def test_a_level_that_permutations_cannot_reach_is_said() -> None:
    rows = [{"video": f"{n % 30}", "light": "dark" if n % 7 else "bright"} for n in range(210)]
    run = make_run_with(rows, lambda own: own["light"] == "dark")
    assert (
        find_clusters(run, group_by="video", alpha=0.0005).note
        == "with 30 groups nothing can be proven at alpha 0.0005"
    )
    assert len(find_clusters(run, group_by="video", alpha=0.001)) == 1


def test_errors_take_half_of_the_level_from_few_groups() -> None:
    rows = [{"video": f"{n % 7}", "light": "dark" if n % 3 else "bright"} for n in range(210)]
    run = make_run_with(rows, lambda own: own["light"] == "dark")
    broken = tuple(Outcome(case_id=f"e{n}", tags={"video": "1"}, error="ValueError: no") for n in range(3))
    both = Run("r", "m", "d", run.expected, (*run.outcomes, *broken), "agreement")
    assert "with 7 groups nothing can be proven" in find_clusters(both, group_by="video").note


def test_a_case_without_the_tag_is_a_group_of_its_own() -> None:
    rows = [{"light": "dark" if n % 3 else "bright"} | ({"video": "1"} if n < 5 else {}) for n in range(90)]
    found = find_clusters(make_run_with(rows, lambda own: own["light"] == "dark"), group_by="video")
    assert found.groups == 86
    assert [cluster.groups for cluster in found] == [(58, 58)]


def test_a_tag_that_no_case_has_is_refused() -> None:
    with pytest.raises(SettingsError, match="no case has a tag 'vidoe' to group by; did you mean 'video'"):
        find_clusters(make_video_run(8, 4, lambda *_: False), group_by="vidoe")
    assert not len(find_clusters(Run("r", "m", "d", (), (), "agreement"), group_by="video"))


def test_more_groups_than_there_is_time_for_are_merged() -> None:
    run = make_video_run(
        MOST_GROUPS + 100, 2, lambda own, chance: chance < (0.6 if own["c0"] == "v1" else 0.02), tags=2
    )
    (found,) = find_clusters(run, group_by="video")
    assert found.condition == "c0=v1"
    assert found.groups is not None
    assert found.groups[1] == found.support // 2


def test_errors_have_clusters_by_groups_too() -> None:
    run = make_video_run(20, 10, lambda *_: False)
    broken = tuple(
        Outcome(case_id=o.case_id, tags=o.tags, error="ValueError: no") if o.tags["c0"] == "v1" else o
        for o in run.outcomes
    )
    (found,) = find_clusters(Run("r", "m", "d", run.expected, broken, "agreement"), group_by="video")
    assert (found.kind, found.condition) == ("error", "c0=v1")


def test_p_values_say_what_they_assume_where_cases_look_grouped() -> None:
    run = make_video_run(20, 20, fail_whole_videos(5))
    found = find_clusters(run, depth=1)
    assert str(found[0]).endswith("; p < 0.0001 if cases are independent; they look grouped by 'video'")
    assert "set group_by = 'video'" in found.note
    assert "if cases are independent" in found.describe()
    assert not find_clusters(run, group_by="video").suggested


def test_ids_suggest_groups_as_tags_do() -> None:
    dark, bright = make_outcome(0, {"light": "dark"}, WRONG), make_outcome(0, {"light": "bright"}, RIGHT)
    outcomes = [
        Outcome(
            case_id=f"{clip}_{n:03}",
            tags=own.tags,
            proposal_scores=own.proposal_scores,
            picked=0,
            empty_prediction=own.empty_prediction,
        )
        for clip in "abcdefghijklmnopqrstuvwx"
        for n, own in enumerate([dark] * 3 + [bright] * 6)
    ]
    run = Run("r", "m", "d", tuple(each.case_id for each in outcomes), tuple(outcomes), "agreement")
    (found,) = find_clusters(run)
    assert str(found).endswith("if cases are independent; they look grouped by the beginning of their ids")


def test_the_numbers_of_a_kind_leave_out_what_failed_in_another_way() -> None:
    kinds = {"C1": [(RIGHT, 80), (WRONG, 2), (MERGED, 18)], "C2": [(RIGHT, 3), (WRONG, 12), (MERGED, 5)]}
    rows = [(camera, offer) for camera, parts in kinds.items() for offer, count in parts for _ in range(count)]
    outcomes = tuple(make_outcome(n, {"camera": camera}, offer) for n, (camera, offer) in enumerate(rows))
    run = Run("r", "m", "d", tuple(each.case_id for each in outcomes), outcomes, "agreement")
    (found,) = find_clusters(run).select("wrong_object")
    assert (len(found.failing), found.support, found.rest_failing, found.rest) == (12, 15, 2, 82)
    assert found.ratio == pytest.approx((12 / 15) / (2 / 82))
    assert "  not counted: 5 of its 20 cases; they failed in another way or are in a cluster above" in found.story


@pytest.mark.parametrize("group_by", ["", "video"])
def test_a_second_cluster_is_told_without_the_cases_of_the_first(group_by: str) -> None:
    rows = [
        {"video": f"{n % 12}", "camera": "C2" if n < 60 else "C1", "place": "hall" if 40 <= n < 100 else "street"}
        for n in range(600)
    ]
    run = make_run_with(rows, lambda own: "C2" in own["camera"] or "hall" in own["place"])
    first, second = find_clusters(run, group_by=group_by)
    assert len(first.failing) == first.support == 60
    assert len(second.failing) == second.support == 40
    assert (first.rest_failing, first.rest) == (40, 540)
    assert (second.rest_failing, second.rest) == (0, 500)
    assert not set(first.failing.ids) & set(second.failing.ids)
    assert second.not_counted == 20


def find_note(weathers: str, **tags: str) -> str:
    rows = [{"video": f"{n % len(weathers)}", "weather": weathers[n % len(weathers)], **tags} for n in range(240)]
    return find_clusters(make_run_with(rows, lambda own: own["weather"] == "r"), group_by="video").note


def test_a_tag_of_which_so_few_groups_prove_nothing_is_named() -> None:
    said = "nothing can be proven of weather at alpha 0.01: one value in each group"
    assert find_note("rrrrssss") == f"with 8 groups {said}"
    assert find_note("rrrrssss", place="here") == f"with 8 groups {said}"
    assert find_note("r" + 19 * "s") == f"with 20 groups {said}"
    assert not find_note("rrrrrsssss")
    assert not find_note("rrrrrrrr")
