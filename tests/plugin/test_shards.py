"""Shards as a user meets them: four processes evaluate, one judges, and says what one process alone would have said."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from segqa.cli import app
from segqa.runs.outcome import Outcome
from segqa.runs.store import Store
from tests.plugin.workers import MOSTLY_ONE

Repository = pytest.Pytester

UNEVEN = '''

class Uneven:
    """Finds the squares of the even rows; in the others its picker has to choose, and chooses well if it is lucky."""

    def __init__(self, lucky=0):
        self.lucky, self.fingerprint = lucky, f"uneven-{lucky}"

    def predict(self, images, prompts):
        return [self.answer(image[:, :, 0] > 100) for image in images]

    def answer(self, bright):
        odd = 0 if self.lucky else int(np.nonzero(bright)[0][0]) % 2
        return Proposals(np.stack([bright, ~bright]), np.array([0.5, odd]), np.array([0.5, odd]), np.zeros((2, 4)))


@segqa.model
def uneven(model_options):
    return Uneven(**model_options("uneven"))
'''


@pytest.fixture
def photos(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The repository with a model that fails in a part of the cases, an unreadable case, and no hint of CI around."""
    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    conftest = repository.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + UNEVEN, encoding="utf-8")
    (repository.path / "squares" / "images" / "B_009.png").write_bytes(b"")
    shutil.copy(Path(__file__).parents[2] / "suites" / "test_regression.py", repository.path / "suites")
    with (repository.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.segqa.thresholds.uneven]\nerrors = 0.1\n")
    rows = "".join(f"{'AB'[index % 2]}_{index:03},{index * 1.5}\n" for index in range(16))
    (repository.path / "squares" / "metadata.csv").write_text(f"id,distance\n{rows}", encoding="utf-8")
    return repository


def evaluate_shards(repository: Repository, *options: str, of: int = 4) -> list[Path]:
    """Evaluate all shards, each in a store of its own as on a machine of its own; the folders of their runs."""
    for number in range(1, of + 1):
        shard = (f"--segqa-shard={number}/{of}", f"--segqa-cache-dir=parts/{number}")
        result = repository.runpytest_subprocess("suites", *shard, *options)
        assert result.ret == 0
    return sorted(repository.path.glob("parts/*/runs/*"))


def merge(repository: Repository, *parts: Path) -> Result:
    arguments = ["merge", *map(str, parts), "--dir", str(repository.path / ".segqa")]
    return CliRunner().invoke(app, arguments)


def kept(folder: Path) -> list[Outcome]:
    """The outcomes of the last run, but for what the clock says."""
    store = Store(folder)
    return [replace(outcome, seconds=0.0, cached=False) for outcome in store.load(store.run_ids()[-1]).outcomes]


def verdict(repository: Repository, folder: str) -> Any:
    """What `verdict.json` says, but for the run's id; the tests in order, whichever worker was first."""
    (path,) = repository.path.glob(f"{folder}/*/verdict.json")
    said = json.loads(path.read_text(encoding="utf-8"))
    for model in said["models"]:
        del model["run"]
    said["failing"].sort(key=lambda failing: failing["test"])
    return said


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_merged_shards_are_judged_as_one_run_is(photos: Repository, workers: tuple[str, ...]) -> None:
    options = ("--model=uneven", "--segqa-empty=zero", *workers)
    before = ("--segqa-model-option=uneven.lucky=1", "--segqa-update-baseline", "--segqa-cache-dir=before")
    photos.runpytest_subprocess("suites", *options, *before).stdout.fnmatch_lines(["wrote baselines/*"])
    alone = photos.runpytest_subprocess("suites", *options, "--segqa-cache-dir=alone", "--segqa-report=one")
    merged = merge(photos, *evaluate_shards(photos, *options))
    assert merged.exit_code == 0
    run_id = merged.stdout.strip()
    judged = photos.runpytest_subprocess("suites", f"--segqa-run={run_id}", "--segqa-report=whole", *workers)
    assert (alone.ret, judged.ret) == (1, 1)
    assert judged.parseoutcomes() == alone.parseoutcomes()
    assert kept(photos.path / ".segqa") == kept(photos.path / "alone")
    said = verdict(photos, "whole")
    assert said == verdict(photos, "one")
    assert len(said["failing"]) == 3
    (model,) = said["models"]
    assert (model["verdict"], model["errors"]) == ("regressed", 1)
    assert len(model["findings"]) >= 2


def test_the_page_shows_where_a_merged_run_comes_from_and_its_masks(photos: Repository) -> None:
    run_id = merge(photos, *evaluate_shards(photos, "--model=uneven", of=2)).stdout.strip()
    result = photos.runpytest_subprocess("suites", f"--segqa-run={run_id}", "--segqa-report-format=json")
    result.stdout.fnmatch_lines(["uneven on squares: mean IoU*", "  merged of 2 shards, * s of inference"])
    (page,) = photos.path.glob("reports/*/report.json")
    assert len(json.loads(page.read_text(encoding="utf-8"))["runs"][0]["exhibit"]) == 15


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_a_shard_is_evaluated_and_not_judged(photos: Repository, workers: tuple[str, ...]) -> None:
    result = photos.runpytest_subprocess("suites", "--model=uneven", "--segqa-shard=2/4", "-rs", *workers)
    assert result.ret == 0
    result.assert_outcomes(skipped=10)
    result.stdout.fnmatch_lines(
        [
            "uneven on squares, shard 2/4: 5 of 16 cases (4 scored, 0 missing, 1 error), not judged",
            "  run .segqa/runs/*-uneven-squares-2of4",
            "SKIPPED * shard 2/4 is judged when it is merged with the others, see `segqa merge`",
        ]
    )
    assert not (photos.path / "reports").exists()


