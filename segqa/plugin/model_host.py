"""Hosting: a pytest session of one item, which has a model set up as for the suites and hands it to somebody else.

A model is a fixture: it may ask for other fixtures, and may clean up after itself. So pytest sets it up here, too
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

# no warnings: with `error` among the user's filters a library's would end what is hosted
_QUIET = ("-qq", "--no-header", "-s", "-p", "no:cacheprovider", "-p", "no:warnings")
_OFF = ("numprocesses", "timeout", "maxfail")
"""Options of plugins that would run the item in another process, or end it: off, where there are such plugins."""


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A model that has been set up.

    Attributes:
        model: what its fixture gave.
        name: by which it was asked for.
        settings: of `pyproject.toml`, with what stands on the command line in its place.
    """

    model: Model
    name: str
    settings: Settings


Use = Callable[[HostedModel], None]
_USE = pytest.StashKey[Use]()


def host(name: str, use: Use, arguments: Sequence[str] = ()) -> int:
    """Set a model up, hand it over, and clean up after it when that returns.

    Args:
        name: of the model, as `--segqa-model` has it.
        use: gets the model, in the thread that calls this.
        arguments: of pytest, such as `--segqa-device=cpu`, or a folder whose conftest declares the model.

    Returns:
        pytest's exit code: 0 if `use` returned, 4 if the model is unknown or cannot be built.
    """
    return int(pytest.main([*_QUIET, *arguments, f"--segqa-model={name}"], plugins=[_HostingPlugin(use)]))


class _HostingPlugin:
    """Puts one item in the place of all tests."""

    def __init__(self, use: Use) -> None:
        self._use = use

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
        """Before anything else is: switch off what would not let it last."""
        config.stash[_USE] = self._use
        config.stash[HOSTING] = True
        for name in _OFF:
            if hasattr(config.option, name):
                setattr(config.option, name, 0)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        """The test in this module, and no other."""
        module = pytest.Module.from_parent(session, path=Path(__file__))
        session.items = list(session.genitems(module))
        session.testscollected = len(session.items)
        if len(session.items) != 1:
            raise pytest.UsageError(f"segqa: expected the name of one model, got {len(session.items)}")
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dot for what is no test to whoever runs it."""
        return ("", "", "") if report.passed else None


def test_hosted(model: Any, model_name: str, pytestconfig: pytest.Config) -> None:
    """Hand the model over; a test so that pytest gives it what it needs."""
    try:
        with _logging_to_stderr():
            pytestconfig.stash[_USE](HostedModel(model, model_name, get_session(pytestconfig).settings))
    except UsageError as error:
        stop_session(pytestconfig, str(error))


@contextmanager
def _logging_to_stderr() -> Iterator[None]:
    """Write warnings and errors to stderr at once; pytest would keep all of them in memory until the test is over."""
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
