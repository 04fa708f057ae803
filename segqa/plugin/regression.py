"""Regression: the runs of a session against their baselines, and how these are written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segqa.errors import BaselineError, UsageError
from segqa.plugin.environment import is_ci
from segqa.plugin.session import is_worker, stop
from segqa.plugin.state import Session

if TYPE_CHECKING:
    from segqa.comparison.comparison import Comparison
    from segqa.gate import Verdict
    from segqa.run import Run
    from segqa.speed import Speed


_SHOWN = 5


def verdict_on(config: pytest.Config, session: Session, run: Run) -> Verdict:
    """The verdict on a run, or on a part of one, against its baseline.

    Without a baseline the test is skipped, or fails where one is required; what cannot be compared ends the session.
    """
    path = path_for(session, run)
    if not path.exists():
        hint = f"no baseline {_typed(path, session)}; `pytest suites --segqa-update-baseline` makes one: commit it"
        if renamed := _explain_rename(session, run):
            session.warnings += [] if renamed in session.warnings else [renamed]
            hint = f"{hint}; {renamed}"
        if is_required(session):
            pytest.fail(f"segqa: {hint}", pytrace=False)
        pytest.skip(hint)
    problem = ""
    try:
        return judged(session, run)
    except UsageError as error:
        problem = str(error)
    if is_worker(config):
        stop(config, problem)
    # the other tests have their turn, then the session ends with 4
    session.problem = session.problem or problem
    pytest.fail(f"segqa: {problem}", pytrace=False)


def _explain_rename(session: Session, run: Run) -> str:
    """Say which baseline of the model holds the cases of a run under another name of the data set; empty for none."""
    from segqa.baseline import read_baseline
    from segqa.comparison.comparison import compare

    for path in sorted(_folder(session).glob(f"*/{run.model}.jsonl")):
        try:
            other = read_baseline(path)
            pairs = compare(other, replace(run, dataset=other.dataset), same_picker=False).pairs
        except UsageError:
            continue
        if 2 * len(pairs) >= len(run.expected):
            return (
                f"{_typed(path, session)} has {len(pairs)} of these {len(run.expected)} cases: if the data set was "
                f"renamed, set dataset_name = {other.dataset!r} in [tool.segqa]"
            )
    return ""


def judged(session: Session, run: Run) -> Verdict:
    """The verdict on a run against its baseline; judged once.

    Raises:
        UsageError: there is no baseline, it is corrupt, or it says nothing about this run.
    """
    from segqa.baseline import read_baseline
    from segqa.comparison.comparison import compare

    key = (run.id, run.part, run.condition)
    if key not in session.verdicts:
        try:
            session.verdicts[key] = _judge(session, compare(read_baseline(path_for(session, run)), run))
        except UsageError as error:
            session.verdicts[key] = error
    found = session.verdicts[key]
    if isinstance(found, UsageError):
        raise found
    return found


def comparison_of(session: Session, run: Run) -> Comparison | None:
    """The run against its baseline; None where there is none, or it says nothing about this run."""
    try:
        return judged(session, run).comparison
    except UsageError:
        return None


def keep_baseline(session: Session, run: Run) -> None:
    """Keep the baseline that a run is judged against with it, so that its page can be made again anywhere."""
    from segqa.baseline import kept_baseline

    path = path_for(session, run)
    if path.is_file():
        kept = kept_baseline(session.store, run)
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, kept)


def verdict_without(session: Session, verdict: Verdict, case_ids: set[str]) -> Verdict:
    """The verdict as it would be without some cases."""
    return _judge(session, verdict.comparison.without(case_ids))


def verdicts(session: Session) -> Iterator[tuple[Run, Verdict | None, str]]:
    """For each run of the session its verdict, or why there is none."""
    for run in session.runs.values():
        try:
            yield run, judged(session, run), ""
        except UsageError as error:
            # where the repository lies is nobody's business who reads a report
            yield run, None, str(error).replace(f"{session.root}{os.sep}", "")


def update_baselines(session: Session) -> list[str]:
    """Write the runs of the session as baselines; a line for each.

    Raises:
        BaselineError: one of them must not be; nothing has been written then.
    """
    from segqa.baseline import read_baseline, write_baseline

    reason = session.options.get("accept", "")
    ready = []
    for run in session.runs.values():
        path = path_for(session, run)
        _refuse_unfit(session, run)
        accepted: list[str] = []
        changed: list[str] = []
        if path.exists():
            accepted = list(read_baseline(path).provenance["accepted"])
            verdict = _verdict_or_none(session, run, reason)
            changed = [] if verdict is None else _changed_data(verdict)
            if verdict is not None and (changed or not verdict.passed) and not reason:
                why = "some of its data have changed" if verdict.passed else "the run is a regression"
                raise BaselineError(
                    f"baseline of {run.model} not written, {why}:\n{verdict.story}\n"
                    "if that is wanted: --segqa-accept REASON"
                )
            accepted += [reason] if reason and (verdict is None or changed or not verdict.passed) else []
        ready.append((path, run, accepted, changed))
    said = []
    for path, run, accepted, changed in ready:
        write_baseline(path, run, accepted)
        said += [f"wrote {_typed(path, session)} ({len(run.outcomes)} cases)", *changed]
        said += _keep_speed(session, run)
    return said


def _changed_data(verdict: Verdict) -> list[str]:
    """The line that says which cases have other data than in the baseline; none where there are none."""
    changed = verdict.comparison.changed
    told = [f"{case_id} ({part})" for case_id, part in changed.by_id.items()]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return [f"other data than before: {', '.join(told[:_SHOWN])}{more}"] if told else []


def kept_speed(config: pytest.Config, session: Session, run: Run, speed: Speed) -> Speed:
    """The speed that is kept for the machine of another one; without it the test is skipped, saying why."""
    from segqa.speed import read_speeds, speed_path

    path = speed_path(_folder(session), run)
    try:
        kept = read_speeds(path)
    except BaselineError as error:
        stop(config, str(error))
    if not kept:
        pytest.skip(f"no speed is kept in {_typed(path, session)}; --segqa-update-baseline keeps one")
    if speed.machine not in kept:
        pytest.skip(f"this machine is {speed.machine}; what is kept is from {' and from '.join(kept)}")
    return kept[speed.machine]


def _keep_speed(session: Session, run: Run) -> list[str]:
    """Keep the speed of a run, if it has one; a line where it was written."""
    from segqa.speed import keep_speed, speed_of, speed_path

    speed, path = speed_of(run), speed_path(_folder(session), run)
    if speed is None or not keep_speed(path, speed):
        return []
    return [f"wrote {_typed(path, session)} ({speed.p50:.3g} s a case on {speed.machine})"]


def is_required(session: Session) -> bool:
    """Return whether a missing baseline is a failure."""
    return requires_explicitly(session) or (session.settings.gate.required is None and is_ci())


def requires_explicitly(session: Session) -> bool:
    """Return whether an option or a setting requires a baseline; that `CI` is set does not count."""
    return bool(session.options.get("require-baseline") or session.settings.gate.required)


def has_baseline(session: Session, run: Run) -> bool:
    """Return whether there is a file for the baseline of a run, readable or not."""
    return path_for(session, run).exists()


def path_for(session: Session, run: Run) -> Path:
    """Where the baseline for a run is."""
    from segqa.baseline import baseline_path

    return baseline_path(_folder(session), run)


def _folder(session: Session) -> Path:
    """The folder of the baselines."""
    folder = session.options.get("baseline")
    return session.here / folder if folder else session.root / session.settings.gate.baseline


def _judge(session: Session, comparison: Comparison) -> Verdict:
    """The verdict by the settings, and what stands on the command line beside them."""
    from segqa.gate import judge_by

    fail_on = session.options.get("fail-on", ())
    return judge_by(session.settings.gate, comparison, fail_on=fail_on, group_by=session.group_by)


def _verdict_or_none(session: Session, run: Run, reason: str) -> Verdict | None:
    """The verdict against the baseline to be replaced; None where they cannot be compared, and that is accepted."""
    try:
        return judged(session, run)
    except UsageError as error:
        if reason:
            return None
        raise BaselineError(f"{error}\nif the new one shall take its place: --segqa-accept REASON") from error


def _refuse_unfit(session: Session, run: Run) -> None:
    """Refuse a run that says less than a baseline has to."""
    part = [f"--segqa-{name}" for name in run.narrowed_by]
    budget = session.settings.thresholds_for(run.model).errors
    if part or run.missing:
        why = f"with {' and '.join(part)}" if part else f"{len(run.missing)} cases are missing"
        raise BaselineError(f"no baseline is made of a part of a data set ({why})")
    if run.error_share > budget:
        raise BaselineError(
            f"{run.model} has {len(run.errors)} errors, more than the budget of {budget:.0%}: no baseline is made of it"
        )
    if run.provenance.get("dirty") and not session.options.get("allow-dirty") and _is_dirty(session):
        raise BaselineError(
            "the work tree has changes, so nobody could make this baseline again: commit them, or --segqa-allow-dirty"
        )


def _is_dirty(session: Session) -> bool:
    """Whether there are changes to anything but the baselines; those of other models may just have been written."""
    command = ["git", "status", "--porcelain", "--", ".", f":(exclude){_folder(session)}"]
    try:
        said = subprocess.run(command, cwd=session.root, capture_output=True, check=True, text=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return True
    return bool(said.stdout.strip())


def _typed(path: Path, session: Session) -> str:
    """A path as one would type it from where pytest was started."""
    return os.path.relpath(path, session.here)
