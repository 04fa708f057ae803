import math
from typing import Any

import pytest

from segqa.errors import SettingsError
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run, describe
from segqa.scoring.metrics import Counts
from tests.outcomes import outcome_of

EMPTY = Counts(0, 0, 0, 100)


def case(case_id: str, percent: int, **rest: Any) -> Outcome:
    """An outcome whose IoU is so many percent."""
    return outcome_of(Counts(percent, 0, 100 - percent, 0), case_id, **rest)


def run_of(*outcomes: Outcome, expected: tuple[str, ...] = (), **rest: object) -> Run:
    ids = expected or tuple(outcome.case_id for outcome in outcomes)
    return Run("r", "unet", "photos", ids, outcomes, "product", **rest)  # type: ignore[arg-type]


def test_the_mean_is_over_cases() -> None:
    assert run_of(case("a", 100), case("b", 50), case("c", 0)).mean_iou == 0.5


def test_the_pooled_iou_weighs_large_objects_more() -> None:
    large = outcome_of(Counts(900, 0, 0, 0), "a")
    assert run_of(large, case("b", 0)).pooled_iou == 0.9


def test_an_error_has_no_score_but_is_counted() -> None:
    run = run_of(case("a", 80), Outcome(case_id="b", error="Traceback\nValueError: no"))
    assert run.mean_iou == 0.8
    assert run.tally == "1 scored, 0 missing, 1 error"
    assert run.error_share == 0.5
    assert run.worst(1)[0].case_id == "b"


def test_a_case_without_an_outcome_is_missing() -> None:
    run = run_of(case("a", 80), expected=("a", "b"))
    assert run.missing == ("b",)
    assert run.error_share == 0.5


@pytest.mark.parametrize(("empty", "mean", "scored"), [("one", 0.75, 2), ("zero", 0.25, 2), ("nan", 0.5, 1)])
def test_the_policy_decides_what_two_empty_masks_score(empty: str, mean: float, scored: int) -> None:
    run = run_of(case("a", 50), outcome_of(EMPTY, "b"), empty=empty)
    assert run.mean_iou == mean
    assert len(run.scored) == scored
    assert run.undefined == 1
    assert ("1 undefined" in run.tally) == (empty == "nan")


def test_a_run_without_scores_has_no_mean_and_meets_no_bound() -> None:
    run = run_of(Outcome(case_id="a", error="x"))
    assert math.isnan(run.mean_iou)
    assert math.isnan(run.p05)
    assert not run.mean_iou >= 0.0


def test_p05_is_interpolated() -> None:
    assert run_of(case("a", 0), case("b", 100)).p05 == pytest.approx(0.05)


def test_regret_is_what_the_oracle_has_more() -> None:
    lost = outcome_of(Counts(0, 9, 9, 9), "a", oracle=Counts(9, 0, 0, 18))
    run = run_of(lost, case("b", 100))
    assert run.regret == 0.5
    assert run.recoverable(lost)


def test_failures_of_a_kind_know_their_share() -> None:
    run = run_of(case("a", 0), case("b", 2), case("c", 90), case("d", 65))
    assert run.kinds() == {"missed": 1, "wrong_object": 1, "boundary": 1}
    assert run.failures("wrong_object").share == 0.25
    assert len(run.failures()) == 3


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'wrong_object'"):
        run_of(case("a", 1)).failures("wrong_objekt")


def test_slices_are_runs_of_their_own() -> None:
    run = run_of(*(case(f"{i}", 90 - 80 * (i % 2), tags={"camera": f"C{i % 2}"}) for i in range(16)))
    assert [part.part for part in run.slices(min_cases=8)] == ["camera=C0", "camera=C1"]
    worst = run.worst_slice(min_cases=8)
    assert worst is not None
    assert worst.part == "camera=C1"
    assert worst.mean_iou == pytest.approx(0.1)
    assert worst.tally == "8 scored, 0 missing, 0 errors"
    assert run.worst_slice(min_cases=9) is None


def test_the_worst_are_sorted_by_iou_and_then_by_id() -> None:
    run = run_of(case("b", 10), case("a", 10), case("c", 5))
    assert [outcome.case_id for outcome in run.worst(3)] == ["c", "a", "b"]


