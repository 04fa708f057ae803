"""The messages between pytest-xdist's controller and its workers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from segqa.support.escaping import to_utf8

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.plugin.session import Session

STARTED, CI = "segqa_started", "segqa_ci"
REPORT, FOLDER = "segqa_report", "segqa_folder"
SETTINGS_FILE = "segqa_settings_file"
"""The path of the settings file that the controller has read; empty for none."""

_PROBLEM, _FINDINGS, _WARNINGS = "segqa_problem", "segqa_findings", "segqa_warnings"
_ASKED, _WANTED, _ENDED = "segqa_asked", "segqa_wanted", "segqa_ended"


def is_worker(config: pytest.Config) -> bool:
    """Return whether this process is one of pytest-xdist's workers."""
    return hasattr(config, "workerinput")


def read_input(config: pytest.Config, key: str) -> Any:
    """Return what the controller has sent to this worker under a key."""
    return config.workerinput[key]  # type: ignore[attr-defined] # xdist's


def read_start(config: pytest.Config) -> datetime:
    """Return when the controller of this worker was started."""
    return datetime.fromisoformat(read_input(config, STARTED))


def send_to_worker(node: Any, session: Session) -> None:
    """Send a worker what it must not decide on its own: the start time, the reports, the settings file, and `CI`."""
    node.workerinput[STARTED] = session.started.isoformat()
    node.workerinput[REPORT] = getattr(node.config.option, "htmlpath", None)
    node.workerinput[FOLDER] = str(session.folder or "")
    node.workerinput[CI] = session.ci
    node.workerinput[SETTINGS_FILE] = str(session.settings_file or "")


def send_problem(config: pytest.Config, problem: str) -> None:
    """Send the controller why the session must end with exit code 4; a worker cannot end it."""
    config.workeroutput[_PROBLEM] = problem  # type: ignore[attr-defined] # xdist's


def send_to_controller(config: pytest.Config, session: Session) -> None:
    """Send the controller the findings and warnings of this worker, and the models that its tests ask for."""
    output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined] # xdist's
    output[_FINDINGS] = [*map(to_utf8, session.findings)]
    output[_WARNINGS] = [*map(to_utf8, session.warnings)]
    output[_ASKED], output[_WANTED], output[_ENDED] = (
        session.requested_models,
        session.requested_measurements,
        session.exit_message,
    )


def read_problem(node: Any) -> str:
    """Return the problem that a worker has sent; empty for none."""
    problem: str = getattr(node, "workeroutput", {}).get(_PROBLEM, "")
    return problem


def merge_output(node: Any, session: Session) -> None:
    """Merge what a worker has sent into the session of the controller."""
    output = getattr(node, "workeroutput", {})
    session.problem = session.problem or read_problem(node)
    session.findings += [text for text in output.get(_FINDINGS, ()) if text not in session.findings]
    session.warn(*output.get(_WARNINGS, ()))
    session.exit_message = output.get(_ENDED) if session.exit_message is None else session.exit_message
    for fixture, tests in output.get(_WANTED, {}).items():
        session.requested_measurements[fixture] = {**tests, **session.requested_measurements.get(fixture, {})}
    session.requested_models = {**output.get(_ASKED, {}), **session.requested_models}
