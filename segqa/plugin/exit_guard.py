"""Keep the decided exit code, even if something ends the session early or changes the code afterwards."""

from __future__ import annotations

import atexit
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext

import pytest

from segqa.plugin.ci_outputs import write_verdict
from segqa.plugin.context import find_session, get_session
from segqa.plugin.exit_code import is_strict
from segqa.plugin.refuse_exit_zero import make_exit_without_zero, refuse_exit_zero
from segqa.plugin.session import Session
from segqa.plugin.xdist_messages import is_worker


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Record a `pytest.exit` during collection."""
    with _record_exit(get_session(session.config)):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Record a `pytest.exit` while tests run; in a strict session, keep a model from exiting with code 0."""
    config = session.config
    state = get_session(config)
    guarded = is_strict(state) and bool(state.requested_models) and not is_worker(config)
    refused = refuse_exit_zero(config, lambda: pytest.ExitCode.TESTS_FAILED) if guarded else nullcontext()
    with _record_exit(state), refused:
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Restore the decided exit code if another plugin has set it to 0, and update `verdict.json`."""
    result = yield
    state = find_session(session.config)
    if state is not None and state.exit_status is not None:
        if state.exit_status != pytest.ExitCode.OK and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = state.exit_status
        if state.exit_status != session.exitstatus:
            write_verdict(session, state)
        if is_strict(state) and session.exitstatus != pytest.ExitCode.OK:
            atexit.register(_keep_exit_code, int(session.exitstatus))
    return result


@contextmanager
def _record_exit(state: Session) -> Iterator[None]:
    """Record the message of a `pytest.exit`."""
    try:
        yield
    except pytest.exit.Exception as error:
        state.exit_message = str(error.msg)
        raise


def _keep_exit_code(code: int) -> None:
    """Keep a failure even if an `atexit` handler that was registered earlier calls `os._exit(0)`."""
    os._exit = make_exit_without_zero(lambda: code)
