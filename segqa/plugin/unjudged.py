"""Find missed thresholds that no test failed for, and measurements that no test judged.

See `docs/decisions/what-no-test-judged.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from segqa.errors import BaselineError
from segqa.plugin.test_reports import find_outcome, get_stats
from segqa.support.plurals import format_count

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.plugin.session import Session
    from segqa.runs.run import Run


def report_missed(session: pytest.Session, state: Session, run: Run, *, strict: bool) -> None:
    """Add the bounds that a run misses and that no test failed for: a finding where strict, else a warning.

    A slower speed is a finding only where the bound is the user's own: seconds are kept for every model.
    """
    from segqa.gate.missed_thresholds import find_missed
    from segqa.plugin.known_failures import exclude_known_failures

    thresholds = state.settings.thresholds_for(run.model)
    missed = find_missed(thresholds, run)
    if missed:
        still = find_missed(thresholds, exclude_known_failures(state, run))
        missed = {name: text for name, text in missed.items() if name in still}
    _add_missed(session, state, run, missed, strict=strict)
    if "update-baseline" in state.options:  # it refuses a slower speed, or there is a reason
        return
    slower = _describe_slowdown(state, run)
    is_own = thresholds.slowdown != type(thresholds)().slowdown
    _add_missed(session, state, run, {"slowdown": slower} if slower else {}, strict=strict and is_own)


def find_unmeasured(config: pytest.Config, state: Session, run: Run) -> Iterator[str]:
    """Describe measurements that a collected test requests and this session did not make."""
    from segqa.plugin.baselines import has_speed

    test = state.requested_measurements.get("robustness", {}).get(run.model)
    on = state.settings.robustness_for(run.model).cases > 0
    if test and on and run.model not in state.robustness:
        yield f"robustness of {run.model} is not judged ({find_outcome(test, config)})"
    test = state.requested_measurements.get("speed", {}).get(run.model)
    if test and has_speed(state, run) and (why := _explain_no_speed(state, run)):
        yield f"speed of {run.model} is not judged, though the baseline has one: {why}"


def find_left_out(state: Session, run: Run) -> Iterator[str]:
    """Find the cases that the setting `limit` keeps out of a run; the option is named by each verdict."""
    limit = state.settings.limit
    if "limit" not in state.options and len(run.outcomes) == limit:
        yield f"only {format_count(limit, 'case')} of {run.dataset}: the settings say limit = {limit}"


def _explain_no_speed(state: Session, run: Run) -> str:
    """Explain why the speed of a run cannot be compared with the stored one; empty if it can."""
    from segqa.gate.latency import compute_speed, get_speed_path, read_speeds

    try:
        kept = read_speeds(get_speed_path(state.baselines, run))
    except BaselineError:  # its test fails
        return ""
    if "parts" in run.provenance:
        return "the run is merged of shards"
    speed = compute_speed(run)
    if speed is None:
        return "its answers are stored; --segqa-refresh-cache asks again"
    return "" if speed.machine in kept else "none is kept for this machine"


def _describe_slowdown(state: Session, run: Run) -> str:
    from segqa.plugin.baselines import describe_slowdown

    try:
        return describe_slowdown(state, run)
    except BaselineError as error:
        return str(error)


def _add_missed(session: pytest.Session, state: Session, run: Run, missed: dict[str, str], *, strict: bool) -> None:
    """Add one line for the missed thresholds that no failing test of a failing session has named."""
    if session.exitstatus != pytest.ExitCode.OK:
        stats = get_stats(session.config)
        said = "\n".join(report.longreprtext for key in ("failed", "error") for report in stats.get(key, ()))
        missed = {name: text for name, text in missed.items() if not re.search(rf"\b{name}\b", said)}
    if not missed:
        return
    line = f"{run.model}: {'; '.join(missed.values())}; no test failed for it"
    if strict:
        state.findings.append(f"{line}: run the suite that asserts the threshold, and do not skip it")
    else:
        state.warn(line)
