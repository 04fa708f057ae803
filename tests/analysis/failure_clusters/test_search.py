from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from segqa.analysis.failure_clusters.rule_lattice import RuleMatch
from segqa.analysis.failure_clusters.search import MOST_SEARCHED, _is_far_above_rest, find_clusters
from segqa.analysis.failure_clusters.significance import SearchCorrection, _choose_permutations
from segqa.data.string_columns import CategoricalColumn, StringColumn
from segqa.errors import SettingsError
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.outcome_columns import MemoryColumns
from segqa.runs.outcomes import Outcomes
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from tests.analysis.failure_clusters.synthetic import MERGED, NOTHING, RIGHT, WRONG, draw_tags, make_outcome, make_run

TAGS = draw_tags(600, 6, 4, 0)


@pytest.mark.parametrize(
    "rule",
    [{"t1": "v0"}, {"t1": "v0", "t3": "v2"}, {"t0": "v1", "t3": "v2", "t5": "v3"}],
    ids=["one predicate", "two", "three"],
)
def test_a_planted_rule_is_found_and_nothing_else(rule: dict[str, str]) -> None:
    run = make_run(TAGS, lambda own, chance: chance < (0.9 if rule.items() <= own.items() else 0.03))
    (found,) = find_clusters(run)
    assert found.condition == " and ".join(f"{name}={value}" for name, value in rule.items())
    assert found.kind == "wrong_object"
    inside = [own for own in TAGS if rule.items() <= own.items()]
    assert found.support == len(inside) == len(found.part.outcomes)
    assert found.rate > 0.7
    assert found.rest == 600 - found.support
    assert len(found.failing) + found.rest_failing == len(run.failures("wrong_object"))
    assert found.p < found.corrected < 0.001


def test_noise_is_not_reported() -> None:
    runs = [make_run(draw_tags(300, 8, 3, seed), lambda _, chance: chance < 0.1, seed + 50) for seed in range(40)]
    assert sum(bool(len(find_clusters(run))) for run in runs) <= 2


def test_the_same_run_gives_the_same_clusters() -> None:
    run = make_run(TAGS, lambda own, chance: chance < (0.5 if own["t1"] == "v0" else 0.05))
    first, again = find_clusters(run), find_clusters(run)
    assert [str(cluster) for cluster in first] == [str(cluster) for cluster in again]


def test_two_clusters_are_told_apart() -> None:
    run = make_run(TAGS, lambda own, chance: chance < (0.8 if own["t1"] == "v0" or own["t4"] == "v3" else 0.02))
    assert {cluster.condition for cluster in find_clusters(run)} == {"t1=v0", "t4=v3"}


