"""What segqa adds to pytest-html's report: a title, and its summary at the top."""

from __future__ import annotations

from typing import Any

import pytest

from segqa.plugin.session import STATE


@pytest.hookimpl(optionalhook=True)
def pytest_html_report_title(report: Any) -> None:
    """Name the report."""
    report.title = "segqa"


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_summary(prefix: list[str], session: pytest.Session) -> None:
    """Put verdict, numbers, histogram and the worst cases above the list of tests."""
    state = session.config.stash.get(STATE, None)
    if state is None or not state.runs:
        return
    from segqa.report.summary import render_summary

    ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    complete = session.exitstatus in ended and not session.shouldstop and not state.problem
    failing = failing_tests(session.config)
    found = [state.clusters_of(run) for run in state.runs.values()]
    prefix.append(render_summary(found, state.store, failing=failing, complete=complete, suspicions=state.suspects()))


def failing_tests(config: pytest.Config) -> list[tuple[str, str]]:
    """The tests that failed and the first line of why, in the order in which they were reported."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    stats = {} if reporter is None else reporter.stats
    return [(report.nodeid, _why(report)) for outcome in ("failed", "error") for report in stats.get(outcome, [])]


def _why(report: Any) -> str:
    """The first line of a failing test's message: the number and the bound, if segqa has explained it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    first = str(crash.message).partition("\n")[0] if crash is not None else ""
    return first.removeprefix("AssertionError: ").removeprefix("assert ")
