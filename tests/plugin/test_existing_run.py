"""Judging a finished run: the same verdict as when it was made, and nobody asks the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from segqa.runs.checksums import add_checksum
from segqa.runs.store import Store
from tests.damage import flip_bit, remove_checksums
from tests.plugin.workers import MOSTLY_ONE

Repository = pytest.Pytester


@pytest.fixture
def judged(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The repository after a run, with models that cannot be built any more."""
    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    suite = Path(__file__).parents[2] / "suites"
    for name in ("test_regression.py", "test_speed.py", "test_data.py"):
        shutil.copy(suite / name, repository.path / "suites" / name)
    with (repository.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.segqa.thresholds]\nnear_duplicates = 1.0\n")
    assert repository.runpytest("suites", "--segqa-report=first", "--pick=first").ret == 0
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8")
    for built in ('return Bright(**model_options("bright"))', 'yield Inverted(fingerprint="inverted")'):
        assert built in text
        text = text.replace(built, 'raise SystemError("the model is built")')
    conftest.write_text(text, encoding="utf-8")
    return repository


def run_id(repository: Repository) -> str:
    (found,) = Store(repository.path / ".segqa").run_ids()
    return found


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_a_finished_run_is_judged_and_no_model_is_built(judged: Repository, workers: tuple[str, ...]) -> None:
    kept = run_id(judged)
    result = judged.runpytest_subprocess("suites", "--segqa-run", kept[:15], *workers)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["bright on squares: mean IoU 1.0000 (16 scored*", "  picked by first*", f"  run .segqa/runs/{kept}"]
    )
    assert run_id(judged) == kept
    first, second = (
        json.loads(next(judged.path.glob(f"{name}/*/verdict.json")).read_text()) for name in ("first", "reports")
    )
    assert first == second


def test_without_the_run_the_model_would_be_built(judged: Repository) -> None:
    result = judged.runpytest("suites/test_quality.py", "--segqa-refresh-cache")
    result.stdout.fnmatch_lines(["*SystemError: the model is built*"])
    assert result.ret == 1