def test_each_kind_of_failure_has_its_own() -> None:
    outcomes = tuple(
        make_outcome(case, own, WRONG if own["t0"] == "v0" else MERGED if own["t2"] == "v1" else RIGHT)
        for case, own in enumerate(TAGS)
    )
    found = find_clusters(Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement"))
    assert [cluster.condition for cluster in found.select("wrong_object")] == ["t0=v0"]
    assert [cluster.condition for cluster in found.select("merged")] == ["t2=v1"]
    assert not found.select("failed")
    with pytest.raises(SettingsError, match="unknown failure kind 'wrong_objekt'; did you mean 'wrong_object'"):
        found.select("wrong_objekt")


def test_kinds_that_are_each_too_rare_are_found_together() -> None:
    tags = draw_tags(400, 3, 2, 4)
    tags = [{**own, "camera": "C2" if case < 12 else "C1"} for case, own in enumerate(tags)]
    elsewhere = [{0: WRONG, 1: MERGED}.get(case % 40, RIGHT) for case in range(390)]
    offers = [*[WRONG] * 5, *[MERGED] * 5, *elsewhere]
    outcomes = tuple(make_outcome(case, own, offer) for case, (own, offer) in enumerate(zip(tags, offers, strict=True)))
    found = find_clusters(Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement"), alpha=1e-7)
    assert [(cluster.kind, cluster.condition) for cluster in found] == [("failed", "camera=C2")]


def test_what_failed_in_another_way_makes_no_cluster_elsewhere() -> None:
    found = []
    for seed in range(10):
        tags = draw_tags(300, 6, 2, seed)
        chances = np.random.default_rng(seed + 99).random(300).tolist()
        offers = [
            WRONG if own["t0"] == "v0" else MERGED if c < 0.3 else RIGHT for own, c in zip(tags, chances, strict=True)
        ]
        outcomes = tuple(
            make_outcome(case, own, offer) for case, (own, offer) in enumerate(zip(tags, offers, strict=True))
        )
        found += list(find_clusters(Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement")))
    assert {(cluster.kind, cluster.condition) for cluster in found} == {("wrong_object", "t0=v0")}


def test_a_rule_does_not_say_what_the_kind_says() -> None:
    missed = np.random.default_rng(5).random(300) < 0.2
    outcomes = tuple(
        replace(
            make_outcome(case, {}, RIGHT) if not lost else Outcome(case_id=f"{case:05}", empty_prediction=NOTHING),
            properties={"proposals": 0.0 if lost else 1.0 + case % 2},
        )
        for case, lost in enumerate(missed.tolist())
    )
    run = Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement", edges={"proposals": (0.0, 1.0)})
    assert len(run.failures("missed")) > 40
    assert not len(find_clusters(run))


def test_where_most_fail_half_of_the_passes_is_enough() -> None:
    run = make_run(TAGS, lambda own, chance: chance < (0.95 if own["t1"] == "v0" else 0.6))
    assert [cluster.condition for cluster in find_clusters(run)] == ["t1=v0"]


def test_errors_are_searched_among_all_cases() -> None:
    run = make_run(TAGS, lambda *_: False)
    broken = tuple(
        Outcome(case_id=o.case_id, tags=o.tags, error="ValueError: no") if o.tags["t1"] == "v0" else o
        for o in run.outcomes
    )
    (found,) = find_clusters(replace(run, outcomes=broken))
    assert (found.kind, found.condition, found.rate) == ("error", "t1=v0", 1.0)
    assert "no other case does" in str(found)


def test_a_cluster_says_what_another_pick_would_save() -> None:
    outcomes = tuple(
        make_outcome(case, own, *((WRONG, RIGHT) if own["t0"] == "v0" else (RIGHT,))) for case, own in enumerate(TAGS)
    )
    (found,) = find_clusters(Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement"))
    count = sum(own["t0"] == "v0" for own in TAGS)
    assert str(found) == (
        f"t0=v0: 100% wrong_object ({count} of {count}), no other case does, "
        f"{count} of {count} recoverable by another pick, regret {found.regret:.3f}; p < 0.0001"
    )
    lines = found.story.splitlines()
    assert len(lines) == 8
    assert lines[-2:] == [f"  … and {count - 5} more", "  just these: pytest suites --segqa-where t0=v0"]


def test_measured_properties_make_rules() -> None:
    values = np.random.default_rng(0).random(300).tolist()
    outcomes = tuple(
        replace(make_outcome(case, {}, WRONG if value < 0.3 else RIGHT), properties={"brightness": value})
        for case, value in enumerate(values)
    )
    run = Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement")
    assert not len(find_clusters(run))
    (found,) = find_clusters(replace(run, edges={"brightness": (0.33, 0.66)}))
    assert found.condition == "brightness=dark"


def test_twice_the_rest_is_the_least() -> None:
    tags = draw_tags(20_000, 2, 2, 0)
    run = make_run(tags, lambda own, chance: chance < (0.18 if own["t0"] == "v0" else 0.10))
    assert not len(find_clusters(run))


@pytest.mark.parametrize("cases", [0, 1, 5])
def test_a_run_too_small_has_none(cases: int) -> None:
    found = find_clusters(make_run(TAGS[:cases], lambda *_: True))
    assert not len(found)
    assert found.describe() == ""


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 1.0}, {"min_cases": 1}, {"depth": 4}, {"depth": 0}])
def test_an_argument_out_of_its_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="clusters needs"):
        find_clusters(make_run(TAGS[:9], lambda *_: True), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("tags", "depth"), [(100, 2), (450, 1)])
def test_a_hundred_tags_are_searched_less_deep(tags: int, depth: int) -> None:
    run = make_run(draw_tags(60, tags, 3, 0), lambda own, _: own["t7"] == "v1")
    found = find_clusters(run)
    assert len(found.searched) == depth
    assert found[0].condition == "t7=v1"


def make_camera_run(*groups: tuple[str, ProposalScore, int]) -> Run:
    """A run in which so many cases of a camera have this prediction."""
    each = [(camera, offer) for camera, offer, count in groups for _ in range(count)]
    outcomes = tuple(make_outcome(case, {"camera": camera}, offer) for case, (camera, offer) in enumerate(each))
    return Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement")


@pytest.mark.parametrize(("cases", "found"), [(7, []), (8, ["camera=C2"])])
def test_eight_cases_make_a_slice(cases: int, found: list[str]) -> None:
    run = make_camera_run(("C2", WRONG, cases), ("C1", RIGHT, 50), ("C3", RIGHT, 50))
    assert [cluster.condition for cluster in find_clusters(run)] == found


@pytest.mark.parametrize(("failing", "found"), [(2, []), (3, ["camera=C2"])])
def test_three_failures_make_a_cluster(failing: int, found: list[str]) -> None:
    run = make_camera_run(("C2", WRONG, failing), ("C2", RIGHT, 3 - failing), ("C1", RIGHT, 500), ("C3", RIGHT, 500))
    assert [cluster.condition for cluster in find_clusters(run, min_cases=2)] == found


def test_what_is_searched_is_told() -> None:
    found = find_clusters(make_camera_run(("C2", WRONG, 20), ("C1", RIGHT, 50)), alpha=0.02)
    assert (found.searched, found.permutations, found.alpha) == ((2, 0, 0), 199, 0.02)
    assert found.gap is not None
    assert find_clusters(make_camera_run(("C2", WRONG, 20), ("C1", RIGHT, 50)), depth=1).searched == (2,)


@pytest.mark.parametrize(("errors", "found"), [(0, 1), (2, 1), (3, 0), (5, 0)])
def test_two_searches_share_what_may_go_wrong(errors: int, found: int) -> None:
    run = make_camera_run(("C2", WRONG, 5), ("C2", RIGHT, 5), ("C1", RIGHT, 100), ("C3", RIGHT, 100))
    broken = tuple(Outcome(case_id=f"e{n}", error="ValueError: no") for n in range(errors))
    run = replace(run, outcomes=(*run.outcomes, *broken))
    (cluster,) = find_clusters(run, alpha=0.9)
    assert len(find_clusters(run, alpha=1.5 * cluster.corrected)) == found
    assert len(find_clusters(run, alpha=cluster.corrected if found else 2 * cluster.corrected)) == 1


def test_a_large_search_permutes_less() -> None:
    asked = [(0, 0), (1, 1), (1000, 30_000), (1000, 40_000), (1000, 60_000), (1000, 10**9)]
    assert [_choose_permutations(*each) for each in asked] == [199, 199, 199, 150, 100, 99]


@pytest.mark.parametrize(
    ("inside", "outside", "found"),
    [
        ((8, 10), (40, 100), True),
        ((6, 8), (4, 8), True),
        ((5, 8), (4, 8), False),
        ((79, 100), (40, 100), True),
        ((19, 100), (10, 100), False),
        ((2, 10), (1, 10), True),
        ((0, 10), (0, 0), True),
        ((3, 10), (0, 10), True),
    ],
    ids=[
        "twice", "half the passes", "neither", "nearly twice", "not twice", "just twice", "nothing outside", "no other",
    ],
)  # fmt: skip
def test_far_more_is_twice_the_failures_or_half_the_passes(
    inside: tuple[int, int], outside: tuple[int, int], found: bool
) -> None:
    both = (inside, outside)
    failed = np.array([case < failing for failing, count in both for case in range(count)])
    members = np.repeat([True, False], [count for _, count in both])
    assert _is_far_above_rest(members, failed, np.ones_like(members)) is found
    more = np.append(members, [True, False]), np.append(failed, [False, True]), np.append(np.ones_like(members), [0, 0])
    assert _is_far_above_rest(more[0], more[1], more[2].astype(np.bool_)) is found


def test_a_p_value_counts_the_searches_with_a_better_rule() -> None:
    hits = [RuleMatch(row, 0, (), 1, 1, log_q=log_q) for row, log_q in [(0, -90), (1, -2), (1, -5), (2, -3), (4, -1)]]
    judge = SearchCorrection.from_matches(hits, 4, (10, 5, 0), kinds=1000)
    assert judge.best.tolist() == [-5, -3, np.inf, -1]
    assert [judge.correct(log_q) for log_q in (-6, -5, -4, -2, 0)] == [0.2, 0.4, 0.4, 0.6, 0.8]
    assert judge.correct(-20) == pytest.approx(np.exp(-20) * 2000)
    assert SearchCorrection.from_matches([], 999, (1,), kinds=1).correct(-3) == 1 / 1000
    with pytest.raises(FrozenInstanceError):
        judge.bound = 0.0  # type: ignore[misc]
    assert not hasattr(judge, "__dict__")


def test_rules_that_share_cases_are_told_once() -> None:
    tags = [{"camera": "C2" if n < 40 else "C1", "place": "hall" if 4 <= n < 46 else "street"} for n in range(300)]
    run = make_run(tags, lambda own, chance: own["camera"] == "C2" or chance < 0.02)
    assert [cluster.condition for cluster in find_clusters(run)] == ["camera=C2"]


def test_the_rarest_cluster_comes_first_whatever_its_kind() -> None:
    run = make_camera_run(("C1", RIGHT, 300), ("C2", WRONG, 12), ("C3", MERGED, 40))
    assert [(found.kind, found.condition) for found in find_clusters(run)] == [
        ("merged", "camera=C3"),
        ("wrong_object", "camera=C2"),
    ]


def test_what_is_hallucinated_is_rare_among_the_empty_targets() -> None:
    nothing, something = Counts(0, 0, 0, 100), Counts(0, 20, 0, 80)
    tags = draw_tags(400, 3, 2, 8)
    empty = [
        Outcome(
            case_id=f"{n:05}",
            tags={**own, "scene": "empty"},
            proposal_scores=(ProposalScore(something, something),),
            picked=0,
            empty_prediction=nothing,
        )
        for n, own in enumerate(tags[:60])
    ]
    right = [make_outcome(n, {**own, "scene": "dance"}, RIGHT) for n, own in enumerate(tags[60:], start=60)]
    run = Run("r", "m", "d", tuple(o.case_id for o in (*empty, *right)), (*empty, *right), "agreement")
    assert len(run.failures("hallucinated")) == 60
    assert not find_clusters(run).select("hallucinated")


FINE = Counts(5, 0, 0, 80)
OF_KIND = {
    "wrong_object": WRONG,
    "merged": MERGED,
    "partial": ProposalScore(Counts(4, 0, 6, 90), Counts(4, 0, 6, 90)),
    "boundary": ProposalScore(Counts(7, 3, 3, 87), FINE),
    "low": ProposalScore(Counts(7, 3, 3, 87), Counts(3, 3, 0, 80)),
}


@pytest.mark.parametrize("kind", OF_KIND)
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_kind_is_rare_among_the_cases_that_have_a_target(kind: str, share: float) -> None:
    chances = np.random.default_rng(1).random(120).tolist()
    offers = [OF_KIND[kind] if chance < share else RIGHT for chance in chances]
    dance = [make_outcome(n, {"scene": "dance"}, offer) for n, offer in enumerate(offers)]
    empty = [
        Outcome(case_id=f"e{n:04}", tags={"scene": "empty"}, empty_prediction=Counts(0, 0, 0, 100)) for n in range(200)
    ]
    run = Run("r", "m", "d", tuple(o.case_id for o in (*dance, *empty)), (*dance, *empty), "agreement")
    assert len(run.failures(kind)) > 20
    assert not len(find_clusters(run))


@pytest.mark.parametrize("kind", OF_KIND)
def test_every_kind_has_its_clusters(kind: str) -> None:
    run = make_camera_run(("C1", RIGHT, 200), ("C2", OF_KIND[kind], 20), ("C3", RIGHT, 50))
    assert [(found.kind, found.condition) for found in find_clusters(run)] == [(kind, "camera=C2")]


def test_a_large_run_is_searched_in_a_sample_and_counted_in_full() -> None:
    cases = MOST_SEARCHED + 1_000
    random = np.random.default_rng(0)
    tags = {
        name: CategoricalColumn(("a", "b", "c", "d"), random.integers(4, size=cases)) for name in ("camera", "light")
    }
    inside = (tags["camera"].codes == 1) & (tags["light"].codes == 2)
    fails = random.random(cases) < np.where(inside, 0.5, 0.02)
    ids = StringColumn.from_strings(f"{number:06}" for number in range(cases))
    none, numbers = StringColumn.from_strings([""] * cases), np.array([RIGHT.numbers, WRONG.numbers])[fails.astype(int)]
    held = MemoryColumns(
        ids=ids, prompts=CategoricalColumn(("",), np.zeros(cases, np.int8)), tags=tags, properties={}, digests=none,
        pixels=none, keys=none,
        starts=np.arange(cases + 1), numbers=numbers, scores=np.full((cases, 2), np.nan), broken={},
        picked=np.zeros(cases, np.int32), target_area=np.full(cases, 10), sizes=np.full(cases, 100),
        seconds=np.zeros(cases), cached=np.zeros(cases, np.bool_), notes={}, errors={},
    )  # fmt: skip
    found = find_clusters(Run("r", "m", "d", ids, Outcomes(held), "product"))
    assert found.sample == MOST_SEARCHED
    assert found.note.startswith("searched in 200,000 of 201,000 cases")
    assert [cluster.condition for cluster in found] == ["camera=b and light=c"]
    assert (len(found[0].failing), found[0].support) == (int((fails & inside).sum()), int(inside.sum()))
    assert (found[0].rest_failing, found[0].rest) == (int((fails & ~inside).sum()), int((~inside).sum()))
