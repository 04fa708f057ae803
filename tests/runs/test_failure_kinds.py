import cv2
import numpy as np
import pytest

from segqa.data.mask import Mask
from segqa.errors import SettingsError
from segqa.runs.failure_kinds import (
    KINDS,
    compute_kind_codes,
    compute_paired_kind_codes,
    find_kind,
    find_recoverable,
    get_kind_name,
    read_expected_kinds,
)
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.outcomes import Outcomes
from segqa.scoring.error_breakdown import Breakdown, break_down
from segqa.scoring.metrics import Counts, count, count_interior
from segqa.settings import parse_settings
from tests.outcomes import NOTHING, outcome_of


@pytest.mark.parametrize(
    ("counts", "inside", "kind"),
    [
        pytest.param(None, None, "error", id="error"),
        pytest.param(Counts(0, 5, 0, 5), None, "hallucinated", id="something where nothing is"),
        pytest.param(Counts(0, 0, 0, 9), None, None, id="rightly nothing"),
        pytest.param(Counts(0, 0, 5, 5), None, "missed", id="nothing where something is"),
        pytest.param(Counts(0, 50, 50, 5), None, "wrong_object", id="disjoint"),
        pytest.param(Counts(4, 50, 46, 5), None, "wrong_object", id="IoU just below 0.05"),
        pytest.param(Counts(70, 15, 15, 0), None, None, id="exactly at the threshold"),
        pytest.param(Counts(50, 50, 0, 0), None, "merged", id="half of it right"),
        pytest.param(Counts(50, 0, 50, 0), None, "partial", id="half of it found"),
        pytest.param(Counts(50, 50, 50, 0), None, "merged", id="merged comes before partial"),
        pytest.param(Counts(65, 20, 20, 0), Counts(30, 1, 1, 0), "boundary", id="right inside"),
        pytest.param(Counts(65, 20, 20, 0), Counts(0, 0, 0, 9), "boundary", id="too thin to have an inside"),
        pytest.param(Counts(65, 20, 20, 0), Counts(30, 20, 10, 0), "low", id="wrong inside"),
    ],
)
def test_the_first_kind_that_matches_counts(counts: Counts | None, inside: Counts | None, kind: str | None) -> None:
    assert find_kind(outcome_of(counts, interior_counts=inside or NOTHING), threshold=0.7) == kind


def test_recoverable_is_a_failure_whose_oracle_meets_the_threshold() -> None:
    good, bad = Counts(9, 0, 0, 9), Counts(0, 9, 9, 9)
    cases = [outcome_of(bad, oracle=good), outcome_of(bad, oracle=bad), outcome_of(good, oracle=good), outcome_of(None)]
    assert find_recoverable(Outcomes.from_outcomes(cases), 0.7).tolist() == [True, False, False, False]


def judged(prediction: Mask, target: Mask) -> Outcome:
    """The outcome of one prediction, broken down as an evaluation does it."""
    offer = ProposalScore(
        count(prediction, target), count_interior(prediction, target), breakdown=break_down(prediction, target)
    )
    return Outcome(
        case_id="x", proposal_scores=(offer,), picked=0, empty_prediction=count(np.zeros_like(target), target)
    )


def dancer() -> Mask:
    """A trunk with a thin arm that is a fourth of its area."""
    drawn = np.zeros((400, 400), np.uint8)
    cv2.rectangle(drawn, (60, 100), (119, 299), 1, -1)
    cv2.rectangle(drawn, (120, 150), (379, 165), 1, -1)
    return drawn.astype(np.bool_)


def test_a_missing_arm_is_not_called_an_error_of_the_contour() -> None:
    target = dancer()
    without_arm = target.copy()
    without_arm[:, 120:] = False
    without_arm[100:112] = False
    case = judged(without_arm, target)
    # no pixel of the arm is away from the contour, so that the interior alone sees nothing
    assert (
        get_kind_name(compute_kind_codes(Outcomes.from_outcomes([case]), 0.75, np.ones(1, np.bool_))[0]) == "boundary"
    )
    assert find_kind(case, 0.75) == "low"


def test_a_mask_that_is_too_small_all_around_is_an_error_of_the_contour() -> None:
    target = np.zeros((400, 400), np.bool_)
    target[150:200, 150:200] = True
    smaller = np.zeros_like(target)
    smaller[154:196, 154:196] = True
    assert find_kind(judged(smaller, target), 0.75) == "boundary"


