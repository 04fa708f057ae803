"""Of a large run the page lists the cases that are worth it, and its numbers are those of all."""

from dataclasses import replace

import pytest

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.gate.comparison import compare
from segqa.gate.verdict import judge
from segqa.report.exports import JudgedRun
from segqa.report.page_data import CaseListing, columns
from tests.reviewed import Reviewed, reviewed


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    return reviewed(tmp_path_factory.mktemp("listing"))


def judged(small: Reviewed) -> JudgedRun:
    return JudgedRun(
        small.run, judge(compare(small.before, small.run, same_picker=False)), "", find_clusters(small.run)
    )


def test_a_small_run_is_listed_whole(small: Reviewed) -> None:
    listing = CaseListing.from_run(judged(small))
    assert listing.left_out == 0
    assert listing.listed is small.run


def test_what_newly_fails_is_listed_first(small: Reviewed) -> None:
    one = judged(small)
    listing = CaseListing.from_run(one, most=12)
    told = dict(columns(listing))
    newly = [case_id for case_id, change in zip(told["id"], told["change"], strict=True) if change == 1]
    assert len(listing.listed.outcomes) == 12
    assert listing.left_out == len(small.run.outcomes) - 12
    assert newly == [f"B_{i:03}" for i in range(0, 24, 3)]
    assert told["id"] == sorted(told["id"])
    assert told["cases"] == len(small.run.outcomes)


def test_every_column_is_that_of_the_whole_run(small: Reviewed) -> None:
    one = judged(small)
    whole, some = dict(columns(CaseListing.from_run(one))), dict(columns(CaseListing.from_run(one, most=10)))
    places = [whole["id"].index(case_id) for case_id in some["id"]]
    for name in ("key", "kind", "iou", "oracle", "picked", "tp", "offers", "before", "change"):
        everything, listed = list(whole[name]), list(some[name])
        assert listed == [everything[place] for place in places], name
    (cluster,), (all_of_it,) = some["clusters"], whole["clusters"]
    assert [some["id"][at] for at in cluster["cases"]] == [
        whole["id"][at] for at in all_of_it["cases"] if whole["id"][at] in some["id"]
    ]


def test_errors_are_listed_too(small: Reviewed) -> None:
    lost = replace(
        small.run.outcomes[3], proposal_scores=(), picked=None, empty_prediction=None, error="Traceback\nValueError: no"
    )
    outcomes = [*small.run.outcomes[:3], lost, *small.run.outcomes[4:]]
    run = replace(small.run, outcomes=outcomes)
    listing = CaseListing.from_run(JudgedRun(run, None, "", find_clusters(run)), most=10)
    assert lost.case_id in listing.listed.columns.ids
