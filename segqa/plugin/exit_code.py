"""Decide the exit code of a session, at its end, with a reason for every code but 0.

If `CI` is set or a baseline is required explicitly, a session is *strict*: each model that a collected test requests
must have an evaluation and a baseline, and every regression must have failed a test
(`docs/decisions/one-owner-of-the-verdict.md`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from segqa.plugin.context import runs_no_tests
from segqa.plugin.session import Session
from segqa.plugin.skipped_modules import asks_for_evaluation, is_test_file
from segqa.plugin.test_reports import find_outcome, get_stats
from segqa.plugin.unjudged import find_left_out, find_unmeasured, report_missed

if TYPE_CHECKING:
    from segqa.gate.verdict import Verdict
    from segqa.report.exports import JudgedRun

_DESELECTED = frozenset({"deselected", "not run"})
_STOPPED = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR)
_GREEN = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def is_strict(session: Session) -> bool:
    """Return whether every requested model must be evaluated and judged."""
    from segqa.plugin.baselines import is_explicitly_required

    return session.ci or is_explicitly_required(session)


def find_reasons(session: pytest.Session, state: Session) -> None:
    """Add findings, which fail the session, and warnings, which do not, for problems that no test has reported.

    Do nothing for a session that was stopped, a shard, or a session that runs no tests.
    """
    if state.shard is not None or runs_no_tests(session.config) or session.exitstatus in _STOPPED:
        return
    strict = is_strict(state)
    if strict:
        state.findings += [text for text in _find_missing_evaluations(session, state) if text not in state.findings]
        state.warnings += [*_find_uncollected(session, state), *_find_unjudged(state)]
    elif session.exitstatus == pytest.ExitCode.OK:
        # tests that were deselected are counted by pytest, and whoever has typed `-k` knows
        missing = _find_missing_evaluations(session, state, with_deselected=False)
        state.warn(*(f"{text}; where CI is set this is exit code 1" for text in missing))
    for judged in state.judged_runs:
        _judge_unreported(session, state, judged, strict=strict)
    for run in state.runs.values():
        report_missed(session, state, run, strict=strict)
        state.warn(*find_left_out(state, run))
        if strict:
            state.warn(*find_unmeasured(session.config, state, run))


def decide_exit_code(exit_status: int, state: Session) -> int:
    """Return the exit code: 4 for a problem, 1 for a finding where the tests are green, else pytest's own."""
    if state.problem:
        return pytest.ExitCode.USAGE_ERROR
    return pytest.ExitCode.TESTS_FAILED if state.findings and exit_status in _GREEN else exit_status


def _find_missing_evaluations(
    session: pytest.Session, state: Session, *, with_deselected: bool = True
) -> Iterator[str]:
    """Describe requested models without an evaluation, and a session that ended itself.

    Args:
        session: pytest's.
        state: segqa's.
        with_deselected: whether to include models whose tests were deselected by `-k`, `-m` or `--deselect`.
    """
    if (
        state.exit_message is not None
        and session.exitstatus == pytest.ExitCode.OK
        and (state.requested_models or not session.items)
    ):
        why = f": {state.exit_message}" if state.exit_message else ""
        yield f"pytest.exit ended the session with exit code 0 before all tests had run{why}"
    for model, test in state.requested_models.items():
        fate = find_outcome(test, session.config)
        if model in state.runs or (fate in _DESELECTED and not with_deselected):
            continue
        yield (
            f"{model or 'the model'} has no evaluation, but {test} asks for one ({fate}). "
            "Mend what keeps it from running, or leave its tests out by path (--ignore)"
        )


def _find_uncollected(session: pytest.Session, state: Session) -> Iterator[str]:
    """Describe a test module below the given paths that requests an evaluation and was not collected."""
    if state.requested_models or state.runs or not state.chosen_models:
        return
    here = session.config.invocation_params.dir
    folders = [folder for argument in session.config.args if (folder := here / argument).is_dir()]
    # two levels are enough for suites, and exclude a virtual environment
    for path in sorted({path for folder in folders for level in ("*.py", "*/*.py") for path in folder.glob(level)}):
        with suppress(SyntaxError, ValueError, OSError):
            if is_test_file(path, session.config) and asks_for_evaluation(path.read_text("utf-8"), session.config):
                yield (
                    f"{os.path.relpath(path, here)} asks for an evaluation and was not collected, so nothing judges "
                    f"{', '.join(state.chosen_models)}"
                )
                return


def _find_unjudged(state: Session) -> Iterator[str]:
    """Describe baselines of this session's data sets whose model is no longer declared or chosen."""
    from segqa.plugin.baselines import find_baseline_path, find_namesakes

    for folder in sorted({find_baseline_path(state, run).parent for run in state.runs.values()}):
        for path in sorted(folder.glob("*.jsonl")):
            model, known = path.stem, path.stem in state.models
            # with --segqa-model or --segqa-run, another session may judge the other models
            if (
                model in state.runs
                or model in state.chosen_models
                or (known and not {"model", "run"}.isdisjoint(state.options))
            ):
                continue
            why = "is not among the models to evaluate" if known else "is not declared any more"
            yield f"nothing judges the baseline {state.shorten_path(path)}: {model} {why}"
    for run in state.runs.values():
        own = state.shorten_path(find_baseline_path(state, run))
        yield from (f"{text}, but another baseline judges them: {own}" for text in find_namesakes(state, run).values())


def _judge_unreported(session: pytest.Session, state: Session, judged: JudgedRun, *, strict: bool) -> None:
    """Add the verdict on a run if no failing test has reported it."""
    from segqa.plugin.baselines import has_baseline, is_required

    model, updates = judged.run.model, "update-baseline" in state.options
    if judged.verdict is not None:
        was_said = _is_reported(judged.verdict.headline, session.config)
        # a hook may have made a failing session green
        if not judged.verdict.passed and not (was_said and session.exitstatus != pytest.ExitCode.OK):
            _add_regression(state, judged.verdict, strict=strict, was_said=was_said)
    elif has_baseline(state, judged.run):
        # an update refuses it, or replaces it with a reason
        if strict and not updates:
            state.problem = state.problem or f"{model}: {judged.why}"
    elif updates:
        return
    elif is_required(state):
        if not _is_reported("segqa: no baseline", session.config):
            state.findings.append(f"{model}: {judged.why}: commit it")
    elif state.settings.gate.required is False:
        state.warnings.append(f"{model} has no baseline, and gate.required = false: no regression can be found")


def _add_regression(state: Session, verdict: Verdict, *, strict: bool, was_said: bool) -> None:
    """Add a regression that failed no test: a finding in a strict session, unless it is excused."""
    from segqa.plugin.known_failures import find_excuse

    why = f"{verdict.headline}; {verdict.findings[0].rule}: {verdict.findings[0].text}"
    excuse = find_excuse(state, verdict)
    if excuse:
        state.warnings.append(f"{why}; {excuse}")
    elif was_said:
        text = f"{why}; its test failed, and something set the exit code of the session to 0"
        (state.findings if strict else state.warnings).append(text)
    elif strict:
        state.findings.append(f"{why}; no test failed for it: run suites/test_regression.py, and do not skip it")
    else:
        state.warnings.append(f"{why}; no test failed for it, but where CI is set this is exit code 1")


def _is_reported(text: str, config: pytest.Config) -> bool:
    """Return whether a failing test has reported a text."""
    stats = get_stats(config)
    failed = [*stats.get("failed", ()), *stats.get("error", ())]
    return any(text in report.longreprtext for report in failed)
