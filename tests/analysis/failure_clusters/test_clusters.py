import math
from dataclasses import FrozenInstanceError, replace

import pytest

from segqa.analysis.failure_clusters.clusters import Cluster, Clusters
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import Predicate
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from tests.analysis.failure_clusters.synthetic import MERGED, RIGHT, WRONG, make_outcome
from tests.outcomes import outcome_of

RULE = (Predicate("camera", "=", "C2"), Predicate("brightness", "=", "dark"))


def make_cluster(failing: int, support: int, rest_failing: int = 4, recoverable: int = 0) -> Cluster:
    """A cluster with so many failures among its cases, and fifty other cases."""
    failed = tuple(make_outcome(n, {}, WRONG, RIGHT if n < recoverable else None) for n in range(failing))
    others = tuple(make_outcome(n, {}, RIGHT) for n in range(failing, support))
    ids = tuple(each.case_id for each in (*failed, *others))
    part = Run("r", "m", "d", ids, (*failed, *others), "agreement", part="camera=C2")
    return Cluster("wrong_object", RULE, part, Outcomes.from_outcomes(failed), support, rest_failing, 50, 1e-9, 0.004)


def test_a_cluster_is_told_with_its_numbers() -> None:
    found = make_cluster(8, 10, recoverable=3)
    assert (found.rate, found.rest_rate, found.ratio) == (0.8, 0.08, 10)
    assert found.recoverable == 3
    assert str(found) == (
        "camera=C2 and brightness=dark: 80% wrong_object (8 of 10), 10.0 times the rest, "
        "3 of 8 recoverable by another pick, regret 0.375; p 0.004"
    )
    assert repr(found) == "<camera=C2 and brightness=dark: 8 of 10 wrong_object>"


def test_what_picking_loses_is_told_where_no_proposal_meets_the_threshold() -> None:
    better = Counts(43, 0, 57, 100)
    failed = Outcomes.from_outcomes([outcome_of(Counts(1, 50, 99, 50), str(n), oracle=better) for n in range(8)])
    part = Run("r", "m", "d", failed.ids, failed, "first")
    found = Cluster("wrong_object", RULE, part, failed, 8, 1, 50, 1e-9, 0.004)
    assert found.recoverable == part.failures("wrong_object").recoverable == 0
    assert found.regret == part.failures("wrong_object").regret == pytest.approx(0.43 - 1 / 150)
    assert "times the rest, regret 0.423; p 0.004" in str(found)


def test_where_nothing_else_fails_there_is_no_ratio() -> None:
    found = make_cluster(8, 10, rest_failing=0)
    assert math.isinf(found.ratio)
    assert "(8 of 10), no other case does; p" in str(found)
    assert make_cluster(8, 10, rest_failing=1).ratio == 40
    assert make_cluster(8, 10, rest_failing=3).ratio == pytest.approx(40 / 3)


@pytest.mark.parametrize(("corrected", "shown"), [(0.0123, "p 0.012"), (1e-4, "p 0.0001"), (0.99e-4, "p < 0.0001")])
def test_the_smallest_p_values_are_not_spelt_out(corrected: float, shown: str) -> None:
    assert str(replace(make_cluster(8, 10), corrected=corrected)).endswith(f"; {shown}")


@pytest.mark.parametrize(("failing", "more"), [(4, []), (5, []), (6, ["  … and 1 more"]), (14, ["  … and 9 more"])])
def test_a_story_shows_the_five_worst(failing: int, more: list[str]) -> None:
    found = make_cluster(failing, 20)
    lines = found.story.splitlines()
    shown = min(failing, 5)
    assert lines[0] == str(found)
    assert [line.split()[2] for line in lines[1 : 1 + shown]] == [f"{n:05}" for n in range(shown)]
    assert lines[1 + shown : -1] == more
    assert lines[-1].startswith("  just these: pytest suites")


def test_a_story_names_what_means_the_same_cases() -> None:
    twins = (Predicate("lens", "=", "L1"), Predicate("take", "=", "2"))
    assert replace(make_cluster(3, 8), twins=twins).story.splitlines()[1] == "  the same cases: lens=L1, take=2"
    assert "the same cases" not in make_cluster(3, 8).story


def test_clusters_are_a_sequence_by_kind() -> None:
    wrong, merged = make_cluster(8, 10), replace(make_cluster(3, 10), kind="merged")
    run = Run("r", "unet", "photos", ("00000",), (make_outcome(0, {}, MERGED),), "agreement")
    found = Clusters(run, (wrong, merged), None, (3, 1), 199, 0.01, len(run.outcomes))
    assert (len(found), list(found), found[1], found[-2]) == (2, [wrong, merged], merged, wrong)
    assert found.select("merged") == found.select("MERGED".lower()) == (merged,)
    assert found.select("wrong_object") == (wrong,)
    assert found.describe("merged") == merged.story
    assert found.describe() == f"{wrong.story}\n{merged.story}"
    assert repr(found) == f"<clusters of unet on photos: {wrong!r}, {merged!r}>"
    assert repr(replace(found, found=())) == "<clusters of unet on photos: none>"


def test_a_cluster_is_itself_and_cannot_be_changed() -> None:
    found = make_cluster(8, 10)
    clusters = Clusters(found.part, (found,), None, (3, 1), 199, 0.01, len(found.part.outcomes))
    for made in (found, clusters):
        with pytest.raises(FrozenInstanceError):
            setattr(made, "alpha" if made is clusters else "kind", None)
        assert not hasattr(made, "__dict__")
        assert made != replace(made)