def test_the_mean_does_not_depend_on_the_order() -> None:
    cases = [case(f"{i}", 7 * i % 101) for i in range(100)]
    assert float(run_of(*cases).mean_iou) == float(run_of(*reversed(cases)).mean_iou)


def test_an_error_is_described_by_its_last_line() -> None:
    run = run_of(Outcome(case_id="a", error="Traceback …\nsegqa.errors.CaseError: a.png is empty (0 bytes)\n"))
    assert describe(run, run.outcomes[0]) == "error   a  CaseError: a.png is empty (0 bytes)"


def test_a_reason_without_end_is_cut() -> None:
    run = run_of(Outcome(case_id="a", error="CaseError: " + "x" * 5000))
    line = describe(run, run.outcomes[0])
    assert len(line) < 500
    assert line.endswith("x…")


def test_a_slice_with_errors_only_is_the_worst() -> None:
    good = [case(f"{i}", 90, tags={"light": "day"}) for i in range(8)]
    bad = [outcome_of(None, f"n{i}", tags={"light": "night"}) for i in range(8)]
    worst = run_of(*good, *bad).worst_slice(min_cases=8)
    assert worst is not None
    assert worst.part == "light=night"


def test_an_unknown_slice_is_answered_with_the_nearest() -> None:
    run = run_of(case("a", 90, tags={"light": "night"}))
    with pytest.raises(SettingsError, match="no case has a tag or property 'ligth'; did you mean 'light'"):
        run.slice("ligth", "night")
    with pytest.raises(SettingsError, match="no case has light=nihgt; did you mean 'night'"):
        run.slice("light", "nihgt")


def test_an_error_does_not_thin_out_the_failures() -> None:
    run = run_of(case("a", 2), outcome_of(None, "b"), outcome_of(None, "c"))
    assert run.failures("wrong_object").share == 1.0
    assert run.failures("error").share == pytest.approx(2 / 3)
    assert math.isnan(run_of(outcome_of(None, "b")).failures("missed").share)


def test_other_metrics_have_means_too() -> None:
    run = run_of(case("a", 100), case("b", 50))
    assert run.mean("dice") == pytest.approx((1 + 2 / 3) / 2)
    assert run.mean("recall") == 0.75
    with pytest.raises(SettingsError, match="unknown metric 'dize'"):
        run.mean("dize")


def test_an_oracle_that_rightly_offers_nothing_is_right_under_every_policy() -> None:
    lost = outcome_of(Counts(0, 9, 0, 91), "a", oracle=EMPTY)
    for empty, regret in (("one", 1.0), ("zero", 0.0), ("nan", 1.0)):
        assert run_of(lost, case("b", 50), empty=empty).regret == regret / 2


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("pytest suites -q", "pytest suites -q"),
        ("pytest --segqa-update-baseline --segqa-allow-dirty -q", "pytest -q"),
        ("pytest --segqa-accept 'a reason' -q", "pytest -q"),
        ("pytest '--segqa-accept=a reason' -q", "pytest -q"),
        ("pytest suites --segqa-shard 1/4 -q --segqa-shard=1/4", "pytest suites -q"),
        ("pytest suites --segqa-run 2026 -q --segqa-run=2026", "pytest suites -q"),
        ("pytest 'unclosed", "pytest suites"),
        ("segqa.evaluate", "pytest suites"),
    ],
)
def test_the_command_for_a_case_is_that_of_the_run_without_what_is_for_all(command: str, words: str) -> None:
    run = run_of(case("a b", 50), provenance={"command": command})
    assert run.command_for("a b") == f"{words} --segqa-where " + r"""'id='"'"'a b'"'"''"""


def test_changed_cases_are_shown_since_no_command_evaluates_them_alone() -> None:
    run = run_of(case("a~blur-2", 10), provenance={"command": "pytest suites", "options": {"changed": "photos"}})
    assert run.command_for("a~blur-2") == "segqa show r --where 'id=a~blur-2'"
    assert run.is_changed
    assert run.narrowed_by == ["changed"]
