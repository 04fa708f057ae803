"""Build the result of a session: how its tests ended, its findings and its warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from segqa.plugin.context import get_session
from segqa.plugin.markers import count_behaviours
from segqa.plugin.test_reports import get_stats

if TYPE_CHECKING:
    from segqa.report.session_result import SessionResult


def build_session_result(session: pytest.Session) -> SessionResult:
    """Return how the tests of this session ended."""
    from segqa.report.session_result import SessionResult

    state = get_session(session.config)
    ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    complete = session.exitstatus in ended and not session.shouldstop and state.exit_message is None
    stats = get_stats(session.config)
    named = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
    failed = _list_failed(stats)
    return SessionResult(
        failing=tuple((report.nodeid, _read_reason(report)) for report in failed),
        counts={name: len(stats[name]) for name in named if stats.get(name)},
        complete=bool(complete),
        behaviour=count_behaviours(stats),
        findings=tuple(state.findings),
        warnings=tuple(state.warnings),
        problem=state.problem,
        titles={report.nodeid: title for report in failed if (title := getattr(report, "segqa_title", ""))},
    )


def _list_failed(stats: Mapping[str, list[Any]]) -> list[Any]:
    """Return the reports of the tests that failed, in the order in which they were reported."""
    return [report for outcome in ("failed", "error") for report in stats.get(outcome, [])]


def _read_reason(report: Any) -> str:
    """Return the first line of a failing test's message: the number and the bound, if segqa has explained it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    first = str(crash.message).partition("\n")[0] if crash is not None else ""
    return first.removeprefix("AssertionError: ").removeprefix("assert ")
