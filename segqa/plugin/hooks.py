"""The hooks that wire segqa to pytest and xdist, from the configuration to the end of a session."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

from segqa.plugin.context import SESSION, find_session
from segqa.plugin.decorators import find_declared
from segqa.plugin.options import MARKERS, read_options
from segqa.plugin.report_folder import claim_report_folder, remove_empty_folders, withdraw_report
from segqa.plugin.xdist_messages import is_worker, merge_output, read_problem, read_start, send_to_worker
from segqa.support.escaping import to_block


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Configure the session, the report and the other hooks, if segqa is used."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    models, datasets, options = find_declared(config, "model"), find_declared(config, "dataset"), read_options(config)
    if not (models or datasets or options):
        return
    from segqa.errors import UsageError
    from segqa.plugin.configure import configure_session

    try:
        session = configure_session(config, models, datasets, options, _list_fixtures())
    except UsageError as error:
        raise pytest.UsageError(f"segqa: {to_block(str(error))}") from error
    if is_worker(config):
        session.started = read_start(config)
    config.stash[SESSION] = session
    claim_report_folder(config, session)
    _register_plugins(config)
    if not gc.get_freeze_count():
        # imported modules stay to the end; collecting garbage in them takes a twentieth of a session
        gc.freeze()
        config.add_cleanup(gc.unfreeze)


def _register_plugins(config: pytest.Config) -> None:
    """Register the hooks that run for each test and at the end; a session without segqa does not need them."""
    from segqa.plugin import assertions, exit_guard, requested_models
    from segqa.plugin import ci_outputs as ci
    from segqa.plugin import known_failures as calls
    from segqa.plugin import pytest_html as html
    from segqa.plugin import terminal as summary
    from segqa.plugin import test_reports as setup_errors
    from segqa.plugin.test_reports import replace_terminal

    replace_terminal(config)
    for name, plugin in (
        ("assertions", assertions),
        ("calls", calls),
        ("setup-errors", setup_errors),
        ("requested-models", requested_models),
        ("exit-guard", exit_guard),
        ("ci", ci),
        ("summary", summary),
        ("html", html),
        ("html-report", html.ReportHooks()),
    ):
        config.pluginmanager.register(plugin, f"segqa-{name}")


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print the models for `--segqa-list-models` instead of running tests."""
    if "list-models" not in read_options(config):
        return None
    for name, function in find_declared(config, "model").items():
        sys.stdout.write(f"{_describe_model(name, function)}\n")
    return 0


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send a worker of xdist what its controller has decided."""
    session = find_session(node.config)
    if session is not None:
        if node.workerinput["workerid"] == "gw0":
            from segqa.plugin.xdist import forget_session

            forget_session(session.store, node.workerinput["testrunuid"])
        send_to_worker(node, session)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receive from a worker of xdist its problem, findings and warnings, and the models that its tests ask for."""
    session = find_session(node.config)
    if session is not None:
        merge_output(node, session)
    elif problem := read_problem(node):
        raise pytest.UsageError(f"segqa: {to_block(problem)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Gather the runs of the workers after all tests; without a run, withdraw the report."""
    try:
        return (yield)
    finally:
        state = find_session(session.config)
        if state is not None and not is_worker(session.config):
            from segqa.plugin.xdist import gather_runs, remove_leftovers

            gather_runs(session.config, state)
            remove_leftovers(state.store)
            if not state.runs:
                withdraw_report(session.config, state)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the session from the configuration, and its folder if that is empty."""
    session = find_session(config)
    if session is not None:
        if session.folder is not None and not is_worker(config):
            remove_empty_folders(session.folder)
        del config.stash[SESSION]


def _list_fixtures() -> set[str]:
    """Return the names of segqa's fixtures, which no model and no data set may have."""
    from segqa import plugin

    # the other names are hooks, or private
    return {name for name in plugin.__all__ if not name.startswith(("pytest_", "_segqa_"))}


def _describe_model(name: str, function: Callable[..., Any]) -> str:
    """Return a model's name and the first line of its docstring."""
    lines = (function.__doc__ or "").strip().splitlines()
    return f"{name:<20} {lines[0]}" if lines else name
