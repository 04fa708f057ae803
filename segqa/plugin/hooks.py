"""The session, from its configuration to its end, as pytest and xdist see it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from segqa.plugin.decorators import declared
from segqa.plugin.options import MARKERS, given
from segqa.support.environment import is_ci
from segqa.support.escaping import to_block, to_utf8

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.plugin.state import Session

STATE = pytest.StashKey["Session"]()
HOSTING = pytest.StashKey[bool]()
"""There where nothing is evaluated, but a model handed to somebody else (`segqa.plugin.model_host`)."""
IN_CI = pytest.StashKey[bool]()
"""Whether `CI` was set when pytest was started: a fixture, a model or a library may change the variable later."""
DECIDED = pytest.StashKey[int]()
"""The exit code, once the session has been judged; it outlives the state."""

_PROBLEM, _STARTED, _REPORT, _FOLDER = "segqa_problem", "segqa_started", "segqa_report", "segqa_folder"
_FINDINGS, _WARNINGS = "segqa_findings", "segqa_warnings"
_ASKED, _ENDED = "segqa_asked", "segqa_ended"
_WANTED = "segqa_wanted"
_CI = "segqa_ci"
SETTINGS_FILE = "segqa_settings_file"
"""The key under which a controller tells its workers which settings file it has read; empty for none."""

_NO_TESTS = ("help", "version", "markers", "collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check what was typed, and have pytest-html write a report; nothing where segqa is not used."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    models, datasets, options = declared(config, "model"), declared(config, "dataset"), given(config)
    if not (models or datasets or options):
        return
    from segqa.errors import UsageError
    from segqa.plugin.configure import begin

    try:
        session = begin(config, models, datasets, options)
    except UsageError as error:
        raise pytest.UsageError(f"segqa: {to_block(str(error))}") from error
    if is_worker(config):
        session.started = datetime.fromisoformat(config.workerinput[_STARTED])  # type: ignore[attr-defined] # xdist's
    config.stash[STATE] = session
    _request_report(config, session)
    _join_in(config)
    if not gc.get_freeze_count():
        # all that was imported stays to the end; looking through it for garbage takes a twentieth of a session
        gc.freeze()
        config.add_cleanup(gc.unfreeze)


def _join_in(config: pytest.Config) -> None:
    """Register what is called for each test and at the end; a session that does not use segqa goes without."""
    from segqa.plugin import assertions, exit_code
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
        ("exit-code", exit_code),
        ("ci", ci),
        ("summary", summary),
        ("html", html),
        ("html-report", html.Additions()),
    ):
        config.pluginmanager.register(plugin, f"segqa-{name}")


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer `--segqa-list-models` in place of a test run."""
    if "list-models" not in given(config):
        return None
    for name, function in declared(config, "model").items():
        sys.stdout.write(f"{_described(name, function)}\n")
    return 0


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is one of pytest-xdist's workers."""
    return hasattr(config, "workerinput")


def read_ci(config: pytest.Config) -> bool:
    """Return whether `CI` was set when pytest was started; a worker takes the word of its controller."""
    if is_worker(config):
        return bool(config.workerinput[_CI])  # type: ignore[attr-defined] # xdist's
    return config.stash.setdefault(IN_CI, is_ci())


def runs_no_tests(config: pytest.Config) -> bool:
    """Return whether pytest was asked for something else than to run tests, such as `--collect-only`."""
    return any(getattr(config.option, name, False) for name in _NO_TESTS)


def stop(config: pytest.Config, problem: str) -> NoReturn:
    """End the session with exit code 4: what the user typed cannot be used.

    Where other models wait for their turn, only the test fails, and the session ends with 4 after them. A worker cannot
    end the session itself; it hands the problem to its controller and fails its test.
    """
    problem, session = to_block(problem), config.stash.get(STATE, None)
    if is_worker(config):
        config.workeroutput[_PROBLEM] = problem  # type: ignore[attr-defined] # xdist's
        # not chained: the message of the error that is being handled is the problem
        raise pytest.fail.Exception(f"segqa: {problem}", pytrace=False) from None
    if session is not None and len(session.chosen) > 1:
        session.problem = problem
        raise pytest.fail.Exception(f"segqa: {problem}", pytrace=False) from None
    pytest.exit(f"segqa: {problem}", returncode=pytest.ExitCode.USAGE_ERROR)


def refuse(config: pytest.Config, items: list[pytest.Item], problem: str) -> None:
    """End the collection with exit code 4. A worker cannot: it hands the problem to its controller and runs nothing."""
    if not is_worker(config):
        session = config.stash.get(STATE, None)
        if session is not None:
            withdraw_report(config, session)
        raise pytest.UsageError(f"segqa: {to_block(problem)}")
    config.workeroutput[_PROBLEM] = problem  # type: ignore[attr-defined] # xdist's
    items.clear()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let a worker's runs carry the time of its controller."""
    session = node.config.stash.get(STATE, None)
    if session is not None:
        if node.workerinput["workerid"] == "gw0":
            from segqa.plugin.xdist import forget

            forget(session.store, node.workerinput["testrunuid"])
        node.workerinput[_STARTED] = session.started.isoformat()
        node.workerinput[_REPORT] = getattr(node.config.option, "htmlpath", None)
        node.workerinput[_FOLDER] = str(session.folder or "")
        node.workerinput[_CI] = session.ci
        node.workerinput[SETTINGS_FILE] = str(session.settings_file or "")


