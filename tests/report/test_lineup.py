import math

import numpy as np
import pytest
from scipy import stats

from segqa.metrics import Counts
from segqa.outcome import Offer, Outcome
from segqa.report.lineup import flip_table, line_up, mean_interval, pick_lab
from segqa.run import Run
from tests.outcomes import outcome_of

WRONG, RIGHT = Counts(0, 9, 9, 9), Counts(9, 0, 0, 18)
LOST = Outcome(
    case_id="lost",
    offers=(Offer(WRONG, WRONG, 0.9, 0.1), Offer(RIGHT, RIGHT, 0.8, 0.8)),
    picked=0,
    nothing=Counts(0, 0, 9, 18),
    seconds=0.5,
)


def run_of(*outcomes: Outcome, **provenance: object) -> Run:
    ids = tuple(outcome.case_id for outcome in outcomes)
    return Run("r", "unet", "photos", ids, outcomes, "mask_score", provenance=provenance)


def test_the_interval_is_students() -> None:
    ious = np.random.default_rng(0).random(50)
    expected = stats.t.interval(0.95, 49, loc=ious.mean(), scale=stats.sem(ious))
    assert mean_interval(ious) == pytest.approx(expected)


def test_one_case_has_no_interval() -> None:
    assert all(math.isnan(bound) for bound in mean_interval(np.array([0.5])))


def test_models_stand_side_by_side() -> None:
    table = line_up([run_of(LOST, outcome_of(RIGHT, "good", seconds=0.1), weights_bytes=2_500_000), run_of()])
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert (row["mean IoU"], row["zeros"], row["failing"]) == (0.5, 1, 1)
    assert row["s a case"] == 0.3
    assert row["weights kB"] == 2500
    assert "–" in table.render().splitlines()[2]


def test_errors_show_in_the_number_of_cases() -> None:
    table = line_up([run_of(LOST, outcome_of(None, "broken"))])
    assert "1 scored, 0 missing, 1 errors" in table.rows[0]


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
