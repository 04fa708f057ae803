from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from segqa.gate.baseline import read_baseline, write_baseline
from segqa.gate.comparison import compare
from segqa.gate.policy import build_policy, find_idle_thresholds, find_relaxed, judge_with_settings
from segqa.gate.rules import parse_rule
from segqa.gate.verdict import Verdict
from segqa.runs.run import Run
from segqa.settings import GateSettings, KnownFailure, RobustnessSettings, Settings, Thresholds, parse_settings
from tests.gate.paired_runs import run_of

KNOWN = {"where": "camera=C2", "reason": "x", "until": "2020-01-31"}


def settings_of(gate: dict[str, Any] | None = None, **rest: Any) -> Settings:
    return parse_settings({"gate": gate or {}, **rest})


def relaxed(before: Settings, now: Settings) -> tuple[str, ...]:
    return find_relaxed(build_policy(before, "unet").to_header(), build_policy(now, "unet"))


def rules(*texts: str) -> Settings:
    return settings_of({"fail_on": list(texts)} if texts else {})


def thresholds(**values: float) -> Settings:
    return settings_of(thresholds=values)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (rules(), rules("broken:off"), ["rule broken:0 → off"]),
        (rules(), rules("broken:1000"), ["rule broken:0 → broken:1000"]),
        (rules(), rules("mean_iou:-0.9"), ["rule mean_iou:-0.002 → mean_iou:-0.9"]),
        (rules("mean_iou:-0.00001"), rules(), ["rule mean_iou:-0.00001 → mean_iou:-0.002"]),
        (rules("wrong_object:+0"), rules(), ["rule wrong_object:+0 → off"]),
        (rules("wrong_object:+1"), rules("wrong_object:+1%"), ["rule wrong_object:+1 → wrong_object:+1%"]),
        (rules("slice(camera).mean_iou:-0.1"), rules("slice(*).mean_iou:-0.2"),
         ["rule slice(*).mean_iou:-0.002 → slice(*).mean_iou:-0.2", "rule slice(camera).mean_iou:-0.1 → off"]),
        (settings_of({"alpha": 0.05}), settings_of({"alpha": 0.001}), ["alpha 0.05 → 0.001"]),
        (settings_of(), settings_of({"group_by": "video"}), ["group_by none → video"]),
        (settings_of({"group_by": "video"}), settings_of(), ["group_by video → none"]),
        (thresholds(mean_iou=0.85), thresholds(mean_iou=0.8), ["threshold mean_iou 0.85 → 0.8"]),
        (thresholds(seconds_p95=1), thresholds(), ["threshold seconds_p95 1 → none"]),
        (thresholds(iou=0.7), thresholds(iou=0.9), ["threshold iou 0.7 → 0.9"]),
        (thresholds(), thresholds(wrong_object=1.0), ["threshold wrong_object 0.05 → 1"]),
        (settings_of(), settings_of(known=[KNOWN]), ["known failure camera=C2 (until 2020-01-31)"]),
        (settings_of(known=[{**KNOWN, "until": "2020-01-01"}]), settings_of(known=[KNOWN]),
         ["known failure camera=C2 (until 2020-01-31, before 2020-01-01)"]),
        (settings_of(known=[KNOWN]), settings_of(known=[{**KNOWN, "kinds": ["error"]}]),
         ["known failure camera=C2 (until 2020-01-31, before 2020-01-31)"]),
    ],
)  # fmt: skip
def test_what_was_relaxed_is_named(before: Settings, now: Settings, expected: list[str]) -> None:
    assert list(relaxed(before, now)) == expected


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (rules(), rules()),
        (rules("broken:3"), rules()),
        (rules(), rules("wrong_object:+0")),
        (thresholds(mean_iou=0.8, errors=0.1), thresholds(mean_iou=0.85)),
        (thresholds(), thresholds(seconds_p95=1)),
        (settings_of({"alpha": 0.01}), settings_of()),
        (settings_of(known=[KNOWN]), settings_of()),
        (settings_of(known=[KNOWN]), settings_of(known=[{**KNOWN, "until": "2019-01-31", "kinds": ["low"]}])),
    ],
)
def test_what_is_as_strict_or_stricter_is_not_named(before: Settings, now: Settings) -> None:
    assert not relaxed(before, now)


def test_a_models_own_thresholds_count() -> None:
    before = build_policy(settings_of(thresholds={"mean_iou": 0.5}), "unet").to_header()
    now = settings_of(thresholds={"mean_iou": 0.5, "unet": {"mean_iou": 0.1}})
    assert find_relaxed(before, build_policy(now, "unet")) == ("threshold mean_iou 0.5 → 0.1",)
    assert find_relaxed(before, build_policy(now, "langsam")) == ()


def test_the_order_of_the_settings_changes_no_header() -> None:
    other = {**KNOWN, "where": "camera=C1"}
    one = settings_of({"fail_on": ["missed:+0", "p05:-0.1"]}, known=[KNOWN, other])
    two = settings_of({"fail_on": ["p05:-0.1", "missed:+0"]}, known=[other, KNOWN])
    assert build_policy(one, "unet").to_header() == build_policy(two, "unet").to_header()


def kept(folder: Path, run: Run, settings: Settings | None) -> Run:
    """The baseline of a run under these settings."""
    path = folder / "unet.jsonl"
    write_baseline(path, run, policy=build_policy(settings, run.model).to_header() if settings else None)
    return read_baseline(path)