def test_the_data_set_is_not_audited_by_each_shard(photos: Repository) -> None:
    photos.makepyfile(test_own="def test_own(audit): assert not audit.unreadable")
    photos.runpytest("test_own.py", "--segqa-shard=1/4").assert_outcomes(skipped=1)
    photos.runpytest("test_own.py").assert_outcomes(failed=1)


def test_a_shard_without_cases_is_no_error(photos: Repository) -> None:
    result = photos.runpytest("suites", "--segqa-shard=3/16")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "bright on squares, shard 3/16: 0 of 16 cases (0 scored, 0 missing, 0 errors), not judged",
            "  no case falls into shard 3/16, which is nothing wrong: merge it with the others",
        ]
    )


def test_several_models_are_evaluated_in_one_shard(photos: Repository) -> None:
    folders = evaluate_shards(photos, "--model=bright,uneven", of=2)
    assert len(folders) == 4
    wrong = merge(photos, *folders)
    assert wrong.exit_code == 4
    assert "parts must have the same model, got 'bright' in shard 1/2" in wrong.stderr
    assert merge(photos, *(folder for folder in folders if "uneven" in folder.name)).exit_code == 0


def test_shards_of_one_store_do_not_continue_each_other(photos: Repository) -> None:
    for number in (1, 2):
        assert photos.runpytest("suites", f"--segqa-shard={number}/2").ret == 0
    ids = Store(photos.path / ".segqa").run_ids()
    assert [run_id[-4:] for run_id in ids] == ["1of2", "2of2"]
    assert merge(photos, *(photos.path / ".segqa" / "runs" / run_id for run_id in ids)).exit_code == 0


def test_parts_are_named_by_their_ids_too(photos: Repository) -> None:
    photos.runpytest("suites", "--segqa-shard=1/1")
    (run_id,) = Store(photos.path / ".segqa").run_ids()
    directory = ["--dir", str(photos.path / ".segqa")]
    assert CliRunner().invoke(app, ["merge", run_id, *directory]).exit_code == 0
    unknown = CliRunner().invoke(app, ["merge", "1999", *directory])
    assert unknown.exit_code == 4
    assert run_id in unknown.stderr


def test_what_makes_no_whole_ends_with_4(photos: Repository) -> None:
    parts = evaluate_shards(photos)
    for given, said in (
        (parts[:3], "4 of 16 cases are missing: shard 4/4 is not there; evaluate with --segqa-shard 4/4"),
        ([*parts, parts[0]], "shard 1/4 is there 2 times"),
        ([photos.path / "squares"], "expected a run's folder"),
    ):
        result = merge(photos, *given)
        assert result.exit_code == 4
        assert said in result.stderr
        assert result.stdout == ""
    assert not list(photos.path.glob(".segqa/runs/*"))


@pytest.mark.parametrize("shard", ["0/4", "5/4", "a/b", "4"])
def test_what_is_no_shard_ends_with_4(repository: Repository, shard: str) -> None:
    result = repository.runpytest_subprocess("suites", f"--segqa-shard={shard}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: segqa: --segqa-shard must read i/n with i from 1 to n, such as 2/4; got*"])
    assert not (repository.path / ".segqa").exists()


@pytest.mark.parametrize("options", [["--segqa-update-baseline"], ["--segqa-markdown=x"], ["--segqa-openmetrics=x"]])
def test_a_shard_leaves_no_verdict_and_no_baseline(repository: Repository, options: list[str]) -> None:
    result = repository.runpytest_subprocess("suites", "--segqa-shard=1/4", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: segqa: --segqa-* must be given for the whole*segqa merge*--segqa-run RUN*"])


def test_a_shard_is_an_option_and_no_setting(repository: Repository) -> None:
    with (repository.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\nshard = "1/4"\n')
    result = repository.runpytest_subprocess("suites")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: segqa: [[]tool.segqa[]] has an unknown key 'shard'*"])


def test_a_model_without_a_fingerprint_has_no_shards(repository: Repository) -> None:
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8") + (
        "\n\n@segqa.model\ndef nameless():\n    model = Bright()\n    del model.fingerprint\n    return model\n"
    )
    conftest.write_text(text, encoding="utf-8")
    result = repository.runpytest_subprocess("suites", "--model=nameless", "--segqa-shard=1/4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*a model without a fingerprint has no shards*"])


def test_stored_proposals_of_a_shard_are_enough_to_score_it_again(repository: Repository) -> None:
    repository.runpytest("suites", "--segqa-shard=2/4")
    assert repository.runpytest("suites", "--segqa-shard=2/4", "--segqa-rescore", "--pick=first").ret == 0
    missing = repository.runpytest_subprocess("suites", "--segqa-shard=1/4", "--segqa-rescore")
    assert missing.ret == pytest.ExitCode.USAGE_ERROR
    missing.stdout.fnmatch_lines(["*4 of 4 cases have no stored proposals of bright*"])
