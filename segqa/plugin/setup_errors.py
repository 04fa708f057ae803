"""Show an error of a fixture once: pytest repeats that of a session fixture, traceback and all, for every test."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from segqa.plugin.fixtures import PARAMETER

_FIRST = "_segqa_first_shown_in"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Name the first test with the error of a model's fixture in place of the same traceback again."""
    report = yield
    if call.when != "setup" or not report.failed or call.excinfo is None:
        return report
    if PARAMETER not in getattr(item, "fixturenames", ()):
        return report
    # pytest keeps the error of a fixture, and raises the same object again
    error = call.excinfo.value
    first = vars(error).setdefault(_FIRST, item.nodeid)
    if first != item.nodeid:
        lines = str(error).strip().splitlines()
        report.longrepr = f"the same error as in {first}: {type(error).__name__}: {lines[0] if lines else ''}"
    return report
