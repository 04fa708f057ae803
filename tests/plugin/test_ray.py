"""`--segqa-engine ray` as a user meets it."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from segqa.errors import EngineError, ModelError
from segqa.models.protocol import Model
from segqa.plugin.ray_actors import ModelFixture
from segqa.runs.outcome import Outcome
from segqa.runs.store import Store

Repository = pytest.Pytester
NO_RAY = any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow"))


def kept(folder: Path) -> list[Outcome]:
    """The outcomes of the last run, but for what the clock says."""
    store = Store(folder)
    return [replace(outcome, seconds=0.0, cached=False) for outcome in store.load(store.run_ids()[-1]).outcomes]


def pyproject(repository: Repository, text: str) -> None:
    with (repository.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.ray
@pytest.mark.skipif(NO_RAY, reason="Ray is not installed")
def test_ray_says_what_one_process_says(repository: Repository) -> None:
    pyproject(repository, "\n[tool.segqa.ray]\nactors = 1\n\n[tool.segqa.models.inverted]\n")
    cutoff = "--segqa-model-option=bright.cutoff=120"
    alone = repository.runpytest_subprocess("suites", cutoff, "--segqa-cache-dir=alone")
    result = repository.runpytest_subprocess(
        "suites", cutoff, "--segqa-cache-dir=by-ray", "--segqa-engine=ray", "-W", "error", "-s"
    )
    assert result.ret == alone.ret == 0
    assert result.parseoutcomes() == alone.parseoutcomes()
    assert kept(repository.path / "by-ray") == kept(repository.path / "alone")
    run = Store(repository.path / "by-ray").load(Store(repository.path / "by-ray").run_ids()[0])
    assert run.provenance["hardware"].endswith("1 threads, 1 actors")
    # Ray says one thing, by which it has been told to say no more
    assert [line for line in result.errlines if "RAY_BACKEND_LOG_LEVEL" not in line] == []
    assert not [line for line in result.outlines if "(raylet)" in line or "WARNING" in line]


@pytest.mark.skipif(not NO_RAY, reason="Ray is installed")
def test_without_ray_it_is_said_what_to_install(repository: Repository) -> None:
    result = repository.runpytest_subprocess("suites", "--segqa-engine=ray")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: segqa: --segqa-engine ray needs *pip install 'segqa?ray?'"])
    assert not (repository.path / ".segqa").exists()


def test_an_unknown_engine_is_refused(repository: Repository) -> None:
    pyproject(repository, '\n[tool.segqa.ray]\nactors = "many"\n')
    result = repository.runpytest_subprocess("suites")
    result.stderr.fnmatch_lines(["*[[]tool.segqa.ray[]] actors must be a whole number from 1, got 'many'"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result = repository.runpytest_subprocess("suites", "--segqa-engine=spark")
    result.stderr.fnmatch_lines(["*invalid choice: 'spark'*"])


def test_an_actor_gets_the_model_as_the_suites_have_it(repository: Repository) -> None:
    """In a process of its own, as an actor of Ray is one."""
    code = """
from segqa.plugin.ray_actors import ModelFixture
import os, sys
print("before")
arguments = ("--rootdir=HERE", "HERE/suites", "--segqa-model-option=bright.cutoff=120")
os.chdir("/")
ModelFixture("bright", "HERE", arguments).hand_over(lambda model: print(model.fingerprint, os.getcwd()))
print("after")
""".replace("HERE", str(repository.path))
    result = repository.run(sys.executable, "-c", code)
    assert result.outlines == ["before", f"bright-120 {repository.path}", "after"]


def test_a_model_that_cannot_be_built_is_told_with_what_pytest_said(repository: Repository) -> None:
    def use(model: Model) -> None:
        raise AssertionError("there is none")

    here = str(repository.path)
    with pytest.raises(ModelError, match=r"pytest ended with 4: .*unknown model 'nobody'"):
        ModelFixture("nobody", here, (f"--rootdir={here}", f"{here}/suites")).hand_over(use)
    with pytest.raises(EngineError, match="the suites must be at the same path on every machine"):
        ModelFixture("bright", f"{here}/nowhere", ()).hand_over(use)
