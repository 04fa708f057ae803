from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segqa.errors import BaselineError
from segqa.gate.baseline import read_baseline, write_baseline
from segqa.gate.baseline_update import prepare_update, refuse_unfit
from segqa.gate.comparison import compare
from segqa.gate.policy import build_policy, judge_with_settings
from segqa.runs.provenance import write_changes
from segqa.runs.run import Run
from segqa.settings import Settings, parse_settings
from segqa.support.git import Changes, WorkTree
from tests.gate.paired_runs import run_of

SETTINGS = Settings()
NOISE = np.random.default_rng(0).normal(0, 0.05, 200)


def update(path: Path, run: Run, reason: str = "", settings: Settings = SETTINGS) -> dict[str, Any]:
    """Update the baseline as a session and the command line do; return its header."""

    def judge() -> Any:
        return judge_with_settings(settings, compare(read_baseline(path), run))

    prepare_update(path, run, judge, build_policy(settings, run.model), reason=reason, root=path.parent).write()
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8").partition("\n")[0])
    return found


def lost(mean: float, noise: bool = True) -> Run:
    """A run whose mean IoU is lower by so much, though no drop beyond 0.002 is proven."""
    ious = 0.8 + (NOISE - NOISE.mean() if noise else 0 * NOISE) - mean
    return run_of(ious.tolist())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "unet.jsonl"


def test_the_first_baseline_is_its_own_reference(path: Path) -> None:
    header = update(path, lost(0))
    assert header["reference"]["mean_iou"] == pytest.approx(0.8, abs=1e-4)
    assert header["drift"]["mean_iou"] == 0
    assert header["accepted"] == []
    assert header["policy"]["rules"] == sorted(map(str, build_policy(SETTINGS, "unet").rules))


def test_the_same_run_gives_the_same_bytes(path: Path) -> None:
    update(path, lost(0))
    before = path.read_bytes()
    update(path, lost(0))
    assert path.read_bytes() == before


def test_eight_updates_that_lose_less_than_the_tolerance_end_in_a_refusal(path: Path) -> None:
    update(path, lost(0))
    first = update(path, lost(0.0017))
    assert first["drift"]["mean_iou"] == pytest.approx(-0.0017, abs=1e-4)
    for step in range(2, 9):
        with pytest.raises(
            BaselineError, match=r"add up to -0\.0.*, beyond the rule mean_iou:-0\.002; this one .* by -0"
        ):
            update(path, lost(0.0017 * step))


def test_gains_that_are_not_proven_count_against_losses(path: Path) -> None:
    update(path, lost(0))
    gain = run_of((0.801 + (NOISE - NOISE.mean())[::-1]).tolist())
    assert update(path, gain)["drift"]["mean_iou"] == pytest.approx(0.001, abs=1e-4)
    assert update(path, lost(0.001))["drift"]["mean_iou"] == pytest.approx(-0.001, abs=1e-4)


def test_a_small_proven_gain_does_not_hide_what_was_lost_before(path: Path) -> None:
    update(path, lost(0))
    update(path, lost(0.0018))
    assert update(path, lost(0.0017))["drift"]["mean_iou"] == pytest.approx(-0.0017, abs=1e-4)
    with pytest.raises(BaselineError, match=r"add up to -0\.0035"):
        update(path, lost(0.0035))


def test_a_reason_is_kept_and_begins_anew(path: Path) -> None:
    update(path, lost(0))
    header = update(path, lost(0.0029), "smaller weights")
    assert header["accepted"] == ["smaller weights"]
    assert header["drift"]["mean_iou"] == 0
    assert header["reference"]["mean_iou"] == pytest.approx(0.7971, abs=1e-4)


def test_a_reason_that_nothing_needs_is_not_kept(path: Path) -> None:
    update(path, lost(0))
    header = update(path, lost(0.001), "because")
    assert header["accepted"] == []
    assert header["drift"]["mean_iou"] == pytest.approx(-0.001, abs=1e-4)


def test_a_proven_gain_begins_anew_so_that_it_cannot_be_lost_in_small_steps(path: Path) -> None:
    update(path, lost(0))
    header = update(path, lost(-0.05))
    assert header["drift"]["mean_iou"] == 0
    assert header["reference"]["mean_iou"] == pytest.approx(0.85, abs=1e-4)