def hand_over(config: pytest.Config, session: Session) -> None:
    """Give what a worker found, and which models it was asked for, to its controller."""
    config.workeroutput[_FINDINGS] = [*map(to_utf8, session.findings)]  # type: ignore[attr-defined] # xdist's
    config.workeroutput[_WARNINGS] = [*map(to_utf8, session.warnings)]  # type: ignore[attr-defined] # xdist's
    config.workeroutput[_ASKED] = session.asked  # type: ignore[attr-defined] # xdist's
    config.workeroutput[_WANTED] = session.wanted  # type: ignore[attr-defined] # xdist's
    config.workeroutput[_ENDED] = session.ended  # type: ignore[attr-defined] # xdist's


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker met: its problem, findings and warnings, and the models that it was asked for."""
    session = node.config.stash.get(STATE, None)
    met = getattr(node, "workeroutput", {})
    if session is None:
        if _PROBLEM in met:
            raise pytest.UsageError(f"segqa: {to_block(met[_PROBLEM])}")
    else:
        session.problem = session.problem or met.get(_PROBLEM, "")
        session.findings += [text for text in met.get(_FINDINGS, ()) if text not in session.findings]
        session.warn(*met.get(_WARNINGS, ()))
        session.ended = met.get(_ENDED) if session.ended is None else session.ended
        for fixture, tests in met.get(_WANTED, {}).items():
            session.wanted[fixture] = {**tests, **session.wanted.get(fixture, {})}
        session.asked = {**met.get(_ASKED, {}), **session.asked}


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """When all tests are through: gather the runs of the workers; without any run there is nothing to report."""
    try:
        return (yield)
    finally:
        state = session.config.stash.get(STATE, None)
        if state is not None and not is_worker(session.config):
            from segqa.plugin.xdist import gather, remove_leftovers

            gather(session.config, state)
            remove_leftovers(state.store)
            if not state.runs:
                withdraw_report(session.config, state)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no empty folder behind, and nothing in the configuration."""
    session = config.stash.get(STATE, None)
    if session is not None:
        if session.folder is not None and not is_worker(config):
            _remove_empty(session.folder)
        del config.stash[STATE]


def has_settings_above(early_config: pytest.Config) -> bool:
    """Return whether segqa is used above the paths on the command line, before pytest knows its arguments."""
    from segqa.settings import find_settings_file

    here = early_config.invocation_params.dir
    paths = getattr(early_config.known_args_namespace, "file_or_dir", ())
    return any(find_settings_file(folder) for folder in (here, *(here / path for path in paths)))


def _described(name: str, function: Callable[..., Any]) -> str:
    """A model's name and the first line of its docstring."""
    lines = (function.__doc__ or "").strip().splitlines()
    return f"{name:<20} {lines[0]}" if lines else name


def _request_report(config: pytest.Config, session: Session) -> None:
    """Claim a folder, and have pytest-html write a self-contained report there unless it has been told where to.

    Of a shard there is nothing to report.
    """
    if not session.chosen or session.shard is not None or HOSTING in config.stash or runs_no_tests(config):
        return
    has_html = hasattr(config.option, "htmlpath")
    if is_worker(config):  # its findings say where the reports will be
        given: dict[str, Any] = config.workerinput  # type: ignore[attr-defined] # xdist's
        session.folder = Path(given[_FOLDER])
        if has_html:
            config.option.htmlpath = given[_REPORT]
        return
    try:
        folder = session.claim_folder()
    except OSError as error:
        raise pytest.UsageError(f"segqa: cannot write a report: {to_block(str(error))}; see --segqa-report") from error
    if has_html and config.option.htmlpath is None:
        session.html = True
        config.option.htmlpath = str(folder / "report.html")
        config.option.self_contained_html = True


def withdraw_report(config: pytest.Config, session: Session) -> None:
    """No test asked for an evaluation: pytest-html shall write nothing, and the folder goes.

    Not later than the end of the test loop: pytest-html writes when the session finishes.
    """
    if session.html:
        from pytest_html.basereport import BaseReport

        for plugin in config.pluginmanager.get_plugins():
            if isinstance(plugin, BaseReport):
                config.pluginmanager.unregister(plugin)
    if session.folder is not None:
        _remove_empty(session.folder)


def _remove_empty(folder: Path) -> None:
    """Remove a folder, and the one it is in, if they hold nothing."""
    for each in (folder, folder.parent):
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()
