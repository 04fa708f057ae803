"""Calling a test: what is added to its failure, and when a failure is expected because its cases are known to fail."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from segqa.plugin.assertions import NOTES
from segqa.plugin.session import STATE
from segqa.settings import Known

if TYPE_CHECKING:
    from segqa.run import Run


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Turn the failure of a test into an expected one where known failures alone explain it.

    The test is called a second time with the run as it would be without their cases. Where it holds then, they are what
    it failed for.
    """
    pyfuncitem.config.stash[NOTES] = []
    try:
        return (yield)
    except (AssertionError, pytest.fail.Exception) as error:
        for note in pyfuncitem.config.stash[NOTES]:
            error.add_note(note)
        run: Any = pyfuncitem.funcargs.get("evaluation")
        session = pyfuncitem.config.stash.get(STATE, None)
        if session is None or run is None or not session.settings.known:
            raise
        today = datetime.now(UTC).astimezone().date()
        found = [known for known in session.settings.known if _cases_of([known], run)]
        active = [known for known in found if today <= known.until]
        if active and _holds_without(pyfuncitem, active, run):
            pytest.xfail("; ".join(f"known until {known.until}: {known.reason} ({known.where})" for known in active))
        for known in found:
            if known not in active:
                error.add_note(f"known until {known.until}, which has passed: {known.reason} ({known.where})")
        raise


def check_known(known: Sequence[Known], run: Run) -> None:
    """Refuse a known failure whose condition names what no case has; one that means no case of this run is all right.

    Raises:
        SettingsError: with the nearest name that there is.
    """
    from segqa.conditions import check_names, parse_condition

    for each in known:
        check_names(parse_condition(each.where), run.outcomes, run.edges, values=False)


def _holds_without(item: pytest.Function, known: Sequence[Known], run: Run) -> bool:
    """Whether a test holds where the known cases are left out."""
    from segqa.cluster.search import clusters

    left_out = _cases_of(known, run)
    rest = run.only((outcome for outcome in run.outcomes if outcome.case_id not in left_out), run.part)
    arguments: dict[str, Any] = {name: item.funcargs[name] for name in inspect.signature(item.obj).parameters}
    if "evaluation" in arguments:
        arguments["evaluation"] = rest
    if "clusters" in arguments:
        arguments["clusters"] = clusters(rest)
    try:
        item.obj(**arguments)
    except (Exception, pytest.fail.Exception, pytest.skip.Exception):  # noqa: BLE001 - whatever it is, it does not hold
        return False
    return True


def _cases_of(known: Sequence[Known], run: Run) -> set[str]:
    """The ids of the cases that known failures mean."""
    from segqa.conditions import parse_condition

    conditions = [parse_condition(each.where) for each in known]
    return {
        outcome.case_id
        for outcome in run.outcomes
        if any(condition.holds(outcome, run.edges) for condition in conditions)
    }
