from __future__ import annotations

import pytest

from segqa.gate.missed_thresholds import find_missed
from segqa.settings import Thresholds
from tests.gate.paired_runs import run_of

HALF = run_of([0.5] * 20)


def test_a_missed_bound_is_found_with_its_score() -> None:
    assert find_missed(Thresholds(mean_iou=0.9), HALF) == {"mean_iou": "mean_iou 0.5000 is below 0.9000"}


@pytest.mark.parametrize("thresholds", [Thresholds(mean_iou=0.4), Thresholds(p05=0.3)], ids=["mean", "p05"])
def test_a_bound_that_is_met_is_not_found(thresholds: Thresholds) -> None:
    assert not find_missed(thresholds, HALF)


def test_a_default_is_not_judged() -> None:
    assert not find_missed(Thresholds(), run_of([0.2] * 20))


def test_each_maximum_is_judged_from_above() -> None:
    blind = run_of([0.0] * 10 + [1.0] * 10)
    assert find_missed(Thresholds(wrong_object=0.1), blind) == {"wrong_object": "wrong_object 0.5000 is above 0.1000"}
