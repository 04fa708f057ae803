"""Calling a test: what is added to its failure, and when a failure is expected because its cases are known to fail."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from segqa.errors import SettingsError
from segqa.plugin.assertions import NOTES, SHOWN
from segqa.plugin.session import STATE

if TYPE_CHECKING:
    from segqa.run import Run
    from segqa.settings import Known


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Turn the failure of a test into an expected one where known failures alone explain it.

    The test is called a second time with the run as it would be without their failing cases. Where it holds then, they
    are what it failed for.
    """
    pyfuncitem.config.stash[NOTES] = []
    pyfuncitem.config.stash[SHOWN] = None
    try:
        return (yield)
    except (AssertionError, pytest.fail.Exception) as error:
        for note in pyfuncitem.config.stash[NOTES]:
            error.add_note(note)
        run: Any = pyfuncitem.funcargs.get("evaluation")
        session = pyfuncitem.config.stash.get(STATE, None)
        if session is None or run is None:
            raise
        if "gate" in pyfuncitem.funcargs and "accept" in session.options:
            pytest.xfail(f"accepted: {session.options['accept']}")
        today = datetime.now(UTC).astimezone().date()
        active = [known for known in session.settings.known if today <= known.until and _failing_of([known], run)]
        if active and _holds_without(pyfuncitem, active, run):
            pytest.xfail("; ".join(f"known until {known.until}: {known.reason} ({known.where})" for known in active))
        for known in session.settings.known:
            _explain(error, known, run, expired=today > known.until)
        raise


def _explain(error: BaseException, known: Known, run: Run, *, expired: bool) -> None:
    """Add to a failure why a known failure is none any more, or means nothing."""
    from segqa.conditions import check_names, parse_condition

    if expired and _failing_of([known], run):
        error.add_note(f"known until {known.until}, which has passed: {known.reason} ({known.where})")
    if not run.is_partial:
        try:
            check_names(parse_condition(known.where), run.outcomes, run.edges)
        except SettingsError as problem:
            error.add_note(f"the known failure {known.where!r} means no case: {problem}")


def _holds_without(item: pytest.Function, known: Sequence[Known], run: Run) -> bool:
    """Whether a test holds, or has nothing to say, where the known cases are left out."""
    from segqa.cluster.search import clusters
    from segqa.plugin.regression import verdict_without

    left_out = _failing_of(known, run)
    rest = run.only(run.columns.take(~run.columns.ids.among(left_out)), run.part)
    if not rest.outcomes:
        return True
    # the arguments that pytest fills: one with a default is none of them
    arguments: dict[str, Any] = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}  # noqa: SLF001
    if "evaluation" in arguments:
        arguments["evaluation"] = rest
    if "clusters" in arguments:
        arguments["clusters"] = clusters(rest)
    if "gate" in arguments:
        arguments["gate"] = verdict_without(item.config, arguments["gate"], left_out)
    try:
        answer = item.obj(**arguments)
    except pytest.skip.Exception:
        return True
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it does not hold
        return False
    if inspect.iscoroutine(answer):  # what it would say is not known, so nothing excuses it
        answer.close()
        return False
    return True


def _failing_of(known: Sequence[Known], run: Run) -> set[str]:
    """The ids of the failing cases that known failures mean."""
    from segqa.conditions import parse_condition

    conditions = [parse_condition(each.where) for each in known]
    failing = run.failures().outcomes
    return {case_id for each in conditions for case_id in failing.take(each.holds(failing, run.edges)).ids}