def judged(baseline: Run, after: Sequence[float | None], settings: Settings | GateSettings, **rest: Any) -> Verdict:
    return judge_with_settings(settings, compare(baseline, run_of(after)), **rest)


def test_a_verdict_names_what_was_relaxed_and_passes(tmp_path: Path) -> None:
    baseline = kept(tmp_path, run_of([0.9] * 40), settings_of())
    strict = judged(baseline, [0.0, *[0.9] * 39], settings_of())
    assert (strict.passed, strict.relaxed) == (False, ())
    verdict = judged(baseline, [0.0, *[0.9] * 39], rules("broken:off"))
    assert verdict.passed
    assert verdict.relaxed == ("rule broken:0 → off",)
    assert "note: relaxed since the baseline: rule broken:0 → off" in verdict.story.splitlines()
    typed = judged(baseline, [0.9] * 40, settings_of(), fail_on=["broken:2"], group_by="")
    assert typed.relaxed == ("rule broken:0 → broken:2",)


def test_the_gates_settings_alone_say_nothing_of_thresholds(tmp_path: Path) -> None:
    baseline = kept(tmp_path, run_of([0.9] * 40), settings_of(thresholds={"mean_iou": 0.8}))
    assert judged(baseline, [0.9] * 40, GateSettings()).relaxed == ()
    assert judged(baseline, [0.9] * 40, GateSettings(fail_on=("errors:off",))).relaxed == ("rule errors:+0 → off",)


def test_a_baseline_without_a_policy_says_so_and_the_default_rules_are_the_measure(tmp_path: Path) -> None:
    baseline = kept(tmp_path, run_of([0.9] * 40), None)
    verdict = judged(baseline, [0.9] * 40, rules("broken:off", "errors:+3", "p05:-0.1"))
    assert verdict.relaxed == ()
    assert any("the header of baseline unet has no policy" in note for note in verdict.notes)
    assert "looser than the default rules: broken:0 → off, errors:+0 → errors:+3" in verdict.notes


def test_two_runs_have_no_policy_to_compare() -> None:
    verdict = judge_with_settings(settings_of(), compare(run_of([0.9] * 40), run_of([0.9] * 40)))
    assert (verdict.relaxed, verdict.notes) == ((), ())


@pytest.mark.parametrize(
    ("rule", "idle"),
    [
        ("broken:40", True), ("broken:39", False), ("missing:1000", True), ("errors:+40", True), ("errors:+100%", True),
        ("errors:+99%", False), ("mean_iou:-0.9", True), ("mean_iou:-0.89", False), ("slice(*).mean_iou:-0.95", True),
        ("mean_dice:-0.99", True), ("p05:-0.9", True), ("p05:-0.5", False), ("regret:+0.5", False),
    ],
)  # fmt: skip
def test_a_rule_that_no_run_can_break_is_named(rule: str, *, idle: bool) -> None:
    verdict = judge_with_settings(rules(rule), compare(run_of([0.9] * 40), run_of([0.9] * 40)))
    assert (f"no run over these cases can break {rule}" in verdict.notes) is idle


def test_thresholds_that_no_run_can_miss_are_found() -> None:
    run = run_of([0.6] * 10)
    assert find_idle_thresholds(Thresholds(), run) == []
    idle = Thresholds(mean_iou=0.0, slice_drop=0.6, wrong_object=1.0, missed=1.0, errors=1.0, invariance=0.0)
    names = [text.partition(" ")[0] for text in find_idle_thresholds(idle, run)]
    assert names == ["errors", "invariance", "mean_iou", "missed", "slice_drop", "wrong_object"]
    assert find_idle_thresholds(replace(Thresholds(), slice_drop=0.59, mean_iou=0.01), run) == []


@pytest.mark.parametrize("text", ["mean_iou:-0.00001", "mean_iou:-0.0012345678", "missed:+1000000"])
def test_a_rule_is_written_so_that_it_can_be_read_again(text: str) -> None:
    assert str(parse_rule(text)) == text


def test_known_failures_are_kept_with_their_day() -> None:
    known = KnownFailure(where="camera=C2", reason="x", until=date(2020, 1, 31), kinds=("missed", "low"))
    header = build_policy(Settings(known=(known,)), "unet").to_header()
    assert header["known"] == [["camera=C2", "2020-01-31", "low missed"]]


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ((), []),
        (("new labels",), ["accepted in the baseline: new labels"]),
        (("a", "b", "c", "d", "e"), ["accepted in the baseline: c; d; e and 2 earlier"]),
    ],
)
def test_what_was_accepted_into_the_baseline_is_named(
    tmp_path: Path, reasons: tuple[str, ...], said: list[str]
) -> None:
    path = tmp_path / "unet.jsonl"
    write_baseline(path, run_of([0.9] * 4), reasons, policy={})
    notes = judge_with_settings(Settings(), compare(read_baseline(path), run_of([0.9] * 4))).notes
    assert [note for note in notes if note.startswith("accepted")] == said


@pytest.mark.parametrize(
    ("now", "change"),
    [
        ({"robustness": RobustnessSettings(cases=0), "train_dataset": "train"}, "robustness cases 50 → 0"),
        ({"robustness": RobustnessSettings(minutes=1), "train_dataset": "train"}, "robustness minutes 30 → 1"),
        ({}, "training data sets 1 → 0"),
    ],
)
def test_less_for_the_other_suites_is_relaxed(now: dict[str, Any], change: str) -> None:
    before = Settings(train_dataset="train")
    assert relaxed(before, Settings(**now)) == (change,)
    assert relaxed(Settings(**now), before) == ()
