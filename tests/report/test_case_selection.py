from typing import Any

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.gate.comparison import compare
from segqa.report.case_selection import newly_failing, newly_passing, select
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from tests.outcomes import outcome_of


def case(case_id: str, iou: float, **rest: Any) -> Outcome:
    tp = round(1000 * iou)
    return outcome_of(Counts(tp, 0, 1000 - tp, 1000), case_id, digest=case_id, **rest)


def run_of(*outcomes: Outcome) -> Run:
    ids = tuple(outcome.case_id for outcome in outcomes)
    return Run("r", "m", "d", ids, outcomes, "product")


def test_newly_failing_come_first_then_each_sort_in_turn() -> None:
    cases = [case(f"zero{i:02}", 0.0, tags={"camera": "C2"}) for i in range(30)]
    cases += [case(f"low{i}", 0.65, tags={"camera": "C1"}) for i in range(3)]
    cases += [case(f"good{i:02}", 0.9, tags={"camera": "C1"}) for i in range(60)]
    before = run_of(*(case(o.case_id, 0.9) if o.case_id == "low1" else o for o in cases))
    run = run_of(*cases)
    comparison = compare(before, run)
    chosen = [outcome.case_id for outcome in select(find_clusters(run), comparison, 20)]
    assert chosen[0] == "low1"
    assert {"low0", "low2"} <= set(chosen)
    assert sum(name.startswith("zero") for name in chosen) < 12
    assert any(name.startswith("good") for name in chosen)


def test_the_choice_is_always_the_same_and_ends_with_all() -> None:
    run = run_of(*(case(f"{i:03}", i / 100) for i in range(100)), outcome_of(None, "error"))
    chosen = [outcome.case_id for outcome in select(find_clusters(run), None, 1000)]
    assert chosen == [outcome.case_id for outcome in select(find_clusters(run), None, 1000)]
    assert len(chosen) == len(set(chosen)) == 100
    assert len(select(find_clusters(run), None, 7)) == 7


def test_noise_is_neither_newly_failing_nor_newly_passing() -> None:
    before = run_of(case("a", 0.701), case("b", 0.699), case("c", 0.8), case("d", 0.1))
    after = run_of(case("a", 0.699), case("b", 0.701), case("c", 0.1), case("d", 0.8))
    comparison = compare(before, after)
    assert [pair.case_id for pair in newly_failing(comparison)] == ["c"]
    assert [pair.case_id for pair in newly_passing(comparison)] == ["d"]


def test_very_many_newly_failing_leave_room_for_what_failed_before() -> None:
    cases = [case(f"new{i:02}", 0.0) for i in range(40)] + [case(f"old{i}", 0.65) for i in range(4)]
    before = run_of(*(case(each.case_id, 0.9) if each.case_id.startswith("new") else each for each in cases))
    run = run_of(*cases)
    chosen = [outcome.case_id for outcome in select(find_clusters(run), compare(before, run), 20)]
    assert all(name.startswith("new") for name in chosen[:15])
    assert sum(name.startswith("old") for name in chosen) >= 2
