"""Collect the reports of the tests, and show the error of a fixture only once."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest

from segqa.plugin.context import find_session
from segqa.plugin.requested_fixtures import requests_model
from segqa.plugin.xdist_messages import is_worker
from segqa.support.escaping import to_block

_NAME = "segqa-reports"
_TERMINAL = ("terminal", "terminalreporter")


def get_stats(config: pytest.Config) -> dict[str, list[Any]]:
    """Return the reports by category (`passed`, `failed`, `error`, `skipped`, …); empty in a worker of xdist."""
    plugins = config.pluginmanager
    reporter = plugins.get_plugin("terminalreporter") or plugins.get_plugin(_NAME)
    return {} if reporter is None else reporter.stats


def find_outcome(test: str, config: pytest.Config) -> str:
    """Return the outcome of a test, with the reason if there is one; `not run` if it has none."""
    for outcome, reports in get_stats(config).items():
        for report in reports:
            if outcome and getattr(report, "nodeid", None) == test:
                longrepr = getattr(report, "longrepr", None)
                reason = getattr(report, "wasxfail", "") or (longrepr[2] if isinstance(longrepr, tuple) else "")
                return f"{outcome}: {reason.removeprefix('Skipped: ')}" if reason else outcome
    return "not run"


def replace_terminal(config: pytest.Config) -> None:
    """Collect the reports and write why a session fails, if pytest's terminal is switched off."""
    # a worker of xdist has no terminal; its controller writes everything
    if not is_worker(config) and any(config.pluginmanager.is_blocked(name) for name in _TERMINAL):
        config.pluginmanager.register(_Reports(config), _NAME)


class _Reports:
    """A minimal substitute for pytest's terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.stats: dict[str, list[Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put a report into its category; setup and teardown count where they fail or skip."""
        status = self._config.hook.pytest_report_teststatus(report=report, config=self._config)
        category = status[0] if status else report.outcome
        if not status and report.when != "call":
            category = {"failed": "error", "passed": ""}.get(report.outcome, report.outcome)
        self.stats.setdefault(category, []).append(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a module that cannot be collected as an error."""
        if report.failed:
            self.stats.setdefault("error", []).append(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Write the problem and the findings of the session, which no other plugin writes."""
        session = find_session(config)
        if session is not None:
            for text in filter(None, [session.problem, *session.findings]):
                sys.stderr.write(to_block(f"ERROR: segqa: {text}") + "\n")


_FIRST = "_segqa_first_shown_in"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Replace the repeated traceback of a failing model fixture with the name of the first test that has it."""
    report = yield
    if call.when != "setup" or not report.failed or call.excinfo is None:
        return report
    if not requests_model(item):
        return report
    # pytest caches the error of a fixture, and raises the same object again
    error = call.excinfo.value
    first = vars(error).setdefault(_FIRST, item.nodeid)
    if first != item.nodeid:
        lines = str(error).strip().splitlines()
        report.longrepr = f"the same error as in {first}: {type(error).__name__}: {lines[0] if lines else ''}"
    return report
