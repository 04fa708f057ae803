"""Read the session and the way pytest was started from the configuration of pytest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segqa.plugin.xdist_messages import CI, is_worker, read_input
from segqa.support.environment import is_ci

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.plugin.session import Session

SESSION = pytest.StashKey["Session"]()
HOSTING = pytest.StashKey[bool]()
"""Set where pytest sets up a model for another program (`segqa.plugin.model_host`) and evaluates nothing."""
EXIT_CODE = pytest.StashKey[int]()
"""The exit code of the session, once it is decided; it outlives `SESSION`."""
_IN_CI = pytest.StashKey[bool]()

_NO_TESTS = ("help", "version", "markers", "collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")


def find_session(config: pytest.Config) -> Session | None:
    """Return the session of segqa; None where segqa is not used."""
    return config.stash.get(SESSION, None)


def get_session(config: pytest.Config) -> Session:
    """Return the session of segqa.

    Raises:
        KeyError: segqa is not used.
    """
    return config.stash[SESSION]


def is_hosting(config: pytest.Config) -> bool:
    """Return whether pytest sets up a model for another program and evaluates nothing."""
    return HOSTING in config.stash


def read_ci(config: pytest.Config) -> bool:
    """Return whether `CI` was set when pytest was started.

    A fixture, a model or a library may change the variable later. A worker of xdist asks its controller.
    """
    if is_worker(config):
        return bool(read_input(config, CI))
    return config.stash.setdefault(_IN_CI, is_ci())


def shorten_path(path: Path, config: pytest.Config) -> str:
    """Return a path relative to the folder that pytest was started in."""
    return os.path.relpath(path, config.invocation_params.dir)


def runs_no_tests(config: pytest.Config) -> bool:
    """Return whether pytest was asked for something else than to run tests, such as `--collect-only`."""
    return any(getattr(config.option, name, False) for name in _NO_TESTS)
