from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segqa.errors import BaselineError
from segqa.gate.latency import Speed, compute_speed, get_speed_path, keep_speed, read_speeds
from segqa.runs.run import Run

HERE = "Some CPU, 2 cores, batches of 8"


def run_with(**provenance: Any) -> Run:
    return Run(id="r", model="unet", dataset="photos", expected=(), outcomes=(), pick="first", provenance=provenance)


def taken(cases: int) -> dict[str, Any]:
    stages = {"infer": {"cases": cases, "total": 1.0, "p50": 0.05, "p95": 0.07}}
    return {"stages": stages, "hardware": "Some CPU, 2 cores", "batch_size": 8}


def test_the_speed_of_a_run_is_that_of_the_model_where_it_was_asked() -> None:
    assert compute_speed(run_with(**taken(20))) == Speed(HERE, 20, 0.05, 0.07)


@pytest.mark.parametrize("provenance", [{}, {"stages": {}}, taken(19)], ids=["old", "all stored", "too few"])
def test_a_run_that_hardly_asked_has_none(provenance: dict[str, Any]) -> None:
    assert compute_speed(run_with(**provenance)) is None


def test_it_is_kept_beside_the_baseline_for_each_machine(tmp_path: Path) -> None:
    path = get_speed_path(tmp_path, run_with())
    assert path == tmp_path / "photos" / "unet.speed.json"
    assert read_speeds(path) == {}
    first, other = Speed(HERE, 20, 0.05, 0.07), Speed("another", 30, 0.5, 0.7)
    assert keep_speed(path, first)
    assert keep_speed(path, other)
    assert read_speeds(path) == {HERE: first, "another": other}


@pytest.mark.parametrize(
    ("p50", "written"), [(0.05, False), (0.059, False), (0.042, False), (0.065, True), (0.04, True)]
)
def test_what_is_nearly_the_same_changes_no_byte(tmp_path: Path, p50: float, written: bool) -> None:
    path = tmp_path / "unet.speed.json"
    keep_speed(path, Speed(HERE, 20, 0.05, 0.07))
    before = path.read_bytes()
    assert keep_speed(path, Speed(HERE, 20, p50, 0.07)) == written
    assert (path.read_bytes() != before) == written


def test_small_slowdowns_are_counted_from_the_reference(tmp_path: Path) -> None:
    path, speeds = tmp_path / "unet.speed.json", [Speed(HERE, 20, p50, 0.2) for p50 in (0.05, 0.07, 0.09)]
    for speed in speeds[:2]:
        assert keep_speed(path, speed)
    kept = read_speeds(path)[HERE]
    assert kept.reference == 0.05
    assert "1.8 times as long as the reference (0.05 s)" in speeds[2].describe_slowdown(kept, 1.5)
    assert not speeds[2].describe_slowdown(speeds[1], 1.5)


@pytest.mark.parametrize(("p50", "accepted"), [(0.02, False), (0.5, True)], ids=["faster", "accepted"])
def test_a_faster_or_accepted_speed_is_the_new_reference(tmp_path: Path, p50: float, accepted: bool) -> None:
    path = tmp_path / "unet.speed.json"
    keep_speed(path, Speed(HERE, 20, 0.05, 0.07))
    assert keep_speed(path, Speed(HERE, 20, p50, 0.7), accepted=accepted)
    assert read_speeds(path)[HERE].reference is None


GOOD = {"cases": 20, "p50": 0.05, "p95": 0.07}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"segqa_speed": 2, "machines": {}}',
        '{"segqa_speed": 1}',
        json.dumps({"segqa_speed": 1, "machines": [GOOD]}),
        json.dumps({"segqa_speed": 1, "machines": {"x": {**GOOD, "p50": 0}}}),
        json.dumps({"segqa_speed": 1, "machines": {"x": {**GOOD, "p50": "fast"}}}),
        json.dumps({"segqa_speed": 1, "machines": {"x": {**GOOD, "p95": float("nan")}}}),
        json.dumps({"segqa_speed": 1, "machines": {"x": {**GOOD, "p99": 1}}}),
        json.dumps({"segqa_speed": 1, "machines": {"x": {"p50": 1}}}),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "unet.speed.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BaselineError, match=r"unet\.speed\.json (is damaged|has version 2, expected 1)"):
        read_speeds(path)


def test_a_growth_within_the_noise_is_no_slowdown() -> None:
    tiny, slow = Speed("laptop", 100, 0.00002, 0.00003), Speed("laptop", 100, 0.02, 0.03)
    assert 0.0005 < tiny.limit(1.5) < 0.00053
    assert slow.limit(1.5) == pytest.approx(0.03)


def test_a_change_within_the_noise_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.speed.json"
    assert keep_speed(path, Speed("laptop", 100, 0.00002, 0.00003))
    assert not keep_speed(path, Speed("laptop", 100, 0.0001, 0.0002))
    assert keep_speed(path, Speed("laptop", 100, 0.001, 0.002))
