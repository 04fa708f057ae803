"""What a session leaves for continuous integration: baselines, `verdict.json`, Markdown, OpenMetrics, annotations."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from segqa.errors import UsageError
from segqa.plugin.session import STATE, hand_over, is_worker
from segqa.plugin.state import Session

if TYPE_CHECKING:
    from segqa.report.verdict import Judged


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was asked for, once all tests have had their turn; end with 4 where it cannot be.

    Of a shard nothing is judged, so nothing is written.
    """
    config = session.config
    state = config.stash.get(STATE, None)
    if state is None:
        return
    made = not is_worker(config) and bool(state.runs) and state.shard is None
    if made:
        _judge(state, session.exitstatus)
    if is_worker(config):
        hand_over(config, state)
    if state.findings and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if state.problem:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR
    if made:
        try:
            _write(session, state)
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

    return [
        Judged(run, verdict, why, session.clusters_of(run), session.robustness.get(run.model))
        for run, verdict, why in verdicts(session)
    ]


def _update(session: Session) -> None:
    from segqa.plugin.regression import update_baselines

    session.said += update_baselines(session)


def _write(session: pytest.Session, state: Session) -> None:
    """The files."""
    from segqa.plugin.html import ending_of
    from segqa.report.ending import write_ending
    from segqa.report.review import write_review
    from segqa.report.verdict import as_annotations, as_json, as_markdown, as_openmetrics
    from segqa.store import write_whole

    ending = ending_of(session)
    for run in state.runs.values():
        write_ending(ending, state.store, run.id)
    if "markdown" in state.options:
        # GitHub's summary is one file for all steps
        with (state.here / state.options["markdown"]).open("a", encoding="utf-8") as file:
            file.write(as_markdown(state.judged, ending.failing))
    if "openmetrics" in state.options:
        write_whole(state.here / state.options["openmetrics"], as_openmetrics(state.judged))
    if state.folder is not None:
        verdict: dict[str, Any] = as_json(state.judged, ending.failing, int(session.exitstatus))
        write_whole(state.folder / "verdict.json", json.dumps(verdict, indent=2, ensure_ascii=False) + "\n")
        settings, suspicions = state.settings.report, state.suspects()
        write_review(state.judged, state.store, state.folder, ending=ending, suspicions=suspicions, settings=settings)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        state.said += as_annotations(state.judged)
