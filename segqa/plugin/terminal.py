"""Write the runs to the terminal, and their scores to the test reports."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from segqa.plugin.context import find_session, get_session, shorten_path
from segqa.plugin.markers import count_behaviours, read_behaviour_marker
from segqa.plugin.requested_fixtures import find_evaluation, requests_model
from segqa.plugin.session import Session
from segqa.plugin.shards import describe_shards
from segqa.plugin.xdist_messages import is_worker
from segqa.support.escaping import to_block, to_line, to_utf8

if TYPE_CHECKING:
    from segqa.gate.verdict import Verdict
    from segqa.runs.run import Run


def pytest_report_header(config: pytest.Config) -> str | None:
    """Return a line that names the settings file."""
    from segqa.plugin.settings_file import describe_settings_file

    session = find_session(config)
    return None if session is None else describe_settings_file(config, session)


def pytest_report_collectionfinish(config: pytest.Config, items: Sequence[pytest.Item]) -> str | None:
    """Return a line that names the models and the data set to evaluate."""
    session = find_session(config)
    if session is None or not any(requests_model(item) for item in items):
        return None
    settings = session.settings
    if session.existing_run is not None:
        return f"segqa: {session.chosen_models[0]}, run {session.existing_run.name}, picked by {settings.pick}"
    part = "" if session.shard is None else f", shard {session.shard}"
    return f"segqa: {', '.join(session.chosen_models)} on {settings.dataset}{part}, picked by {settings.pick}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Attach the behaviour that a test is marked with, before its setup can fail."""
    mark = read_behaviour_marker(item)
    if mark is not None:
        item.user_properties.extend(mark.properties)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Attach the scores to the test, for JUnit XML and for the controller of xdist."""
    given = getattr(item, "funcargs", {})
    run = find_evaluation(item)
    if run is not None and find_session(item.config) is not None:
        item.user_properties.extend(_list_run_properties(run))
        state = get_session(item.config)
        found = state.clusters.get((run.id, run.part, run.condition), ())
        item.user_properties += [
            ("segqa.cluster", "; ".join(cluster.condition for cluster in found)),
            ("segqa.report", "" if state.page is None else shorten_path(state.page, item.config)),
        ]
        item.user_properties.extend(_list_verdict_properties(given.get("gate")))
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Replace what UTF-8 cannot encode in the report of a worker.

    pytest-xdist cannot send such a text: the worker ends, and the session may pass.
    """
    report = yield
    if is_worker(item.config):
        report.sections = [(to_utf8(title), to_utf8(text)) for title, text in report.sections]
        text = report.longreprtext if report.failed else ""
        if to_utf8(text) != text:
            report.longrepr = to_utf8(text)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write a paragraph for each run, the folder of the run, and the path of the review page."""
    session = find_session(config)
    if session is None:
        return
    _write_findings(terminalreporter, session)
    if session.interruption:
        terminalreporter.write_line(to_line(f"segqa: {session.interruption}; the same command goes on from there"))
    if session.runs:
        terminalreporter.section("segqa")
        for line in _render_runs(session, config):
            terminalreporter.write_line(to_line(line))
    for line in _render_behaviours(terminalreporter):
        terminalreporter.write_line(to_line(line))
    for line in session.messages:
        terminalreporter.write_line(to_line(line))
    if session.runs and session.page is not None and session.page.exists():
        terminalreporter.write_line(to_line(f"review page: {shorten_path(session.page, config)}"))


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Write the problem of the session last, where it is seen."""
    session = find_session(config)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if session is not None and session.problem and reporter is not None:
        reporter.write_line(to_block(f"ERROR: segqa: {session.problem}"), red=True)


def _write_findings(terminalreporter: pytest.TerminalReporter, session: Session) -> None:
    """Write the findings, which fail the session, and the warnings."""
    for text in session.findings:
        terminalreporter.write_line(to_block(f"ERROR: segqa: {text}"), red=True)
    for text in session.warnings:
        terminalreporter.write_line(to_block(f"warning: segqa: {text}"), yellow=True)


def _render_runs(session: Session, config: pytest.Config) -> Iterator[str]:
    """Yield the lines on the runs."""
    from segqa.inference.spot_check import describe_spot_check

    if session.shard is not None:
        yield from describe_shards(session)
        yield from (f"  {line}" for run in session.runs.values() for line in describe_spot_check(run))
        yield from (f"  run {shorten_path(session.store.run_folder(run.id), config)}" for run in session.runs.values())
        return
    from segqa.report.terminal import findings, paragraph, steadiness, suspicions

    for run in session.runs.values():
        yield from [*paragraph(run), *findings(session.get_clusters(run))]
        yield from (f"  {line}" for line in describe_spot_check(run))
        if run.model in session.robustness:
            yield from steadiness(session.robustness[run.model])
        yield f"  run {shorten_path(session.store.run_folder(run.id), config)}"
    yield from suspicions(session.find_label_errors())
    for one in session.judged_runs:
        if one.verdict:
            yield from [one.verdict.headline, *(f"  note: {note}" for note in one.verdict.notes)]
        elif "update-baseline" not in session.options and session.settings.gate.required is not False:
            yield f"{one.run.model}: not judged: {one.why}"


def _render_behaviours(terminalreporter: pytest.TerminalReporter) -> list[str]:
    """Return the lines of the table of behaviours; none if no test is marked with one."""
    found = count_behaviours(terminalreporter.stats)
    if not found:
        return []
    from segqa.report.session_result import behaviour_table

    return behaviour_table(found).render().splitlines()


def _list_run_properties(run: Run) -> list[tuple[str, object]]:
    """Return the scores as properties for JUnit XML, in built-in types, since others do not cross processes."""
    return [
        ("segqa.run", run.id),
        ("segqa.model", run.model),
        ("segqa.dataset", run.dataset),
        ("segqa.mean_iou", float(run.mean_iou)),
        ("segqa.p05", float(run.p05)),
        ("segqa.regret", float(run.regret)),
        ("segqa.scored", len(run.scored)),
        ("segqa.missing", len(run.missing)),
        ("segqa.errors", len(run.errors)),
    ]


def _list_verdict_properties(verdict: Verdict | None) -> list[tuple[str, object]]:
    """Return the verdict as properties for JUnit XML; none without a verdict."""
    if verdict is None:
        return []
    return [
        ("segqa.verdict", verdict.name),
        ("segqa.baseline_mean_iou", float(verdict.comparison.baseline.mean_iou)),
        ("segqa.broken", len(verdict.comparison.broken)),
        ("segqa.findings", len(verdict.findings)),
    ]
