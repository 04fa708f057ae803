from pathlib import Path

import pytest
from typer.testing import CliRunner

from segqa.cli import app
from segqa.gate.baseline import write_baseline
from tests.reviewed import Reviewed, reviewed


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    monkeypatch.chdir(tmp_path)
    return reviewed(tmp_path, 12)


def report(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["report", *arguments])
    return result.exit_code, result.output.strip()


def test_a_page_is_made_of_a_stored_run(small: Reviewed) -> None:
    assert report(small.run.id) == (0, f"reports/{small.run.id}/index.html")
    assert "masks, and no photo, of 0 of 12 cases" in Path("reports", small.run.id, "index.html").read_text("utf-8")


def test_pictures_are_drawn_from_a_data_set_and_stay(small: Reviewed) -> None:
    assert report(small.run.id, "--dataset=photos", "--out=page")[0] == 0
    assert "photos and masks of 12 of 12 cases" in Path("page/index.html").read_text("utf-8")
    (small.folder / "photos").rename(small.folder / "elsewhere")
    assert report(small.run.id, "--out=again", "--images=5")[0] == 0
    assert "photos and masks of 5 of 12 cases" in Path("again/index.html").read_text("utf-8")


def test_a_committed_baseline_is_found_and_another_can_be_named(small: Reviewed) -> None:
    write_baseline(Path("baselines/photos/two.jsonl"), small.before)
    report(small.run.id, "--out=found")
    assert "regressed" in Path("found/index.html").read_text("utf-8")
    write_baseline(Path("other/two.jsonl"), small.run)
    report(small.run.id, "other/two.jsonl", "--out=named")
    assert "identical" in Path("named/index.html").read_text("utf-8")


def test_of_two_runs_the_first_counts_before_a_committed_baseline(small: Reviewed) -> None:
    write_baseline(Path("baselines/photos/two.jsonl"), small.run)
    report(small.before.id, small.run.id, "--out=pair")
    assert "regressed" in Path("pair/index.html").read_text("utf-8")


def test_the_folder_of_the_baselines_is_the_configured_one(small: Reviewed) -> None:
    Path("pyproject.toml").write_text('[tool.segqa.gate]\nbaseline = "elsewhere"\n', encoding="utf-8")
    write_baseline(Path("elsewhere/photos/two.jsonl"), small.before)
    report(small.run.id, "--out=found")
    assert "regressed" in Path("found/index.html").read_text("utf-8")


def test_it_opens_in_the_browser(small: Reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)
    report(small.run.id, "--open", "--out=page")
    assert opened == ["page/index.html"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nothing"], "no runs begin with 'nothing'"),
        (["baselines/x.jsonl"], "give at least one RUN"),
        (["2", "--images=few"], "--images must be a whole number from 0, or none, got 'few'"),
        (["2", "--dataset=nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_ends_with_4(small: Reviewed, arguments: list[str], problem: str) -> None:
    arguments = [small.run.id if argument == "2" else argument for argument in arguments]
    code, output = report(*arguments)
    assert code == 4
    assert problem in output
