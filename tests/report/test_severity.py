"""Robustness and behaviour on the review page."""

from __future__ import annotations

from pathlib import Path

import pytest

from segqa.analysis.robustness.result import Robustness, link_robustness, write_robustness
from segqa.analysis.robustness.stability import PerturbationOutcome
from segqa.report.charts import robustness_section
from segqa.report.session_result import BehaviourResult, SessionResult, behaviour_table, read_ending, write_ending
from segqa.report.terminal import steadiness
from segqa.report.write import write_report
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.scoring.metrics import Counts
from tests.outcomes import outcome_of
from tests.report.test_pytest_html_summary import Tags

NAN = float("nan")
BLUR = [
    PerturbationOutcome("x", "blur", severity, 0.9, iou, agreement)
    for severity, iou, agreement in ((1, 0.8, 0.85), (2, 0.5, 0.5))
]
TRIALS = (
    *BLUR,
    PerturbationOutcome("x", "blur", 3, 0.9, NAN, NAN, "error"),
    PerturbationOutcome("x", "jpeg", 1, 0.9, 0.9, 0.95),
    PerturbationOutcome("x", "blank", 1, 0.9, 0.0, NAN, "hallucinated"),
    PerturbationOutcome("x", "blank", 2, 0.9, 1.0, NAN),
)
RUN = Run("r", "m", "d", ("x",), (outcome_of(Counts(9, 0, 0, 9), "x"),), "product")


def measured(trials: tuple[PerturbationOutcome, ...] = TRIALS) -> Robustness:
    return Robustness(model="m", dataset="d", run="r-changed", cases=1, left_out=("y",), trials=trials)


def page(folder: Path, ending: SessionResult | None = None) -> Tags:
    store = Store(folder)
    write_robustness(measured(), store, "abc")
    link_robustness(store, "r", "r-changed")
    if ending:
        write_ending(ending, store, "r")
    return Tags(write_report(RUN, folder / "page", directory=folder).read_text(encoding="utf-8"))


def test_a_page_that_is_made_again_finds_what_was_measured(tmp_path: Path) -> None:
    words = page(tmp_path).words
    assert "6 changed images of 1 case (1 more could not be evaluated unchanged), 1 of them an error" in words
    assert "Something is predicted in 1 of 2 blank images" in words
    assert "segqa report r-changed --open" in words
    assert "blurred by 0.002 of the diagonal0.50000.40000.50000" in words


def test_without_a_measurement_there_is_no_such_section(tmp_path: Path) -> None:
    text = write_report(RUN, tmp_path / "page", directory=tmp_path).read_text(encoding="utf-8")
    assert "Robustness" not in Tags(text).words


def test_each_change_has_a_chart_that_can_be_heard() -> None:
    curves = robustness_section(measured())["curves"]
    assert [curve["name"] for curve in curves] == ["jpeg", "blur"]
    told = "severity 0: IoU 0.90, agreement 1.00, severity 1: IoU 0.80, agreement 0.85"
    assert f'role="img" aria-label="blur, mean IoU and agreement by severity: {told}' in curves[1]["drawn"]


def test_the_least_steady_change_is_told() -> None:
    told = steadiness(measured())
    assert told[0] == "  robustness: 1 case, 6 changed images, run r-changed"
    least = "least steady under blur 1 (blurred by 0.001 of the diagonal)"
    assert told[1] == f"    {least}: agreement 0.8500, mean IoU 0.9000 → 0.8000"
    assert len(steadiness(measured(()))) == 1


def test_behaviour_is_a_table_of_capabilities(tmp_path: Path) -> None:
    found = (BehaviourResult("lighting", "INV", 5, 1), BehaviourResult("emptiness", "MFT", 0, 2))
    assert behaviour_table(found).rows == (
        ("emptiness", "2 failed", None, None),
        ("lighting", None, "5 passed, 1 failed", None),
    )
    ending = SessionResult((("t", "why"),), {"failed": 3}, complete=True, behaviour=found)
    assert "Behaviour" in page(tmp_path, ending).words
    assert read_ending(Store(tmp_path), "r") == ending


@pytest.mark.parametrize("ending", [None, SessionResult((), {"passed": 1})])
def test_without_marked_tests_there_is_no_table(tmp_path: Path, ending: SessionResult | None) -> None:
    assert "Behaviour" not in page(tmp_path, ending).words
