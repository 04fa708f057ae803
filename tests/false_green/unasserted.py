"""Bounds, speed and slices that no test judges any more."""

from __future__ import annotations

import json
import shutil

from segqa.runs.checksums import add_checksum
from tests.false_green.changes import append, put, rename, replace, setting, tables, update, worse
from tests.false_green.trial import ROOT, Ending, Trial
from tests.false_green.way import Ways

UNASSERTED = Ways("what no test judges")

QUALITY = "suites/test_quality.py"
HIGH = tables("[tool.segqa.thresholds]\nmean_iou = 0.99")
LOWER = """
@pytest.fixture(scope="session")
def thresholds():
    return segqa.Thresholds(mean_iou=0.5)
"""
XFAIL = ("from segqa", 'pytestmark = __import__("pytest").mark.xfail(strict=False)\nfrom segqa')
SLICE = """import pytest


@pytest.mark.segqa_slice("first", where="video=v0", min_cases={})
def test_first(evaluation):
    assert evaluation.mean_iou > 0.9
"""
OFF = tables('[tool.segqa.gate]\nfail_on = ["mean_iou:off", "slice(*).mean_iou:off"]')
_MISSED = "ERROR: segqa: mine: mean_iou 0.8…is below 0.9900; no test failed for it"

for _name, _change, _slow in (
    ("the suite of a missed bound is renamed", rename(QUALITY, "suites/quality_checks.py"), False),
    ("the suite of a missed bound is an expected failure", replace(QUALITY, XFAIL), True),
    ("a fixture lowers a missed bound", append("conftest.py", LOWER), True),
):
    UNASSERTED.add(_name, 1, _MISSED, worse(OFF, HIGH, _change), slow=_slow)

UNASSERTED.add(
    "a missed bound is deselected", 1, _MISSED, worse(OFF, HIGH, options=["-k", "not test_mean_iou"]), slow=True
)
UNASSERTED.add(
    "a marked slice has fewer cases than its test wants",
    0,
    "slice 'first' (video=v0) has 3 cases, fewer than 4: its tests judge nothing",
    worse(OFF, put("suites/test_own.py", SLICE.format(4))),
    slow=False,
)


@UNASSERTED.way(0, "relaxed since the baseline: robustness cases 50 → 0")
def the_robustness_suite_is_switched_off(trial: Trial) -> Ending:
    tables("[tool.segqa.robustness]\ncases = 0")(trial)
    return trial.run()


@UNASSERTED.way(0, "relaxed since the baseline: training data sets 1 → 0")
def the_training_data_is_not_named_any_more(trial: Trial) -> Ending:
    setting('train_dataset = "squares"')(trial)
    update(trial)
    trial.edit("pyproject.toml", ('train_dataset = "squares"\n', ""))
    return trial.run()


def keep_fast(trial: Trial) -> None:
    """Keep a speed of a hundredth of the real one, and let the model sleep."""
    trial.edit("network.py", ("prompts):\n", 'prompts):\n        __import__("time").sleep(0.02 * len(images))\n'))
    update(trial, "--segqa-accept=it sleeps")
    path = next(trial.path.glob("baselines/*/mine.speed.json"))
    content = json.loads(path.read_text(encoding="utf-8"))
    for taken in content["machines"].values():
        taken["p50"] /= 100
    del content["checksum"]
    path.write_text(json.dumps(add_checksum(content)), encoding="utf-8")


@UNASSERTED.way(0, "speed of mine is not judged, though the baseline has one: its answers are stored")
def a_slower_model_is_run_again_with_stored_answers(trial: Trial) -> Ending:
    trial.edit("network.py", ("class Network:\n", 'class Network:\n    fingerprint = "v1"\n\n'))
    keep_fast(trial)
    shutil.copy(ROOT / "suites" / "test_speed.py", trial.path / "suites" / "test_speed.py")
    return trial.run()


@UNASSERTED.way(0, "times as long as the reference")
def a_slower_model_has_no_test_of_speed(trial: Trial) -> Ending:
    keep_fast(trial)
    return trial.run("--segqa-refresh-cache")


@UNASSERTED.way(4, "times as long as the reference")
def a_slower_speed_is_written_without_a_reason(trial: Trial) -> Ending:
    keep_fast(trial)
    return trial.run("--segqa-update-baseline", "--segqa-refresh-cache")


@UNASSERTED.way(0, "only 6 cases of squares: the settings say limit = 6")
def the_settings_limit_the_cases(trial: Trial) -> Ending:
    setting("limit = 6")(trial)
    update(trial, "--segqa-accept=a first try")
    return trial.run()
