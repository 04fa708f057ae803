"""Refuse to exit with code 0 in CI before the exit code of the session is decided.

A conftest, or a module that it imports, can end pytest in many ways that print nothing and pass:
`sys.exit(0)`, `os._exit(0)`, `os.execv`, `pytest.exit(returncode=0)`, or a `pytest_cmdline_main` that returns 0.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

from segqa.plugin.context import EXIT_CODE, is_hosting, read_ci, runs_no_tests
from segqa.plugin.decorators import find_declared
from segqa.plugin.options import read_options
from segqa.plugin.xdist_messages import is_worker
from segqa.support.environment import is_ci


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Refuse, in CI, a conftest that exits with code 0 or unsets `CI`."""
    if not read_ci(early_config) or not _has_settings_above(early_config):
        return (yield)
    try:
        with refuse_exit_zero(early_config, lambda: pytest.ExitCode.USAGE_ERROR):
            result = yield
    except SystemExit as error:
        if error.code:
            raise
        raise pytest.UsageError(
            "segqa: a conftest.py, or what it imports, called sys.exit(0) before any test was collected; "
            "raise an error in its place"
        ) from error
    if not is_ci():
        raise pytest.UsageError(
            "segqa: a conftest.py, or what it imports, unset the variable CI, so that no baseline would be required; "
            "set CI=false where pytest is started"
        )
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Refuse, in CI, a session that ends with exit code 0 before segqa has decided the code."""
    if not _is_guarded(config):
        return (yield)
    try:
        with refuse_exit_zero(config, lambda: config.stash.get(EXIT_CODE, pytest.ExitCode.TESTS_FAILED)):
            status = yield
    except SystemExit as error:
        if error.code:
            raise
        status = pytest.ExitCode.OK
    if status:
        return status
    if EXIT_CODE not in config.stash:
        raise pytest.UsageError(
            "segqa: the session ended with exit code 0 before its runs were judged; look for sys.exit, pytest.exit "
            "and pytest_cmdline_main in conftest.py and in plugins"
        )
    return config.stash[EXIT_CODE]


@contextmanager
def refuse_exit_zero(config: pytest.Config, status_of: Callable[[], int]) -> Iterator[None]:
    """Turn `os._exit(0)` in this process into another exit code.

    Args:
        config: pytest's.
        status_of: returns the code to exit with instead of 0.
    """
    leave, replacements = os._exit, (os.execv, os.execve)
    os._exit = make_exit_without_zero(status_of, config)
    os.execv, os.execve = (_make_refusing_exec(each) for each in replacements)
    try:
        yield
    finally:
        os._exit = leave
        os.execv, os.execve = replacements


def make_exit_without_zero(status_of: Callable[[], int], config: pytest.Config | None = None) -> Any:
    """Return a replacement of `os._exit` that never exits with 0; forked children may exit with any code."""
    process, leave = os.getpid(), os._exit

    def refuse(status: int) -> NoReturn:
        if os.getpid() == process and status == 0 and (code := int(status_of())):
            capture = None if config is None else config.pluginmanager.getplugin("capturemanager")
            if capture is not None:
                capture.suspend_global_capture(in_=True)
            sys.stderr.write(f"\nERROR: segqa: os._exit(0) would hide how the tests ended; exit code {code}\n")
            sys.stderr.flush()
            status = code
        leave(status)

    return refuse


def _make_refusing_exec(execute: Callable[..., NoReturn]) -> Any:
    """Return a replacement of `os.execv` that raises: another program would end with its own exit code."""
    process = os.getpid()

    def refuse(*arguments: Any) -> NoReturn:
        if os.getpid() == process:
            raise RuntimeError("segqa: os.exec would hide how the tests ended; use subprocess")
        execute(*arguments)

    return refuse


def _has_settings_above(early_config: pytest.Config) -> bool:
    """Return whether segqa is used above the paths on the command line, before pytest knows its arguments."""
    from segqa.settings import find_settings_file

    here = early_config.invocation_params.dir
    paths = getattr(early_config.known_args_namespace, "file_or_dir", ())
    return any(find_settings_file(folder) for folder in (here, *(here / path for path in paths)))


def _is_guarded(config: pytest.Config) -> bool:
    """Return whether this process is to run tests with segqa in CI."""
    if is_worker(config) or not read_ci(config) or is_hosting(config) or runs_no_tests(config):
        return False
    options = read_options(config)
    return "list-models" not in options and bool(
        options or find_declared(config, "model") or find_declared(config, "dataset")
    )