def test_a_regression_needs_a_reason(path: Path) -> None:
    update(path, lost(0))
    with pytest.raises(BaselineError, match="the run is a regression:\nunet: regressed"):
        update(path, lost(0.05))
    assert update(path, lost(0.05), "so be it")["accepted"] == ["so be it"]


def without(run: Run, count: int) -> Run:
    """The run without its first cases."""
    return replace(run, outcomes=run.outcomes[count:], expected=run.expected[count:])


def test_cases_that_go_need_a_reason_whatever_the_rules(path: Path) -> None:
    settings = parse_settings({"gate": {"fail_on": ["missing:off"]}})
    update(path, lost(0), settings=settings)
    with pytest.raises(BaselineError, match="20 cases of the baseline are not in the run, such as 0000"):
        update(path, without(lost(0), 20), settings=settings)
    assert update(path, without(lost(0), 20), "duplicates", settings)["cases"] == 180


def test_what_was_relaxed_needs_a_reason(path: Path) -> None:
    update(path, lost(0))
    looser = parse_settings({"gate": {"fail_on": ["mean_iou:-0.5", "slice(*).mean_iou:off"]}})
    with pytest.raises(BaselineError, match=r"relaxed since .*: rule mean_iou:-0\.002 → mean_iou:-0\.5"):
        update(path, lost(0.3), settings=looser)
    header = update(path, lost(0.03), "a smaller model", looser)
    assert "mean_iou:-0.5" in header["policy"]["rules"]


def test_other_gated_means_drift_too(path: Path) -> None:
    settings = parse_settings({"gate": {"fail_on": ["mean_iou:off", "mean_dice:-0.001"]}})
    update(path, lost(0), settings=settings)
    with pytest.raises(BaselineError, match=r"beyond the rule mean_dice:-0\.001"):
        update(path, lost(0.0025), settings=settings)


def test_a_baseline_without_a_reference_begins_at_its_own_means(path: Path) -> None:
    update(path, lost(0))
    header, rows = path.read_text(encoding="utf-8").split("\n", 1)
    older = {key: value for key, value in json.loads(header).items() if key not in ("reference", "drift", "digest")}
    path.write_text(f"{json.dumps(older)}\n{rows}", encoding="utf-8")
    header_now = update(path, lost(0.0015))
    assert header_now["reference"]["mean_iou"] == pytest.approx(0.8, abs=1e-4)
    assert header_now["drift"]["mean_iou"] == pytest.approx(-0.0015, abs=1e-4)


def test_an_edited_baseline_is_replaced_for_a_reason_only(path: Path) -> None:
    update(path, lost(0))
    path.write_text(
        path.read_text(encoding="utf-8").replace('"drift":{"mean_iou":0.0', '"drift":{"mean_iou":0.9'), encoding="utf-8"
    )
    with pytest.raises(BaselineError, match="was edited after it was written"):
        update(path, lost(0))
    assert update(path, lost(0), "repaired")["accepted"] == ["repaired"]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("committed", [False, True], ids=["deleted", "deletion committed"])
def test_a_baseline_that_was_deleted_is_not_written_anew_without_a_reason(path: Path, *, committed: bool) -> None:
    git(path.parent, "init", "-q")
    update(path, lost(0))
    git(path.parent, "add", "-A")
    git(path.parent, "commit", "-qm", "a baseline")
    path.unlink()
    if committed:
        git(path.parent, "commit", "-qam", "no baseline")
    with pytest.raises(BaselineError, match="is gone, but git knows it"):
        update(path, lost(0.5))
    assert update(path, lost(0.5), "another data set")["accepted"] == ["another data set"]


def refuse(run: Run, errors: float = 0.0) -> None:
    refuse_unfit(run, errors, tree=WorkTree(), allow_dirty=False)


def made_with(changes: Changes | None, **provenance: object) -> Run:
    written = {"commit": "c" * 40, **write_changes(changes), "command": "pytest suites -q"}
    return run_of([0.9] * 4, provenance={**written, **provenance})


