"""Which settings file counts: the nearest one with `[tool.segqa]` above the tests, whatever pytest's rootdir is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from segqa.errors import SettingsError
from segqa.settings import find_settings_file

Repository = pytest.Pytester

_PYTEST = {
    "pytest.ini": "[pytest]\n",
    "tox.ini": "[pytest]\n",
    "setup.cfg": "[tool:pytest]\n",
    "pyproject.toml": "[tool.pytest.ini_options]\n",
}


@pytest.fixture
def nested(repository: Repository) -> Repository:
    """The repository moved into the folder `vision`, with bounds of its own that it does not meet."""
    folder = repository.path / "vision"
    folder.mkdir()
    for name in ("conftest.py", "pyproject.toml", "squares", "suites"):
        shutil.move(repository.path / name, folder / name)
    write_settings(folder, 'model = "inverted"\ndataset = "squares"\n[tool.segqa.gate]\nbaseline = "mine"')
    return repository


def write_settings(folder: Path, table: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "pyproject.toml"
    path.write_text(f"[tool.segqa]\n{table}\n", encoding="utf-8")
    return path


def test_the_nearest_file_with_the_table_is_found(tmp_path: Path) -> None:
    top, below = write_settings(tmp_path, ""), tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_settings_file(below) == top
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    assert find_settings_file(below) == top
    nearest = write_settings(tmp_path / "a", "")
    assert find_settings_file(below) == nearest
    assert find_settings_file(tmp_path) == top


def test_a_file_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    write_settings(tmp_path, "")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.segqa", encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot read"):
        find_settings_file(tmp_path / "a")


@pytest.mark.parametrize("name", _PYTEST)
def test_a_configuration_of_pytest_further_up_hides_no_settings(nested: Repository, name: str) -> None:
    (nested.path / name).write_text(_PYTEST[name], encoding="utf-8")
    result = nested.runpytest("vision/suites/test_quality.py", "-k", "mean_iou", "--segqa-update-baseline")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["segqa settings: vision/pyproject.toml", "*mean IoU 0.0000 is below 0.5000"])
    assert list(nested.path.glob("vision/.segqa/runs/*"))
    assert (nested.path / "vision" / "mine" / "squares" / "inverted.jsonl").is_file()
    assert not (nested.path / ".segqa").exists()


@pytest.mark.parametrize("start", [".", "vision", "vision/suites"])
def test_where_pytest_is_started_makes_no_difference(
    nested: Repository, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    (nested.path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    monkeypatch.chdir(nested.path / start)
    suite = {".": "vision/suites", "vision": "suites"}.get(start)
    result = nested.runpytest(*([suite] if suite else []), "-k", "mean_iou")
    assert result.ret == 1
    assert list(nested.path.glob("vision/.segqa/runs/*"))


def test_workers_read_the_same_file(nested: Repository) -> None:
    (nested.path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    result = nested.runpytest_subprocess("vision/suites/test_quality.py", "-n", "2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["inverted on squares: mean IoU 0.0000*"])


def test_tests_with_two_settings_files_are_refused(nested: Repository) -> None:
    shutil.copytree(nested.path / "vision", nested.path / "other")
    (nested.path / "other" / "conftest.py").unlink()
    result = nested.runpytest("vision/suites", "other/suites", "--import-mode=importlib")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = (
        "*expected tests with one settings file, got vision/pyproject.toml (for vision/suites) and other/pyproject*"
    )
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize("above", ["nothing", "settings"])
def test_settings_below_the_start_are_not_passed_over(nested: Repository, above: str) -> None:
    # the models are declared further up, so the session begins without the settings of the suites
    shutil.move(nested.path / "vision" / "conftest.py", nested.path / "conftest.py")
    if above == "settings":
        write_settings(nested.path, 'model = "bright"\ndataset = "vision/squares"')
    options = [] if above == "settings" else ["--model=bright", "--dataset=vision/squares"]
    result = nested.runpytest(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    read = "pyproject.toml" if above == "settings" else "no settings file"
    said = f"*the tests in vision/suites have the settings file vision/pyproject.toml, but this session reads {read}; *"
    result.stderr.fnmatch_lines([said])


def test_the_file_on_the_command_line_counts_first(nested: Repository) -> None:
    path = nested.path / "vision" / "strict.toml"
    path.write_text(
        '[tool.pytest.ini_options]\n[tool.segqa]\nmodel = "bright"\ndataset = "squares"\n', encoding="utf-8"
    )
    result = nested.runpytest("-c", "vision/strict.toml", "vision/suites", "-k", "mean_iou")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["segqa settings: vision/strict.toml"])


def test_without_a_settings_file_the_header_says_so(repository: Repository) -> None:
    (repository.path / "pyproject.toml").unlink()
    result = repository.runpytest("suites", "--model=bright", "--dataset=squares", "-k", "mean_iou")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["segqa settings: defaults, no pyproject.toml with [[]tool.segqa[]] from the tests *"])
