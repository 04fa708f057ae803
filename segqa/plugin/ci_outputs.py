"""Write the outputs for continuous integration: baselines, `verdict.json`, Markdown, OpenMetrics, annotations."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from segqa.data.storage import expand_home
from segqa.errors import StoreError, UsageError
from segqa.plugin.context import EXIT_CODE, find_session
from segqa.plugin.exit_code import decide_exit_code, find_reasons
from segqa.plugin.session import Session
from segqa.plugin.session_result import build_session_result
from segqa.plugin.xdist_messages import is_worker, send_to_controller

if TYPE_CHECKING:
    from segqa.report.exports import JudgedRun
    from segqa.report.session_result import SessionResult


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge the runs, decide the exit code and write the outputs, after all tests.

    A shard is not judged, so nothing is written for it.
    """
    config = session.config
    state = find_session(config)
    if state is None:
        return
    if is_worker(config):
        send_to_controller(config, state)
        return
    _judge(session, state)
    session.exitstatus = decide_exit_code(session.exitstatus, state)
    if state.shard is None and (state.runs or state.findings):
        _write(session, state)
    state.exit_status = session.exitstatus
    config.stash[EXIT_CODE] = int(session.exitstatus)


def _judge(session: pytest.Session, state: Session) -> None:
    """Judge the runs and the session, then write the new baselines."""
    from segqa.plugin.baselines import update_baselines

    ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    try:
        if state.shard is None:
            state.judged_runs = tuple(judge_all(state))
            # now, since a damaged run among those of other models is a warning
            state.find_label_errors()
        find_reasons(session, state)
        if "update-baseline" in state.options and state.runs and session.exitstatus in ended and not state.problem:
            state.messages += update_baselines(state)
    except (UsageError, StoreError) as error:
        state.problem = state.problem or str(error)
    except OSError as error:
        _report_disk_error(session, state, error)


def judge_all(session: Session) -> list[JudgedRun]:
    """Return the runs of the session with their verdicts."""
    from segqa.plugin.baselines import judge_runs, warn_of_idle_thresholds
    from segqa.report.exports import JudgedRun

    warn_of_idle_thresholds(session)
    return [
        JudgedRun(run, verdict, why, session.get_clusters(run), session.robustness.get(run.model), session.group_by)
        for run, verdict, why in judge_runs(session)
    ]


def _write(session: pytest.Session, state: Session) -> None:
    """Write the files, `verdict.json` last: it has exit code 4 if another file cannot be written."""
    try:
        _write_reports(state, build_session_result(session))
    except (OSError, StoreError) as error:
        _report_disk_error(session, state, error)
    try:
        write_verdict(session, state)
    except OSError as error:
        _report_disk_error(session, state, error)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from segqa.report.exports import to_annotations

        state.messages += to_annotations(state.judged_runs, build_session_result(session))


def _write_reports(state: Session, ending: SessionResult) -> None:
    """Write the result of the session into its runs, the Markdown, the OpenMetrics file and the review page."""
    from segqa.report.exports import to_markdown, to_openmetrics
    from segqa.report.page import write_review
    from segqa.report.session_result import write_ending
    from segqa.runs.store import write_whole

    for run in state.runs.values():
        write_ending(ending, state.store, run.id)
    if "markdown" in state.options:
        # GitHub's summary is one file for all steps
        with (state.start_folder / expand_home(state.options["markdown"])).open(
            "a", encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(to_markdown(state.judged_runs, ending))
    if "openmetrics" in state.options:
        write_whole(state.start_folder / expand_home(state.options["openmetrics"]), to_openmetrics(state.judged_runs))
    if state.folder is not None and state.judged_runs:
        settings, suspicions = state.settings.report, state.find_label_errors()
        write_review(
            state.judged_runs, state.store, state.folder, ending=ending, suspicions=suspicions, settings=settings
        )


def write_verdict(session: pytest.Session, state: Session) -> None:
    """Write `verdict.json` with the current exit code.

    Raises:
        OSError: the file cannot be written.
    """
    from segqa.report.exports import to_json
    from segqa.runs.store import write_whole

    if state.folder is None:
        return
    # without a run the folder was removed
    state.folder.mkdir(parents=True, exist_ok=True)
    verdict: dict[str, Any] = to_json(state.judged_runs, build_session_result(session), int(session.exitstatus))
    write_whole(state.folder / "verdict.json", json.dumps(verdict, indent=2, ensure_ascii=False) + "\n")


def _report_disk_error(session: pytest.Session, state: Session, error: OSError | StoreError) -> None:
    text = f"cannot write {error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
    state.problem = state.problem or text
    session.exitstatus = pytest.ExitCode.USAGE_ERROR
