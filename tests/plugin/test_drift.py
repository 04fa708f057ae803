"""Baselines that were edited or worn down by small steps, and settings that were relaxed, in whole sessions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Repository = pytest.Pytester

NOISY = '''

class Noisy:
    """Finds the square but for some of its pixels, more or fewer of them from case to case."""

    def __init__(self, lose=0):
        self.lose = lose
        self.fingerprint = f"noisy-{lose}"

    def predict(self, images, prompts):
        return [Proposals.single(self.mask(image[:, :, 0] > 100)) for image in images]

    def mask(self, square):
        places = np.flatnonzero(square)
        mask = square.copy()
        mask.flat[places[: self.lose]] = False
        return mask


@segqa.model
def noisy(model_options):
    return Noisy(**model_options("noisy"))
'''
GATE = ("suites/test_regression.py", "--model=noisy")
UPDATE = "--segqa-update-baseline"


@pytest.fixture
def committed(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The repository with a model that can be made a little worse, the gate alone, and a baseline."""
    import shutil

    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    conftest = repository.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + NOISY, encoding="utf-8")
    suite = Path(__file__).parents[2] / "suites" / "test_regression.py"
    shutil.copy(suite, repository.path / "suites" / "test_regression.py")
    result = repository.runpytest(*GATE, UPDATE)
    assert result.ret == 0
    first = "this is the first baseline of noisy, so nothing judged it"
    result.stdout.fnmatch_lines(["wrote baselines/squares/noisy.jsonl (16 cases)", first])
    return repository


def lose(pixels: int) -> str:
    return f"--segqa-model-option=noisy.lose={pixels}"


def baseline(repository: Repository) -> Path:
    return repository.path / "baselines" / "squares" / "noisy.jsonl"


def header(repository: Repository) -> Any:
    return json.loads(baseline(repository).read_text(encoding="utf-8").partition("\n")[0])


def configure(repository: Repository, text: str) -> None:
    path = repository.path / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_small_losses_add_up_until_a_reason_is_needed(committed: Repository) -> None:
    tolerant = ("--segqa-fail-on=mean_iou:-0.03", "--segqa-fail-on=slice(*).mean_iou:off")
    assert committed.runpytest(*GATE, UPDATE, "--segqa-accept=a tolerance", *tolerant).ret == 0
    assert committed.runpytest(*GATE, UPDATE, lose(3), *tolerant).ret == 0
    before = baseline(committed).read_bytes()
    result = committed.runpytest(*GATE, UPDATE, lose(6), *tolerant)
    assert result.ret == 4
    result.stdout.fnmatch_lines(
        ["*updates since the reference (mean_iou 1.0000) add up to -0.0*", "*--segqa-accept REASON"]
    )
    assert baseline(committed).read_bytes() == before
    assert committed.runpytest(*GATE, UPDATE, lose(6), *tolerant, "--segqa-accept=a smaller model").ret == 0
    assert header(committed)["accepted"] == ["a tolerance", "a smaller model"]
    assert header(committed)["drift"]["mean_iou"] == 0


def test_an_edited_baseline_ends_with_4_and_is_replaced_for_a_reason(committed: Repository) -> None:
    text = baseline(committed).read_text(encoding="utf-8")
    baseline(committed).write_text(text.replace('"accepted":[]', '"accepted":["so"]'), encoding="utf-8")
    result = committed.runpytest(*GATE)
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*noisy.jsonl was edited after it was written*restore it from git*"])
    assert committed.runpytest(*GATE, UPDATE).ret == 4
    assert committed.runpytest(*GATE, UPDATE, "--segqa-accept=repaired", "-rs").ret == 0
    assert header(committed)["accepted"] == ["repaired"]


def test_what_is_incomparable_is_replaced_for_a_reason(committed: Repository) -> None:
    assert committed.runpytest(*GATE, UPDATE, "--pick=first").ret == 4
    result = committed.runpytest(*GATE, UPDATE, "--pick=first", "--segqa-accept=another picker", "-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED*accepted: another picker; incomparable: the picker differs*"])
    assert header(committed)["pick"] == "first"


def test_what_was_relaxed_is_green_and_named_everywhere(committed: Repository) -> None:
    configure(committed, "\n[tool.segqa.thresholds]\nmean_iou = 0.0\n\n[tool.segqa.gate]\nfail_on = ['broken:off']\n")
    result = committed.runpytest_subprocess(
        *GATE, lose(1), "--segqa-fail-on=mean_iou:-0.5", "--segqa-markdown=verdict.md"
    )
    assert result.ret == 0
    named = ["rule broken:0 → off", "rule mean_iou:-0.002 → mean_iou:-0.5", "threshold mean_iou 0.5 → 0"]
    for text in named:
        result.stdout.fnmatch_lines([f"  note: relaxed since the baseline: {text}"])
    result.stdout.fnmatch_lines(["warning: segqa: no run can miss the thresholds mean_iou = 0 (noisy)"])
    folder = max(committed.path.glob("reports/*"), key=lambda path: path.stat().st_mtime_ns)
    model = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))["models"][0]
    assert model["relaxed"] == named
    assert "relaxed since the baseline" in (committed.path / "verdict.md").read_text(encoding="utf-8")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert all(f"relaxed since the baseline: {text}" in page for text in named)


def test_the_baselines_of_another_folder_are_named(committed: Repository) -> None:
    baseline(committed).parent.parent.rename(committed.path / "others")
    result = committed.runpytest(*GATE, "--segqa-baseline=others")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["  note: the baselines are those in others"])
