"""Speed as a result: kept with the baseline, judged on the same machine, never on stored proposals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from segqa.runs.checksums import add_checksum
from tests.conftest import bright_square, write_case

Repository = pytest.Pytester

SLEEPY = """

class Sleepy(Bright):
    def __init__(self, seconds=0.002):
        super().__init__(fingerprint=f"sleepy-{seconds}")
        self.seconds = seconds

    def predict(self, images, prompts):
        import time

        time.sleep(self.seconds * len(images))
        return super().predict(images, prompts)


@segqa.model
def sleepy(model_options):
    return Sleepy(**model_options("sleepy"))
"""
SPEED = ("suites/test_speed.py", "--model=sleepy", "-rs")
SLOW = "--segqa-model-option=sleepy.seconds=0.02"


@pytest.fixture
def timed(repository: Repository) -> Repository:
    """The repository with 24 cases and a model that takes its time."""
    conftest = repository.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + SLEEPY, encoding="utf-8")
    for index in range(16, 24):
        write_case(repository.path / "squares", f"A_{index:03}", *bright_square(index))
    suite = Path(__file__).parents[2] / "suites" / "test_speed.py"
    shutil.copy(suite, repository.path / "suites" / "test_speed.py")
    return repository


@pytest.fixture
def committed(timed: Repository) -> Repository:
    result = timed.runpytest(*SPEED, "--segqa-update-baseline", "--segqa-allow-dirty")
    result.stdout.fnmatch_lines(["*no speed is kept in baselines/squares/sleepy.speed.json; --segqa-update-baseline*"])
    result.stdout.fnmatch_lines(["wrote baselines/squares/sleepy.speed.json (* s a case on *, batches of 8)"])
    return timed


def kept(repository: Repository) -> Path:
    return repository.path / "baselines" / "squares" / "sleepy.speed.json"


def test_a_model_that_became_slower_fails(committed: Repository) -> None:
    result = committed.runpytest(*SPEED, SLOW)
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["E *assert * <= *", "*no bound: seconds_p95 in *"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "n 2"])
def test_a_model_that_is_as_fast_as_it_was_passes(committed: Repository, workers: tuple[str, ...]) -> None:
    toml = committed.path / "pyproject.toml"
    bound = "\n[tool.segqa.thresholds]\nseconds_p95 = 30\nslowdown = 1000\n"
    toml.write_text(toml.read_text(encoding="utf-8") + bound, encoding="utf-8")
    if workers:
        # what one worker of two may use is another machine
        update = ("--segqa-update-baseline", "--segqa-accept=the bounds are for any machine")
        committed.runpytest_subprocess(*SPEED, "--segqa-refresh-cache", *update, *workers)
    result = committed.runpytest_subprocess(*SPEED, "--segqa-refresh-cache", *workers)
    result.assert_outcomes(passed=2)


def test_stored_proposals_say_nothing_about_speed(committed: Repository) -> None:
    result = committed.runpytest(*SPEED)
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*the model was asked for fewer than 20 cases; --segqa-refresh-cache asks it*"])


def test_another_machine_is_not_compared(committed: Repository) -> None:
    path = kept(committed)
    content = json.loads(path.read_text(encoding="utf-8"))
    (entry,) = content["machines"].values()
    content["machines"] = {"an abacus": entry}
    path.write_text(json.dumps(add_checksum(content)), encoding="utf-8")
    result = committed.runpytest(*SPEED, "--segqa-refresh-cache")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*this machine is *, batches of 8; what is kept is from an abacus"])


def test_a_damaged_file_ends_the_session(committed: Repository) -> None:
    kept(committed).write_text("{", encoding="utf-8")
    result = committed.runpytest(*SPEED, "--segqa-refresh-cache")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*sleepy.speed.json is damaged*delete it*"])


def test_a_bound_in_seconds_is_asserted(timed: Repository) -> None:
    toml = timed.path / "pyproject.toml"
    bound = "\n[tool.segqa.thresholds.sleepy]\nseconds_p95 = 0.001\n"
    toml.write_text(toml.read_text(encoding="utf-8") + bound, encoding="utf-8")
    timed.runpytest(*SPEED).assert_outcomes(failed=1, skipped=1)
