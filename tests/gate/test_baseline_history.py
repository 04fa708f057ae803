from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segqa.gate.baseline import write_baseline
from segqa.gate.baseline_history import describe_lowered, find_parent
from segqa.gate.comparison import Comparison
from segqa.gate.policy import build_policy, judge_with_settings
from segqa.gate.verdict import Verdict
from segqa.settings import Settings, parse_settings
from tests.gate.paired_runs import run_of

STRICT = parse_settings({"thresholds": {"mean_iou": 0.9}})


def judge(comparison: Comparison) -> Verdict:
    return judge_with_settings(Settings(), comparison)


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-qm", "begin", "--allow-empty")
    return tmp_path / "unet.jsonl"


def commit(path: Path, iou: float, cases: int = 40, **values: Any) -> None:
    run = run_of([iou] * cases)
    write_baseline(path, replace(run, id="x"), **values)
    git(path.parent, "add", "-A")
    git(path.parent, "commit", "-qm", f"{iou}", "--allow-empty")


def described(path: Path) -> str:
    return describe_lowered(path, path.name, judge)


def test_the_first_baseline_lowers_nothing(path: Path) -> None:
    commit(path, 0.9)
    assert not described(path)


def test_a_lower_baseline_is_named_in_the_commit_that_lowers_it(path: Path) -> None:
    commit(path, 0.9)
    before = git(path.parent, "rev-parse", "HEAD")
    commit(path, 0.8)
    said = (
        f"this change lowers unet.jsonl (commit {before[:10]} has another): unet: regressed, mean IoU 0.9000 → 0.8000"
    )
    assert described(path).startswith(said)
    git(path.parent, "commit", "-qm", "later", "--allow-empty")
    assert not described(path)


@pytest.mark.parametrize(("iou", "cases"), [(0.95, 40), (0.9, 50)])
def test_a_higher_or_larger_baseline_is_nothing_to_mention(path: Path, iou: float, cases: int) -> None:
    commit(path, 0.9)
    commit(path, iou, cases)
    assert not described(path)


def test_a_loss_too_small_to_be_proven_is_named(path: Path) -> None:
    commit(path, 0.9)
    commit(path, 0.899)
    assert "mean IoU 0.9000 → 0.8990" in described(path)


def test_a_relaxed_policy_is_named(path: Path) -> None:
    commit(path, 0.9, policy=build_policy(STRICT, "unet").to_header())
    commit(path, 0.9, policy=build_policy(Settings(), "unet").to_header())
    assert described(path).endswith("; relaxed: threshold mean_iou 0.9 → 0.5")


def test_a_baseline_of_other_cases_is_named(path: Path) -> None:
    commit(path, 0.9)
    write_baseline(path, run_of([0.9] * 4))
    git(path.parent, "commit", "-qam", "few")
    assert described(path).startswith("this change replaces unet.jsonl (commit ")


def test_a_pull_request_is_compared_with_where_it_began(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(path, 0.9)
    begin = git(path.parent, "rev-parse", "HEAD")
    git(path.parent, "update-ref", "refs/remotes/origin/main", "HEAD")
    commit(path, 0.8)
    git(path.parent, "commit", "-qm", "later", "--allow-empty")
    assert not described(path)
    monkeypatch.setenv("GITHUB_BASE_REF", "main")
    assert find_parent(path.parent) == begin
    assert "mean IoU 0.9000 → 0.8000" in described(path)
    monkeypatch.setenv("GITHUB_BASE_REF", "lost")
    assert not described(path)


def test_outside_of_git_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "unet.jsonl"
    write_baseline(path, run_of([0.9] * 4))
    assert not described(path)
    assert not find_parent(tmp_path)
