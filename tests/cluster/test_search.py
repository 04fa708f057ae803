from dataclasses import replace

import numpy as np
import pytest

from segqa.cluster.search import clusters
from segqa.errors import SettingsError
from segqa.outcome import Outcome
from segqa.run import Run
from tests.cluster.synthetic import MERGED, NOTHING, RIGHT, WRONG, outcome, random_tags, run_of

TAGS = random_tags(600, 6, 4, 0)


@pytest.mark.parametrize(
    "rule",
    [{"t1": "v0"}, {"t1": "v0", "t3": "v2"}, {"t0": "v1", "t3": "v2", "t5": "v3"}],
    ids=["one predicate", "two", "three"],
)
def test_a_planted_rule_is_found_and_nothing_else(rule: dict[str, str]) -> None:
    run = run_of(TAGS, lambda own, chance: chance < (0.9 if rule.items() <= own.items() else 0.03))
    (found,) = clusters(run)
    assert found.condition == " and ".join(f"{name}={value}" for name, value in rule.items())
    assert found.kind == "wrong_object"
    inside = [own for own in TAGS if rule.items() <= own.items()]
    assert found.support == len(inside) == len(found.part.outcomes)
    assert found.rate > 0.7
    assert found.rest == 600 - found.support
    assert len(found.failing) + found.rest_failing == len(run.failures("wrong_object"))
    assert found.p < found.corrected < 0.001


def test_noise_is_not_reported() -> None:
    runs = [run_of(random_tags(300, 8, 3, seed), lambda _, chance: chance < 0.1, seed + 50) for seed in range(40)]
    assert sum(bool(len(clusters(run))) for run in runs) <= 2


def test_the_same_run_gives_the_same_clusters() -> None:
    run = run_of(TAGS, lambda own, chance: chance < (0.5 if own["t1"] == "v0" else 0.05))
    first, again = clusters(run), clusters(run)
    assert [str(cluster) for cluster in first] == [str(cluster) for cluster in again]


def test_two_clusters_are_told_apart() -> None:
    run = run_of(TAGS, lambda own, chance: chance < (0.8 if own["t1"] == "v0" or own["t4"] == "v3" else 0.02))
    assert {cluster.condition for cluster in clusters(run)} == {"t1=v0", "t4=v3"}


