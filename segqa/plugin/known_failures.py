"""Call a test, add notes to its failure, and expect a failure that known failures explain."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segqa.errors import SettingsError
from segqa.plugin.assertions import NOTES, SHOWN_RUN
from segqa.plugin.context import find_session, get_session
from segqa.plugin.requested_fixtures import find_evaluation
from segqa.runs.failure_kinds import KINDS, compute_kind_codes, read_expected_kinds
from segqa.runs.query import check_names, parse_condition
from segqa.support.escaping import to_block
from segqa.support.plurals import format_count, select_form

if TYPE_CHECKING:
    from segqa.data.mask import Mask
    from segqa.gate.verdict import Verdict
    from segqa.plugin.session import Session
    from segqa.runs.outcomes import Outcomes
    from segqa.runs.run import Run
    from segqa.settings import KnownFailure


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Turn the failure of a test into an expected one if known failures alone explain it.

    The test is called again without their failing cases. If it passes then, they explain the failure.
    """
    pyfuncitem.config.stash[NOTES] = []
    pyfuncitem.config.stash[SHOWN_RUN] = None
    try:
        return (yield)
    except (AssertionError, pytest.fail.Exception) as error:
        for note in pyfuncitem.config.stash[NOTES]:
            error.add_note(to_block(note))
        run = find_evaluation(pyfuncitem)
        session = find_session(pyfuncitem.config)
        if session is None or run is None:
            raise
        if "gate" in pyfuncitem.funcargs and "accept" in session.options:
            pytest.xfail(f"accepted: {session.options['accept']}")
        active = _find_active(session, run)
        too_many = _refuse_most(active, session.runs.get(run.model, run))
        if active and not too_many and _passes_without(pyfuncitem, active, run):
            text = "; ".join(f"known until {known.until}: {known.reason} ({known.where})" for known in active)
            count = len(_find_failing(active, run))
            session.warn(
                f"{format_count(count, 'failing case')} of {run.title} {select_form(count, 'is', 'are')} left "
                f"out: {text}"
            )
            pytest.xfail(text)
        if too_many:
            error.add_note(too_many)
        for known in session.settings.known:
            _explain_failure(error, known, run, expired=_get_today() > known.until)
        raise


def _refuse_most(known: Sequence[KnownFailure], run: Run) -> str:
    """Explain that known failures that match more than half of the cases excuse nothing; empty if they match fewer.

    Args:
        known: the entries to excuse a test with.
        run: all cases of the session, not a slice of them.
    """
    meant = sum(_match_cases(known, run.columns, run))
    if 2 * meant <= len(run.outcomes):
        return ""
    where = "; ".join(each.where for each in known)
    return (
        f"the known failures mean {meant} of {format_count(len(run.outcomes), 'case')} ({where}), so they "
        "excuse nothing: expected at most half of the cases; name a smaller slice, or lower the threshold"
    )


def find_excuse(session: Session, verdict: Verdict) -> str:
    """Return what excuses a regression: a reason on the command line, or known failures that explain all of it.

    Empty if nothing excuses it.
    """
    from segqa.plugin.baselines import judge_without

    if "accept" in session.options:
        return f"accepted: {session.options['accept']}"
    run = verdict.comparison.candidate
    active = _find_active(session, run)
    left_out = _find_failing(active, run)
    excused = active and not _refuse_most(active, run) and len(left_out) < len(run.outcomes)
    if not (excused and judge_without(session, verdict, left_out).passed):
        return ""
    return "; ".join(f"known until {known.until}: {known.reason} ({known.where})" for known in active)


def exclude_known_failures(session: Session, run: Run) -> Run:
    """Return a run without the failing cases that known failures excuse; the same run if they excuse none."""
    active = _find_active(session, run)
    if not active or _refuse_most(active, run):
        return run
    rest = run.only(run.columns.take(~run.columns.ids.is_among(_find_failing(active, run))), run.part)
    return rest if rest.outcomes else run


def _get_today() -> date:
    return datetime.now(UTC).astimezone().date()


def _find_active(session: Session, run: Run) -> list[KnownFailure]:
    """Return the known failures that have not expired and match a failing case of a run."""
    return [known for known in session.settings.known if _get_today() <= known.until and _find_failing([known], run)]


def _explain_failure(error: BaseException, known: KnownFailure, run: Run, *, expired: bool) -> None:
    """Add a note to a failure if a known failure has expired or matches no case."""
    if expired and _find_failing([known], run):
        error.add_note(f"known until {known.until}, which has passed: {known.reason} ({known.where})")
    if not run.is_partial and (problem := _find_misspelling(known, run)):
        error.add_note(problem)


def warn_of_misspelt_known_failures(session: Session, run: Run) -> None:
    """Warn of known failures that name a tag, value or case that the whole run does not have."""
    if not run.is_partial:
        session.warn(*filter(None, (_find_misspelling(known, run) for known in session.settings.known)))


def _find_misspelling(known: KnownFailure, run: Run) -> str:
    """Describe what a known failure names and no case has; empty if all names exist."""
    try:
        check_names(parse_condition(known.where), run.outcomes, run.edges)
    except SettingsError as problem:
        return f"the known failure {known.where!r} means no case: {problem}"
    return ""


def _passes_without(item: pytest.Function, known: Sequence[KnownFailure], run: Run) -> bool:
    """Return whether a test passes without the known cases.

    Without any case left nothing holds; but a test of a slice may fail by known cases alone.
    """
    left_out = _find_failing(known, run)
    rest = run.only(run.columns.take(~run.columns.ids.is_among(left_out)), run.part)
    if not rest.outcomes:
        return bool(run.part)
    try:
        answer = item.obj(**_build_arguments_without(item, left_out, rest))
    except pytest.skip.Exception:
        return True
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it does not hold
        return False
    if inspect.iscoroutine(answer):  # its result is unknown, so nothing excuses it
        answer.close()
        return False
    return True


def _build_arguments_without(item: pytest.Function, left_out: set[str], rest: Run) -> dict[str, Any]:
    """Return the arguments of a test for the rest of a run, without some cases."""
    from segqa.plugin.baselines import judge_without

    # the arguments that pytest fills, which excludes those with a default
    arguments: dict[str, Any] = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}  # noqa: SLF001
    if "evaluation" in arguments:
        arguments["evaluation"] = rest
    if "clusters" in arguments:
        arguments["clusters"] = get_session(item.config).find_clusters(rest)
    if "gate" in arguments:
        arguments["gate"] = judge_without(get_session(item.config), arguments["gate"], left_out)
    return arguments


def _find_failing(known: Sequence[KnownFailure], run: Run) -> set[str]:
    """Return the ids of the failing cases that known failures match by condition and failure kind."""
    failing = run.failures().outcomes
    codes = compute_kind_codes(failing, run.threshold)
    found: set[str] = set()
    for each in known:
        of_kind = np.isin(codes, [KINDS[kind].code for kind in read_expected_kinds(each)])
        found.update(failing.take(_match_cases([each], failing, run) & of_kind).ids)
    return found


def _match_cases(known: Sequence[KnownFailure], cases: Outcomes, run: Run) -> Mask:
    """Return which cases of a run any of the entries matches, bool `[n]`."""
    meant = [parse_condition(each.where).holds(cases, run.edges) for each in known]
    found: Mask = np.logical_or.reduce([np.zeros(len(cases), np.bool_), *meant])
    return found
