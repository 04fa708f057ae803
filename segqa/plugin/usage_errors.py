"""End a session with exit code 4: the command line or the settings cannot be used."""

from __future__ import annotations

from typing import NoReturn

import pytest

from segqa.plugin.context import find_session
from segqa.plugin.report_folder import withdraw_report
from segqa.plugin.xdist_messages import is_worker, send_problem
from segqa.support.escaping import to_block


def stop_session(config: pytest.Config, problem: str) -> NoReturn:
    """End the session with exit code 4.

    If other models remain to be tested, only this test fails, and the session ends with 4 after them. A worker of xdist
    cannot end the session; it sends the problem to its controller and fails its test.
    """
    problem, session = to_block(problem), find_session(config)
    if is_worker(config):
        send_problem(config, problem)
        # not chained: the message of the error that is being handled is the problem
        raise pytest.fail.Exception(f"segqa: {problem}", pytrace=False) from None
    if session is not None and len(session.chosen_models) > 1:
        session.problem = problem
        raise pytest.fail.Exception(f"segqa: {problem}", pytrace=False) from None
    pytest.exit(f"segqa: {problem}", returncode=pytest.ExitCode.USAGE_ERROR)


def refuse_collection(config: pytest.Config, items: list[pytest.Item], problem: str) -> None:
    """End the collection with exit code 4; a worker of xdist sends the problem to its controller and runs no test."""
    if not is_worker(config):
        session = find_session(config)
        if session is not None:
            withdraw_report(config, session)
        raise pytest.UsageError(f"segqa: {to_block(problem)}")
    send_problem(config, problem)
    items.clear()