def test_a_test_that_asks_for_the_model_itself_is_skipped(judged: Repository) -> None:
    judged.makepyfile(test_own="def test_own(model): assert model")
    result = judged.runpytest("test_own.py", f"--segqa-run={run_id(judged)}", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*--segqa-run judges a finished run and builds no model"])


def test_bounds_are_those_of_today(judged: Repository) -> None:
    with (judged.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("p05 = 1.0\nmean_iou = 1.0\nregret = 0.0\n[tool.segqa.gate]\nrequired = true\n")
    result = judged.runpytest("suites", f"--segqa-run={run_id(judged)}")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*segqa: no baseline baselines/squares/bright.jsonl*"])


def test_a_finished_run_becomes_a_baseline(judged: Repository) -> None:
    options = (f"--segqa-run={run_id(judged)}", "--segqa-update-baseline")
    result = judged.runpytest("suites", *options)
    result.stdout.fnmatch_lines(["wrote baselines/squares/bright.jsonl (16 cases)"])
    again = judged.runpytest("suites", f"--segqa-run={run_id(judged)}")
    again.stdout.fnmatch_lines(["bright: identical*"])


def test_the_model_may_be_named(judged: Repository) -> None:
    assert judged.runpytest("suites/test_quality.py", f"--segqa-run={run_id(judged)}", "--model=bright").ret == 0


def test_a_run_is_judged_from_its_folder_on_another_machine(judged: Repository) -> None:
    shutil.move(judged.path / ".segqa", judged.path / "copied")
    folder = next((judged.path / "copied" / "runs").iterdir())
    for _ in range(2):
        result = judged.runpytest("suites", "--segqa-run", f"copied/runs/{folder.name}", "--segqa-report-format=json")
        assert result.ret == 0
    # brought here once, with the proposals of its pictures
    assert run_id(judged) == folder.name
    page = max(judged.path.glob("reports/*/report.json"))
    assert len(json.loads(page.read_text(encoding="utf-8"))["runs"][0]["exhibit"]) == 16


def test_without_its_data_set_a_run_is_judged_without_pictures(judged: Repository) -> None:
    shutil.rmtree(judged.path / "squares")
    (judged.path / ".segqa" / "runs" / run_id(judged) / "exhibits.sqlite").unlink()
    options = (f"--segqa-run={run_id(judged)}", "--segqa-report-format=json", "-rs")
    result = judged.runpytest("suites", *options)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*the data set of the run is not here: no data set 'squares'*"])
    (page,) = judged.path.glob("reports/*/report.json")
    assert json.loads(page.read_text(encoding="utf-8"))["runs"][0]["exhibit"] == {}


def test_a_data_set_that_is_named_must_be_that_of_the_run(judged: Repository) -> None:
    shutil.copytree(judged.path / "squares", judged.path / "others")
    result = judged.runpytest_subprocess("suites", f"--segqa-run={run_id(judged)}", "--dataset=others")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*the run is of data set 'squares', got 'others'*"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--pick=product"], "--segqa-pick product does not go with *was made with first*", id="picker"),
        pytest.param(["--segqa-empty=zero"], "--segqa-empty zero does not go *was made with one*", id="policy"),
        pytest.param(["--limit=3"], "--segqa-limit 3 does not go *was made without it*", id="limit"),
        pytest.param(["--prompt=dog."], "--segqa-prompt dog. does not go *was made with person.*", id="prompt"),
        pytest.param(["--segqa-where=id=A_000"], "--segqa-where id=A_000 does not go *", id="condition"),
        pytest.param(["--segqa-held-out"], "--segqa-held-out True does not go *", id="held out"),
        pytest.param(["--segqa-mask-cutoff=9"], "--segqa-mask-cutoff 9 does not go *made without it*", id="cutoff"),
        pytest.param(["--segqa-name-pattern=(?P<a>.)"], "--segqa-name-pattern * does not go *", id="pattern"),
        pytest.param(["--segqa-shard=1/2"], "*so it goes without --segqa-shard", id="shard"),
        pytest.param(["--segqa-rescore"], "*so it goes without --segqa-rescore", id="rescore"),
        pytest.param(["--segqa-no-cache"], "*so it goes without --segqa-no-cache", id="no cache"),
        pytest.param(["--segqa-model-option=bright.cutoff=9"], "*goes without --segqa-model-option", id="model option"),
        pytest.param(["--model=inverted"], "*is of model bright, got --segqa-model inverted; *", id="another model"),
        pytest.param(["--model=all"], "*is of model bright, got --segqa-model bright,inverted; *", id="two models"),
    ],
)
def test_what_would_make_another_run_ends_with_4(judged: Repository, options: list[str], message: str) -> None:
    result = judged.runpytest_subprocess("suites", f"--segqa-run={run_id(judged)}", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: segqa: {message}"])
    assert not (judged.path / "reports").exists()


def test_what_the_run_was_made_with_may_stand_there(judged: Repository) -> None:
    options = ["--pick=first", "--prompt=person.", "--segqa-empty=one"]
    assert judged.runpytest("suites/test_quality.py", f"--segqa-run={run_id(judged)}", *options).ret == 0


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_an_unknown_run_lists_those_that_exist(judged: Repository, workers: tuple[str, ...]) -> None:
    result = judged.runpytest_subprocess("suites", "--segqa-run=1999", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: segqa: --segqa-run: no runs begin with '1999' *{run_id(judged)}"])


def test_another_threshold_needs_another_run(judged: Repository) -> None:
    with (judged.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("iou = 0.9\n")
    result = judged.runpytest_subprocess("suites", f"--segqa-run={run_id(judged)}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: segqa: run * was made with the threshold iou = 0.7, *says 0.9; evaluate again*"]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"finished": False},
            "*is not finished; the same command goes on from there: pytest suites*",
            id="unfinished",
        ),
        pytest.param({"version": 1}, "*has version 1, expected 2; evaluate again", id="version"),
    ],
)
def test_a_run_that_is_not_there_to_be_judged_ends_with_4(
    judged: Repository, change: dict[str, object], message: str
) -> None:
    path = judged.path / ".segqa" / "runs" / run_id(judged) / "run.json"
    header = json.loads(path.read_text(encoding="utf-8")) | change
    path.write_text(json.dumps(add_checksum(header)), encoding="utf-8")
    result = judged.runpytest_subprocess("suites", f"--segqa-run={run_id(judged)}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: segqa: {message}"])


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_a_damaged_run_ends_with_4_and_names_the_case(judged: Repository, workers: tuple[str, ...]) -> None:
    flip_bit(judged.path / ".segqa" / "runs" / run_id(judged) / "cases.sqlite", b'"proposals": 1.0')
    result = judged.runpytest_subprocess("suites", f"--segqa-run={run_id(judged)}", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.re_match_lines(
        [r".*run .* is damaged: case '[AB]_\d+' does not match its checksum; evaluate again.*"]
    )


def test_a_run_of_an_earlier_version_is_judged_and_it_is_said_what_cannot_be_checked(judged: Repository) -> None:
    remove_checksums(judged.path / ".segqa" / "runs" / run_id(judged))
    result = judged.runpytest_subprocess("suites", f"--segqa-run={run_id(judged)}")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"*run {run_id(judged)} has no checksums*"])


def test_the_last_model_is_scored_again_though_the_clock_was_set_back(judged: Repository) -> None:
    conftest = judged.path / "conftest.py"
    text = conftest.read_text().replace('raise SystemError("the model is built")', "return Bright(255)", 1)
    conftest.write_text(text)
    (folder,) = (judged.path / ".segqa" / "runs").iterdir()
    later = folder.rename(folder.with_name("2999" + folder.name[4:]))
    header = json.loads((later / "run.json").read_text(encoding="utf-8"))
    header["run"]["id"] = later.name
    (later / "run.json").write_text(json.dumps(add_checksum(header)), encoding="utf-8")
    order = judged.path / ".segqa" / "order.json"
    order.write_text(json.dumps(add_checksum({"runs": [later.name]})), encoding="utf-8")
    assert judged.runpytest_subprocess("suites/test_quality.py").ret == 1
    again = judged.runpytest_subprocess("suites/test_quality.py", "--segqa-rescore", "--pick=first")
    assert again.ret == 1
    again.stdout.fnmatch_lines(["bright on squares: mean IoU 0.0000*"])


def test_a_shard_is_not_judged_alone(judged: Repository) -> None:
    conftest = judged.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace('raise SystemError("the model is built")', "return Bright()", 1))
    judged.runpytest("suites", "--segqa-shard=1/2", "--segqa-cache-dir=part")
    result = judged.runpytest_subprocess("suites", "--segqa-cache-dir=part", "--segqa-run=2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: segqa: run * is a shard, expected a whole: `segqa merge`*"])
