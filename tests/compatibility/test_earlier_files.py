"""A store and a baseline of 2026-12-01, before the packages and classes got their present names.

They were written by `segqa.evaluate` over six images of 24 × 32 pixels, one of each kind of result.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import segqa
from segqa.gate.policy import judge_with_settings
from segqa.inference.proposal_cache import ProposalCache
from segqa.runs.run import Run
from segqa.runs.store import Store, find_unchecked
from segqa.settings import Settings

HERE = Path(__file__).parent
IOUS = {"A_0": 1.0, "A_2": 0.5, "A_4": 0.0, "B_1": 0.0, "B_3": 140 / 188, "B_5": 0.0}
KINDS = {"A_2": "partial", "A_4": "wrong_object", "B_1": "missed", "B_5": "hallucinated"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A copy, so that nothing here changes the files."""
    return Store(Path(shutil.copytree(HERE / "store", tmp_path / "store")))


@pytest.fixture
def run(store: Store) -> Run:
    return store.load(store.run_ids()[-1])


def test_a_run_of_before_is_read(store: Store, run: Run) -> None:
    assert {outcome.case_id: run.iou(outcome) for outcome in run.outcomes} == pytest.approx(IOUS)
    assert {outcome.case_id: kind for outcome in run.outcomes if (kind := run.kind(outcome))} == KINDS
    assert run.where("camera=A").mean_iou == pytest.approx(0.5)
    assert find_unchecked(store.run_folder(run.id)) == ""


def test_its_proposals_are_read(store: Store, run: Run) -> None:
    key = bytes.fromhex(next(iter(run.columns.keys)))
    with ProposalCache(store.proposals_path(run.id)) as cache:
        answer = cache.get(key)
    assert answer is not None
    assert answer.proposals.masks.shape == (2, 24, 32)


def test_a_baseline_of_before_is_read_and_is_identical(run: Run) -> None:
    baseline = segqa.read_baseline(HERE / "bright.jsonl")
    verdict = judge_with_settings(Settings(), segqa.compare(baseline, run))
    assert verdict.name == "identical"
    assert verdict.passed


def test_another_picker_is_replayed_from_it(run: Run) -> None:
    assert segqa.replay(run, "box_score").mean_iou == pytest.approx(1 / 6)


def test_the_page_of_a_run_of_before_is_written(run: Run, store: Store, tmp_path: Path) -> None:
    page = segqa.write_report(run, tmp_path / "page", directory=store.root)
    assert "hallucinated" in page.read_text(encoding="utf-8")
