"""Find the settings file of a session: the nearest `pyproject.toml` with `[tool.segqa]`, from the tests upwards.

It may differ from the file that pytest reads: any `pytest.ini` in a folder above makes that folder pytest's rootdir.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from segqa.errors import SettingsError
from segqa.plugin.context import is_hosting, shorten_path
from segqa.plugin.session import Session
from segqa.plugin.xdist_messages import SETTINGS_FILE, is_worker, read_input
from segqa.settings import find_settings_file, has_settings


def choose_settings_file(config: pytest.Config) -> Path | None:
    """Return the file with `[tool.segqa]` that a session reads; None if there is none.

    The order is: the file given by `-c`, the nearest one above the paths of the tests, the one in rootdir. A worker of
    xdist reads the file of its controller.

    Raises:
        SettingsError: the tests have different files, or one cannot be read.
    """
    if is_worker(config):
        handed: str = read_input(config, SETTINGS_FILE)
        return Path(handed) if handed else None
    typed = _find_given_file(config)
    # an actor of Ray always gets the file that pytest has found
    if typed is not None and not is_hosting(config):
        return typed
    found = {file: folder for folder in _list_test_folders(config) if (file := find_settings_file(folder)) is not None}
    if len(found) > 1:
        listed = " and ".join(
            f"{shorten_path(file, config)} (for {shorten_path(folder, config)})" for file, folder in found.items()
        )
        raise SettingsError(f"expected tests with one settings file, got {listed}; start pytest once for each")
    in_rootdir = config.rootpath / "pyproject.toml"
    return next(iter(found), None) or typed or (in_rootdir if has_settings(in_rootdir) else None)


def refuse_other_settings(config: pytest.Config, session: Session, folders: Iterable[Path]) -> None:
    """Refuse tests below a settings file that this session, started further up, does not read.

    Raises:
        SettingsError: there is such a test.
    """
    if is_hosting(config) or _find_given_file(config) is not None:
        return
    for folder in folders:
        file = find_settings_file(folder)
        if file is not None and file != session.settings_file:
            read = "no settings file" if session.settings_file is None else shorten_path(session.settings_file, config)
            raise SettingsError(
                f"the tests in {shorten_path(folder, config)} have the settings file {shorten_path(file, config)}, but "
                f"this session reads {read}; name them on the command line: pytest {shorten_path(folder, config)}"
            )


def describe_settings_file(config: pytest.Config, session: Session) -> str:
    """Return a line that names the settings file."""
    if session.settings_file is None:
        return "segqa settings: defaults, no pyproject.toml with [tool.segqa] from the tests upwards"
    return f"segqa settings: {shorten_path(session.settings_file, config)}"


def _find_given_file(config: pytest.Config) -> Path | None:
    """Return the file given by `-c`, if it has a table `[tool.segqa]`."""
    name = getattr(config.known_args_namespace, "inifilename", None)
    path = config.invocation_params.dir / name if name else None
    return path if path is not None and path.suffix == ".toml" and has_settings(path) else None


def _list_test_folders(config: pytest.Config) -> list[Path]:
    """Return the folders of the tests that are named on the command line, or by `testpaths`."""
    here = config.invocation_params.dir
    paths = [Path(os.path.normpath(here / argument.partition("::")[0])) for argument in config.args]
    return [path if path.is_dir() else path.parent for path in paths if path.exists()] or [here]
