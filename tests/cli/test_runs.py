from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from segqa.cli import app
from segqa.metrics import Counts
from segqa.run import Run
from segqa.store import Store
from tests.outcomes import outcome_of


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    store = Store(tmp_path)
    for run_id in ("20260101-unet", "20260102-unet"):
        run = store.begin(Run(run_id, "unet", "photos", ("a", "b"), (), "product"), "key")
        store.append(run.id, [outcome_of(Counts(1, 1, 0, 0), "a")])
    store.finish(store.load("20260101-unet"), "key")
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_runs_are_listed(kept: Path) -> None:
    lines = call("runs", "--dir", kept).output.splitlines()
    assert lines[0] == "20260101-unet  mean IoU 0.5000  1 scored, 1 missing, 0 errors  picked by product"
    assert lines[1].endswith("unfinished")


def test_a_damaged_run_does_not_hide_the_others(kept: Path) -> None:
    (kept / "runs" / "20260101-unet" / "run.json").write_text("{", encoding="utf-8")
    lines = call("runs", "--dir", kept).output.splitlines()
    assert "is damaged" in lines[0]
    assert lines[1].startswith("20260102-unet")


def test_a_run_is_shown_by_how_its_id_begins(kept: Path) -> None:
    said = call("show", "20260102", "--dir", kept).output
    assert "unet on photos: mean IoU 0.5000 (1 scored, 1 missing, 0 errors)" in said
    assert "0.5000  merged  a" in said


@pytest.mark.parametrize(("begin", "count"), [("2026", "2 runs begin"), ("x", "no runs begin")])
def test_an_ambiguous_or_unknown_run_is_refused(kept: Path, begin: str, count: str) -> None:
    result = call("show", begin, "--dir", kept)
    assert result.exit_code == 4
    assert count in result.output


def test_runs_are_compared(kept: Path) -> None:
    lines = call("compare", "20260101", "20260102", "--format", "csv", "--dir", kept).output.splitlines()
    assert lines[0].startswith("model,data set,picked by,cases,mean IoU")
    assert len(lines) == 3


def test_every_picker_is_replayed(kept: Path) -> None:
    said = call("pick", "20260101", "--dir", kept).output
    assert "product (the run's)" in said
    assert "(oracle)" in said


def test_flips_to_an_unknown_picker_are_refused(kept: Path) -> None:
    result = call("pick", "20260101", "--flips", "produkt", "--dir", kept)
    assert result.exit_code == 4
    assert "did you mean 'product'" in result.output
    assert call("pick", "20260101", "--flips", "first", "--dir", kept).exit_code == 0
