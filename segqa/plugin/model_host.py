"""Host a model: set it up in a pytest session of one item, and pass it to a program such as a server.

A model is a fixture: it may request other fixtures, and may clean up after itself. So pytest sets it up here, too
(`docs/decisions/serving.md`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.logging import LogCaptureHandler

from segqa.errors import UsageError
from segqa.plugin.context import HOSTING, get_session
from segqa.plugin.usage_errors import stop_session

if TYPE_CHECKING:
    from segqa.models.protocol import Model
    from segqa.settings import Settings

# no warnings: with `error` in the user's filters, a warning of a library would end the session
_QUIET = ("-qq", "--no-header", "-s", "-p", "no:cacheprovider", "-p", "no:warnings")
_OFF = ("numprocesses", "timeout", "maxfail")
"""Options of plugins that would run the item in another process or end it; they are switched off."""


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A model that has been set up.

    Attributes:
        model: the value of its fixture.
        name: its name.
        settings: those of `pyproject.toml`, overridden by the command line.
    """

    model: Model
    name: str
    settings: Settings


Use = Callable[[HostedModel], None]
_USE = pytest.StashKey[Use]()


def host(name: str, use: Use, arguments: Sequence[str] = ()) -> int:
    """Set a model up, call a function with it, and tear it down when that returns.

    Args:
        name: the name of the model, as for `--segqa-model`.
        use: is called with the model, in the thread of the caller.
        arguments: further arguments of pytest, such as `--segqa-device=cpu` or a folder with the conftest of the model.

    Returns:
        pytest's exit code: 0 if `use` returned, 4 if the model is unknown or cannot be built.
    """
    return int(pytest.main([*_QUIET, *arguments, f"--segqa-model={name}"], plugins=[_HostingPlugin(use)]))


class _HostingPlugin:
    """Replaces all tests with one item."""

    def __init__(self, use: Use) -> None:
        self._use = use

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
        """Switch off, before anything else, the plugins that would end the session."""
        config.stash[_USE] = self._use
        config.stash[HOSTING] = True
        for name in _OFF:
            if hasattr(config.option, name):
                setattr(config.option, name, 0)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        """Collect the test in this module, and no other."""
        module = pytest.Module.from_parent(session, path=Path(__file__))
        session.items = list(session.genitems(module))
        session.testscollected = len(session.items)
        if len(session.items) != 1:
            raise pytest.UsageError(f"segqa: expected the name of one model, got {len(session.items)}")
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Print no dot: for the user this is no test."""
        return ("", "", "") if report.passed else None


def test_hosted(model: Any, model_name: str, pytestconfig: pytest.Config) -> None:
    """Call the function with the model; this is a test so that pytest sets its fixtures up."""
    try:
        with _logging_to_stderr():
            pytestconfig.stash[_USE](HostedModel(model, model_name, get_session(pytestconfig).settings))
    except UsageError as error:
        stop_session(pytestconfig, str(error))


@contextmanager
def _logging_to_stderr() -> Iterator[None]:
    """Log warnings and errors to stderr at once; pytest would keep all of them in memory until the test ends."""
    root, written = logging.getLogger(), logging.StreamHandler()
    written.setLevel(logging.WARNING)
    written.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    captured = [handler for handler in root.handlers if isinstance(handler, LogCaptureHandler)]
    for handler in captured:
        root.removeHandler(handler)
    root.addHandler(written)
    try:
        yield
    finally:
        root.removeHandler(written)
        for handler in captured:
            root.addHandler(handler)
