"""What a session leaves for continuous integration: baselines, `verdict.json`, Markdown, OpenMetrics, annotations."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segqa.errors import UsageError
from segqa.plugin.session import STATE, Session, is_worker

if TYPE_CHECKING:
    from segqa.report.verdict import Judged


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was asked for, once all tests have had their turn; end with 4 where it cannot be."""
    config = session.config
    state = config.stash.get(STATE, None)
    if state is None:
        return
    made = not is_worker(config) and bool(state.runs)
    if made:
        _judge(state, session.exitstatus)
    if state.problem:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR
    if made:
        try:
            _write(config, state, int(session.exitstatus))
        except OSError as error:
            state.problem = state.problem or f"cannot write {error.filename}: {error.strerror}"
            session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _judge(session: Session, exit_status: int) -> None:
    """Judge the runs, then write those that shall be baselines from now on."""
    ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    try:
        session.judged = tuple(judge_all(session))
        if "update-baseline" in session.options and exit_status in ended and not session.problem:
            _update(session)
    except UsageError as error:
        session.problem = session.problem or str(error)


def judge_all(session: Session) -> list[Judged]:
    """The runs of the session with their verdicts."""
    from segqa.plugin.regression import verdicts
    from segqa.report.verdict import Judged

    return [Judged(run, verdict, why, session.clusters_of(run)) for run, verdict, why in verdicts(session)]


def _update(session: Session) -> None:
    from segqa.plugin.regression import update_baselines

    session.said += update_baselines(session)


def _write(config: pytest.Config, session: Session, exit_status: int) -> None:
    """The files."""
    from segqa.plugin.html import failing_tests
    from segqa.report.verdict import as_annotations, as_json, as_markdown, as_openmetrics
    from segqa.store import write_whole

    failing = failing_tests(config)
    report = getattr(config.option, "htmlpath", None)
    if report:
        verdict: dict[str, Any] = as_json(session.judged, failing, exit_status)
        path = Path(report).parent / "verdict.json"
        write_whole(path, json.dumps(verdict, indent=2, ensure_ascii=False) + "\n")
    if "markdown" in session.options:
        # GitHub's summary is one file for all steps
        with (session.here / session.options["markdown"]).open("a", encoding="utf-8") as file:
            file.write(as_markdown(session.judged, failing))
    if "openmetrics" in session.options:
        write_whole(session.here / session.options["openmetrics"], as_openmetrics(session.judged))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        session.said += as_annotations(session.judged)
