import math

import numpy as np
import pytest
from scipy import stats

from segqa.errors import ProposalsError
from segqa.report.tables import flip_table, line_up, pick_lab
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from segqa.stats.permutation_test import compute_t_interval
from tests.outcomes import outcome_of

WRONG, RIGHT = Counts(0, 9, 9, 9), Counts(9, 0, 0, 18)
LOST = Outcome(
    case_id="lost",
    proposal_scores=(ProposalScore(WRONG, WRONG, 0.9, 0.1), ProposalScore(RIGHT, RIGHT, 0.8, 0.8)),
    picked=0,
    empty_prediction=Counts(0, 0, 9, 18),
    seconds=0.5,
)


def run_of(*outcomes: Outcome, **provenance: object) -> Run:
    ids = tuple(outcome.case_id for outcome in outcomes)
    return Run("r", "unet", "photos", ids, outcomes, "mask_score", provenance=provenance)


def test_the_interval_is_students() -> None:
    ious = np.random.default_rng(0).random(50)
    expected = stats.t.interval(0.95, 49, loc=ious.mean(), scale=stats.sem(ious))
    found = compute_t_interval(ious)
    assert (found.low, found.high) == pytest.approx(expected)


def test_one_case_has_no_interval() -> None:
    found = compute_t_interval(np.array([0.5]))
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_intervals_count_groups_in_the_runs_that_have_the_tag() -> None:
    counts = [Counts(tp, 0, 1000 - tp, 10) for tp in (510, 500, 495, 485)]
    alone = run_of(*(outcome_of(each, f"{n}") for n, each in enumerate(counts)))
    grouped = run_of(*(outcome_of(each, f"{n}", tags={"video": f"v{n // 2}"}) for n, each in enumerate(counts)))
    bounds = stats.t.interval(0.95, 1, loc=0.4975, scale=0.0075)
    shown = [row[5] for row in line_up([alone, grouped, alone], "video").rows]
    assert shown[1] == "{:.4f} to {:.4f}".format(*bounds)
    assert shown[0] == shown[2] == line_up([grouped]).rows[0][5]


def test_models_stand_side_by_side() -> None:
    table = line_up([run_of(LOST, outcome_of(RIGHT, "good", seconds=0.1), weights_bytes=2_500_000), run_of()])
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert (row["mean IoU"], row["zeros"], row["failing"]) == (0.5, 1, 1)
    assert row["s a case"] == 0.3
    assert row["weights kB"] == 2500
    assert "–" in table.render().splitlines()[2]


def test_errors_show_in_the_number_of_cases() -> None:
    table = line_up([run_of(LOST, outcome_of(None, "broken"))])
    assert "1 scored, 0 missing, 1 error" in table.rows[0]


def test_the_pick_lab_replays_every_picker() -> None:
    table = pick_lab(run_of(LOST))
    rows = {str(row[0]): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows["mask_score (the run's)"]["mean IoU"] == 0
    assert rows["mask_score (the run's)"]["recoverable"] == 1
    assert rows["product"]["mean IoU"] == rows["(oracle)"]["mean IoU"] == 1
    assert rows["product"]["better"] == 1
    assert rows["product"]["regret"] == 0


def test_flips_are_listed() -> None:
    assert flip_table(run_of(LOST), "product").rows == (("lost", 0, 1, 0.0, 1.0),)
    assert flip_table(run_of(LOST), "mask_score").rows == ()


def test_logits_leave_the_product_out() -> None:
    logits = Outcome(
        case_id="logits",
        proposal_scores=(ProposalScore(WRONG, WRONG, -3.0, -2.0), ProposalScore(RIGHT, RIGHT, -1.0, 0.5)),
        picked=1,
        empty_prediction=Counts(0, 0, 9, 18),
        seconds=0.5,
    )
    pickers = [str(row[0]) for row in pick_lab(run_of(LOST, logits)).rows]
    assert "product" not in pickers
    assert "agreement" in pickers
    with pytest.raises(ProposalsError, match="product needs scores of 0 or more, got -3"):
        flip_table(run_of(logits), "product")


def test_the_interval_of_a_mean_stays_within_0_and_1() -> None:
    table = line_up([run_of(outcome_of(RIGHT, "a"), outcome_of(RIGHT, "b"), LOST)])
    assert str(table.rows[0][5]) == "0.0000 to 1.0000"