def test_each_kind_of_failure_has_its_own() -> None:
    outcomes = tuple(
        outcome(case, own, WRONG if own["t0"] == "v0" else MERGED if own["t2"] == "v1" else RIGHT)
        for case, own in enumerate(TAGS)
    )
    found = clusters(Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement"))
    assert [cluster.condition for cluster in found.of("wrong_object")] == ["t0=v0"]
    assert [cluster.condition for cluster in found.of("merged")] == ["t2=v1"]
    assert not found.of("failed")
    with pytest.raises(SettingsError, match="unknown failure kind 'wrong_objekt'; did you mean 'wrong_object'"):
        found.of("wrong_objekt")


def test_kinds_that_are_each_too_rare_are_found_together() -> None:
    tags = random_tags(400, 3, 2, 4)
    tags = [{**own, "camera": "C2" if case < 12 else "C1"} for case, own in enumerate(tags)]
    elsewhere = [{0: WRONG, 1: MERGED}.get(case % 40, RIGHT) for case in range(390)]
    offers = [*[WRONG] * 5, *[MERGED] * 5, *elsewhere]
    outcomes = tuple(outcome(case, own, offer) for case, (own, offer) in enumerate(zip(tags, offers, strict=True)))
    found = clusters(Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement"), alpha=1e-7)
    assert [(cluster.kind, cluster.condition) for cluster in found] == [("failed", "camera=C2")]


def test_what_failed_in_another_way_makes_no_cluster_elsewhere() -> None:
    found = []
    for seed in range(10):
        tags = random_tags(300, 6, 2, seed)
        chances = np.random.default_rng(seed + 99).random(300).tolist()
        offers = [
            WRONG if own["t0"] == "v0" else MERGED if c < 0.3 else RIGHT for own, c in zip(tags, chances, strict=True)
        ]
        outcomes = tuple(outcome(case, own, offer) for case, (own, offer) in enumerate(zip(tags, offers, strict=True)))
        found += list(clusters(Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement")))
    assert {(cluster.kind, cluster.condition) for cluster in found} == {("wrong_object", "t0=v0")}


def test_a_rule_does_not_say_what_the_kind_says() -> None:
    missed = np.random.default_rng(5).random(300) < 0.2
    outcomes = tuple(
        replace(
            outcome(case, {}, RIGHT) if not lost else Outcome(case_id=f"{case:05}", nothing=NOTHING),
            properties={"proposals": 0.0 if lost else 1.0 + case % 2},
        )
        for case, lost in enumerate(missed.tolist())
    )
    run = Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement", edges={"proposals": (0.0, 1.0)})
    assert len(run.failures("missed")) > 40
    assert not len(clusters(run))


def test_where_most_fail_half_of_the_passes_is_enough() -> None:
    run = run_of(TAGS, lambda own, chance: chance < (0.95 if own["t1"] == "v0" else 0.6))
    assert [cluster.condition for cluster in clusters(run)] == ["t1=v0"]


def test_errors_are_searched_among_all_cases() -> None:
    run = run_of(TAGS, lambda *_: False)
    broken = tuple(
        Outcome(case_id=o.case_id, tags=o.tags, error="ValueError: no") if o.tags["t1"] == "v0" else o
        for o in run.outcomes
    )
    (found,) = clusters(replace(run, outcomes=broken))
    assert (found.kind, found.condition, found.rate) == ("error", "t1=v0", 1.0)
    assert "no other case does" in str(found)


def test_a_cluster_says_what_another_pick_would_save() -> None:
    outcomes = tuple(
        outcome(case, own, *((WRONG, RIGHT) if own["t0"] == "v0" else (RIGHT,))) for case, own in enumerate(TAGS)
    )
    (found,) = clusters(Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement"))
    count = sum(own["t0"] == "v0" for own in TAGS)
    assert str(found) == (
        f"t0=v0: 100% wrong_object ({count} of {count}), no other case does, "
        f"{count} of {count} recoverable by another pick; p < 0.0001"
    )
    lines = found.story.splitlines()
    assert len(lines) == 8
    assert lines[-2:] == [f"  … and {count - 5} more", "  just these: pytest suites --segqa-where t0=v0"]


def test_measured_properties_make_rules() -> None:
    values = np.random.default_rng(0).random(300).tolist()
    outcomes = tuple(
        replace(outcome(case, {}, WRONG if value < 0.3 else RIGHT), properties={"brightness": value})
        for case, value in enumerate(values)
    )
    run = Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement")
    assert not len(clusters(run))
    (found,) = clusters(replace(run, edges={"brightness": (0.33, 0.66)}))
    assert found.condition == "brightness=dark"


def test_twice_the_rest_is_the_least() -> None:
    tags = random_tags(20_000, 2, 2, 0)
    run = run_of(tags, lambda own, chance: chance < (0.18 if own["t0"] == "v0" else 0.10))
    assert not len(clusters(run))


@pytest.mark.parametrize("cases", [0, 1, 5])
def test_a_run_too_small_has_none(cases: int) -> None:
    found = clusters(run_of(TAGS[:cases], lambda *_: True))
    assert not len(found)
    assert found.story() == ""


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 1.0}, {"min_cases": 1}, {"depth": 4}, {"depth": 0}])
def test_an_argument_out_of_its_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="clusters needs"):
        clusters(run_of(TAGS[:9], lambda *_: True), **wrong)  # type: ignore[arg-type]


def test_a_hundred_tags_are_searched_less_deep() -> None:
    run = run_of(random_tags(60, 100, 3, 0), lambda own, _: own["t7"] == "v1")
    found = clusters(run)
    assert len(found.searched) == 2
    assert found[0].condition == "t7=v1"
