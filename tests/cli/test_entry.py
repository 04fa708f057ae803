"""The command itself: its version, its help, `python -m segqa`, and paths in options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from typer.testing import CliRunner

from segqa.cli import app
from segqa.data.storage import expand_home
from tests.cli.test_every_command import COMMANDS


def options_of(command: Callable[..., object]) -> Iterator[tuple[object, Any]]:
    """Yield the type and the declaration of each parameter."""
    for hint in get_type_hints(command, include_extras=True).values():
        kind, *declared = get_args(hint) or (hint,)
        if declared and hasattr(declared[0], "help"):
            yield kind, declared[0]


def test_the_version_is_printed_with_and_without_the_script() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.stdout) == (0, f"segqa {version('segqa')}\n")
    module = subprocess.run([sys.executable, "-m", "segqa", "--version"], capture_output=True, text=True, check=True)
    assert module.stdout == said.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_says_all_that_is_written(name: str) -> None:
    said = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "1000", "TERMINAL_WIDTH": "1000"})
    assert said.exit_code == 0
    shown = "".join(said.stdout.split())
    for _, option in options_of(COMMANDS[name]):
        assert "".join((option.help or "").replace("`", "").split()) in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_of_a_command_may_begin_in_the_home_folder(name: str) -> None:
    paths = [option for kind, option in options_of(COMMANDS[name]) if kind is Path or Path in get_args(kind)]
    assert all(option.parser is expand_home for option in paths)


def test_a_folder_of_runs_is_looked_for_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    said = CliRunner().invoke(app, ["runs", "--dir=~/kept"])
    assert said.stderr == (
        f"segqa: no runs in {tmp_path}/kept; `pytest suites` makes one, --dir names another folder\n"
    )
    assert expand_home("~nobody-has-this-name/x") == Path("~nobody-has-this-name/x")
