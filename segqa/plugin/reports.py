"""The reports of a session's tests by category: those of pytest's terminal, or our own with `-p no:terminal`."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from segqa.plugin.session import STATE, is_worker
from segqa.support.escaping import to_block

_NAME = "segqa-reports"
_TERMINAL = ("terminal", "terminalreporter")


def get_stats(config: pytest.Config) -> dict[str, list[Any]]:
    """Return the reports by category (`passed`, `failed`, `error`, `skipped`, …); empty in a worker of xdist."""
    plugins = config.pluginmanager
    reporter = plugins.get_plugin("terminalreporter") or plugins.get_plugin(_NAME)
    return {} if reporter is None else reporter.stats


def replace_terminal(config: pytest.Config) -> None:
    """Collect the reports, and write why a session fails, where pytest's terminal is switched off."""
    # a worker of xdist has no terminal, and its controller says all
    if not is_worker(config) and any(config.pluginmanager.is_blocked(name) for name in _TERMINAL):
        config.pluginmanager.register(_Reports(config), _NAME)


class _Reports:
    """What is needed of pytest's terminal."""

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
        """Write why the session fails beside its tests: nobody else does."""
        session = config.stash.get(STATE, None)
        if session is not None:
            for text in filter(None, [session.problem, *session.findings]):
                sys.stderr.write(to_block(f"ERROR: segqa: {text}") + "\n")
