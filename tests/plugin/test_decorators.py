"""A name that is declared twice."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from segqa.errors import SettingsError

DECLARES = """
import segqa

@segqa.{kind}{arguments}
def {function}():
    return 1
"""
SUITE = "def test_it(): pass\n"


def write_declaration(kind: str = "model", function: str = "mine", arguments: str = "") -> str:
    return DECLARES.format(kind=kind, function=function, arguments=arguments)


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_name_that_two_conftests_declare_is_refused(pytester: pytest.Pytester, kind: str) -> None:
    pytester.makeconftest(write_declaration(kind))
    pytester.mkpydir("suites")
    (pytester.path / "suites" / "conftest.py").write_text(write_declaration(kind), encoding="utf-8")
    result = pytester.runpytest("suites", "--import-mode=importlib")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    what = {"model": "model", "dataset": "data set"}[kind]
    (line,) = [line for line in result.errlines if "declared twice" in line]
    assert line.startswith(f"ERROR: segqa: {what} 'mine' is declared twice, in ")
    assert " conftest.py:" in line
    assert "suites/conftest.py:" in line


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "in a worker"])
def test_a_conftest_that_is_loaded_while_collecting_counts_too(pytester: pytest.Pytester, workers: list[str]) -> None:
    pytester.makeconftest(write_declaration())
    deep = pytester.path / "suites" / "deep"
    deep.mkdir(parents=True)
    (deep / "conftest.py").write_text(write_declaration(), encoding="utf-8")
    (deep / "test_it.py").write_text(SUITE, encoding="utf-8")
    result = pytester.runpytest("suites", "--import-mode=importlib", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "model 'mine' is declared twice" in f"{result.stdout}{result.stderr}"


def test_a_second_definition_in_one_file_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(write_declaration() + write_declaration())
    pytester.makepyfile(SUITE)
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "model 'mine' is declared twice, in " in f"{result.stdout}{result.stderr}"


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_two_functions_of_one_module_that_give_the_same_name_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(write_declaration(kind, name, "(name='mine')") for name in ("first", "second"))
    (tmp_path / "declares_twice.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match=r"'mine' is declared twice, in .*twice\.py:4 and in .*twice\.py:10"):
        importlib.import_module("declares_twice")


def test_a_module_may_be_loaded_anew_and_declare_one_name_for_two_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_declaration() + write_declaration("dataset", "data", "(name='mine')")
    (tmp_path / "declares_once.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("declares_once")
    (tmp_path / "declares_once.py").write_text(f"# longer\n\n{text}", encoding="utf-8")
    importlib.reload(module)
    del sys.modules["declares_once"]


def test_a_file_that_is_loaded_under_two_names_declares_once(pytester: pytest.Pytester) -> None:
    (pytester.path / "fixtures").mkdir()
    (pytester.path / "fixtures" / "models.py").write_text(write_declaration(), encoding="utf-8")
    pytester.makepyfile(SUITE)
    pytester.makeconftest(
        """
        from pathlib import Path
        from segqa.plugin.decorators import load_fixtures

        pytest_plugins = ["fixtures.models"]

        def pytest_configure(config):
            load_fixtures(config.pluginmanager, Path(__file__).parent / "fixtures" / "models.py")
        """
    )
    pytester.syspathinsert()
    assert pytester.runpytest("--import-mode=importlib").ret == 0