def test_a_run_made_with_changes_is_refused_although_they_were_reverted(tmp_path: Path) -> None:
    run = made_with(Changes(("model.py (changed)",), 1, "1"))
    said = (
        r"made with uncommitted changes \(model.py \(changed\)\).*evaluate again \(pytest suites -q\), or --segqa-allow"
    )
    with pytest.raises(BaselineError, match=said):
        refuse(run)
    notes = refuse_unfit(run, 0, tree=WorkTree(tmp_path), allow_dirty=True)
    assert [note for note in notes if "model.py (changed)" in note]


def test_an_older_run_is_judged_by_what_it_has(tmp_path: Path) -> None:
    provenance = dict(made_with(None).provenance)
    del provenance["changes"]
    with pytest.raises(BaselineError, match=r"uncommitted changes \(no list of them was kept\)"):
        refuse(run_of([0.9] * 4, provenance={**provenance, "dirty": True}))
    clean = run_of([0.9] * 4, provenance=provenance)
    assert refuse_unfit(clean, 0, tree=WorkTree(tmp_path), allow_dirty=False) == ()


def test_that_git_did_not_know_the_work_tree_is_said(tmp_path: Path) -> None:
    (note,) = refuse_unfit(made_with(None, commit=""), 0, tree=WorkTree(tmp_path), allow_dirty=False)
    assert "nobody can check that it was committed" in note


def test_that_a_run_is_of_another_commit_is_said(path: Path) -> None:
    git(path.parent, "init", "-q")
    git(path.parent, "commit", "-qm", "one", "--allow-empty")
    (note,) = refuse_unfit(made_with(Changes()), 0, tree=WorkTree(path.parent), allow_dirty=False)
    assert "was made at commit cccccccccc, which this repository does not have" in note


def test_a_run_merged_of_shards_of_several_commits_is_refused(tmp_path: Path) -> None:
    parts = [{"shard": "1/2", "commit": "a" * 40}, {"shard": "2/2", "commit": "b" * 40}]
    run = made_with(Changes(), commit="", parts=parts)
    with pytest.raises(BaselineError, match=r"aaaaaaaaaa \(shard 1/2\) and bbbbbbbbbb \(shard 2/2\)"):
        refuse(run)
    refuse_unfit(run, 0, tree=WorkTree(tmp_path), allow_dirty=True)
    refuse(made_with(Changes(), parts=[parts[0], {**parts[0], "shard": "2/2"}]))


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (run_of([0.9] * 4, provenance={"options": {"limit": 4}}), r"a part of a data set \(with --segqa-limit\)"),
        (replace(run_of([0.9] * 4), expected=("x", *run_of([0.9] * 4).expected)), "1 case is missing"),
        (run_of([0.9, None]), "unet has 1 error, more than the budget of 0%"),
    ],
    ids=["narrowed", "missing", "errors"],
)
def test_a_run_that_says_too_little_is_refused(run: Run, problem: str) -> None:
    with pytest.raises(BaselineError, match=problem):
        refuse(run)
    refuse(run_of([0.9, None]), 0.5)


def drift_of(path: Path, runs: Sequence[Run]) -> float:
    """The drift after some updates."""
    for run in runs:
        header = update(path, run)
    return float(header["drift"]["mean_iou"])


def test_drift_is_the_sum_of_paired_changes_not_of_means(path: Path) -> None:
    write_baseline(path, lost(0, noise=False), policy=build_policy(SETTINGS, "unet").to_header())
    easy = run_of([0.8] * 200 + [1.0] * 100)
    assert drift_of(path, [easy]) == 0


@pytest.mark.parametrize("gain", [0.001, 0.03])
def test_cases_that_collapse_over_several_updates_need_a_reason(path: Path, gain: float) -> None:
    def sink(step: int) -> Run:
        others = 0.7 + gain * step + NOISE / 10
        return run_of([0.93 - 0.16 * step, *others.tolist()])

    for step in range(4):
        update(path, sink(step))
    with pytest.raises(BaselineError, match=r"1 case has collapsed over several updates: 0000 0\.9300 → 0\.2900"):
        update(path, sink(4))
    assert "fallen" not in update(path, sink(4), "a blurred photo")
    assert update(path, sink(5))["fallen"] == {"0000": pytest.approx(0.29)}


def test_a_case_that_recovers_has_not_fallen(path: Path) -> None:
    for iou in (0.93, 0.77, 0.9):
        header = update(path, run_of([iou, *(0.7 + NOISE / 10).tolist()]))
    assert "fallen" not in header
