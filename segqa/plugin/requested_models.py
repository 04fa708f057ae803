"""Record which models the collected tests request."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from segqa.plugin.context import get_session
from segqa.plugin.requested_fixtures import MODEL_NAME, requests_evaluation
from segqa.plugin.skipped_modules import asks_for_evaluation

MAY_SKIP = frozenset({"speed", "robustness"})
"""The fixtures that skip the tests that request them if they cannot or must not measure."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Record the requested models before `-k`, `-m` or `--deselect` remove tests."""
    if requests_evaluation(item):
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        state, model = get_session(item.config), parameters.get(MODEL_NAME, "")
        state.requested_models.setdefault(model, item.nodeid)
        for fixture in MAY_SKIP & {*getattr(item, "fixturenames", ())}:
            state.requested_measurements.setdefault(fixture, {}).setdefault(model, item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Warn of a module that skips itself, and record every chosen model as requested if its tests need one."""
    report = yield
    session = get_session(collector.config)
    if report.skipped and isinstance(collector, pytest.Module):
        source = collector.path.read_text(encoding="utf-8")
        asks = asks_for_evaluation(source, collector.config)
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        text = f"{collector.nodeid} was skipped as a whole: {reason.removeprefix('Skipped: ')}"
        if asks or "segqa" in source:
            session.warn(text)
        for model in session.chosen_models if asks else ():
            session.requested_models.setdefault(model, collector.nodeid)
    return report