@pytest.mark.parametrize(
    ("at_contour", "elsewhere", "kind"),
    [(36, 4, "boundary"), (20, 20, "boundary"), (19, 21, "low"), (0, 40, "low")],
)
def test_the_breakdown_decides_whether_it_is_the_contour(at_contour: int, elsewhere: int, kind: str) -> None:
    counts = Counts(60, 0, 40, 100)
    wrong = Breakdown(0, 0, 0, at_contour, elsewhere, 0, 100)
    case = Outcome(
        case_id="x",
        proposal_scores=(ProposalScore(counts, counts, breakdown=wrong),),
        picked=0,
        empty_prediction=counts,
    )
    assert find_kind(case, 0.7) == kind


def test_a_kind_needs_its_other_errors_to_leave_the_threshold() -> None:
    counts = Counts(62, 19, 19, 100)
    wrong = Breakdown(19, 0, 0, 2, 0, 17, 100)
    case = Outcome(
        case_id="x",
        proposal_scores=(ProposalScore(counts, counts, breakdown=wrong),),
        picked=0,
        empty_prediction=counts,
    )
    assert [find_kind(case, threshold) for threshold in (0.8, 0.9)] == ["boundary", "low"]


def test_against_a_baseline_without_breakdowns_both_sides_are_decided_by_counts() -> None:
    counts, inside = Counts(65, 0, 35, 100), Counts(30, 0, 0, 0)
    missing_arm = Breakdown(0, 0, 0, 5, 30, 0, 100)
    old = Outcomes.from_outcomes(
        [Outcome(case_id="x", proposal_scores=(ProposalScore(counts, inside),), picked=0, empty_prediction=counts)]
    )
    offer = ProposalScore(counts, inside, breakdown=missing_arm)
    new = Outcomes.from_outcomes([Outcome(case_id="x", proposal_scores=(offer,), picked=0, empty_prediction=counts)])
    passed = Outcomes.from_outcomes([outcome_of(Counts(90, 0, 10, 100))])
    names = [
        [get_kind_name(code[0]) for code in compute_paired_kind_codes(*pair, 0.7)]
        for pair in ((old, new), (passed, new))
    ]
    assert names == [["boundary", "boundary"], [None, "low"]]
    assert [get_kind_name(code[0]) for code in compute_paired_kind_codes(new, new, 0.7)] == ["low", "low"]


KNOWN = {"where": "camera=C2", "reason": "the mannequin", "until": "2020-01-31"}


def test_a_known_failure_expects_errors_only_where_it_names_them() -> None:
    plain, named = parse_settings({"known": [KNOWN, {**KNOWN, "kinds": ["error", "low"]}]}).known
    assert read_expected_kinds(plain) == tuple(kind for kind in KINDS if kind != "error")
    assert read_expected_kinds(named) == ("error", "low")


def test_a_known_failure_of_an_unknown_kind_is_refused() -> None:
    (known,) = parse_settings({"known": [{**KNOWN, "kinds": ["eror"]}]}).known
    with pytest.raises(SettingsError, match=r"\[\[tool.segqa.known\]\] kinds must be one of error, .*'eror'"):
        read_expected_kinds(known)


def test_each_kind_says_what_it_is_and_what_to_try() -> None:
    assert [kind.code for kind in KINDS.values()] == list(range(len(KINDS)))
    for kind in KINDS.values():
        assert kind.meaning[0].islower()
        assert not kind.meaning.endswith(".")
        assert kind.action[0].isupper()
        assert kind.action_for_one_mask[0].isupper()


@pytest.mark.parametrize("threshold", [0.0, 0.02, 0.05])
def test_a_zero_iou_false_positive_fails_at_any_threshold(threshold: float) -> None:
    assert find_kind(outcome_of(Counts(4, 50, 46, 5), interior_counts=NOTHING), threshold) == "wrong_object"
    assert find_kind(outcome_of(Counts(0, 5, 0, 5), interior_counts=NOTHING), threshold) == "hallucinated"
    assert find_kind(outcome_of(Counts(0, 0, 5, 5), interior_counts=NOTHING), threshold) == "missed"
