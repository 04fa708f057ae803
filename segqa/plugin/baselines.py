"""Judge the runs of a session against their baselines, and write baselines."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segqa.errors import BaselineError, UsageError
from segqa.plugin.session import Session
from segqa.plugin.usage_errors import stop_session
from segqa.plugin.xdist_messages import is_worker
from segqa.settings import GateSettings
from segqa.support import git_comparison
from segqa.support.disk_errors import explain_disk_errors
from segqa.support.escaping import to_block
from segqa.support.plurals import format_count

if TYPE_CHECKING:
    from segqa.gate.baseline_update import BaselineUpdate
    from segqa.gate.comparison import Comparison
    from segqa.gate.latency import Speed
    from segqa.gate.policy import Policy
    from segqa.gate.verdict import Verdict
    from segqa.plugin.session import Session
    from segqa.runs.run import Run


def require_verdict(config: pytest.Config, session: Session, run: Run) -> Verdict:
    """Return the verdict on a run, or on a slice of one, against its baseline.

    Without a baseline the test is skipped, or fails if one is required. If the two cannot be compared, the session ends
    with exit code 4.
    """
    path = find_baseline_path(session, run)
    if not path.exists():
        hint = f"no baseline {session.shorten_path(path)}; `pytest suites --segqa-update-baseline` makes one: commit it"
        if "update-baseline" in session.options:
            pytest.skip(f"no baseline {session.shorten_path(path)}: this session writes the first one")
        if gone := describe_change(session, path):
            hint = f"no baseline: {gone}; restore it"
        if renamed := _explain_rename(session, run):
            session.warn(renamed)
            hint = f"{hint}; {renamed}"
        if is_required(session):
            pytest.fail(f"segqa: {hint}", pytrace=False)
        pytest.skip(hint)
    problem = ""
    try:
        return judge_run(session, run)
    except UsageError as error:
        problem = str(error)
    if "accept" in session.options:
        pytest.skip(f"accepted: {session.options['accept']}; {problem}")
    if is_worker(config):
        stop_session(config, problem)
    # the other tests still run, then the session ends with 4
    session.problem = session.problem or problem
    pytest.fail(f"segqa: {to_block(problem)}", pytrace=False)


def _explain_rename(session: Session, run: Run) -> str:
    """Say which baseline of the model holds the cases of a run under another name, of the file or of the data set.

    Empty if there is none.
    """
    from segqa.gate.baseline import read_model

    for path in sorted(find_baseline_path(session, run).parent.glob("*.jsonl")):
        if read_model(path) == run.model:
            return (
                f"{session.shorten_path(path)} is the baseline of {run.model}: give it the name {run.model}.jsonl back"
            )
    found = find_namesakes(session, run)
    hint = "if the data set was renamed, set dataset_name = {!r} in [tool.segqa]"
    return next((f"{text}: {hint.format(name)}" for name, text in found.items()), "")


def find_namesakes(session: Session, run: Run) -> dict[str, str]:
    """Find baselines of the model under other data sets that hold at least half of a run's cases.

    The held-out part of a data set is not another name for it.

    Returns:
        The name of each data set, with a text that names the file and the number of shared cases.
    """
    from segqa.gate.baseline import read_baseline
    from segqa.gate.comparison import compare

    own, found = find_baseline_path(session, run), dict[str, str]()
    for path in sorted(session.baselines.glob(f"*/{run.model}.jsonl")):
        names = {each.parent.name.removesuffix("-held-out") for each in (own, path)}
        if len(names) == 1:
            continue
        try:
            other = read_baseline(path)
            pairs = compare(other, replace(run, dataset=other.dataset), same_picker=False).pairs
        except UsageError:
            continue
        if 2 * len(pairs) >= len(run.expected):
            cases = format_count(len(run.expected), "case")
            found[other.dataset] = f"{session.shorten_path(path)} has {len(pairs)} of these {cases}"
    return found


def judge_run(session: Session, run: Run) -> Verdict:
    """Return the verdict on a run against its baseline; each run is judged once.

    Raises:
        UsageError: there is no baseline, it is corrupt, or it says nothing about this run.
    """
    from segqa.gate.baseline import read_baseline
    from segqa.gate.comparison import compare

    key = (run.id, run.part, run.condition)
    if key not in session.verdicts:
        try:
            session.verdicts[key] = _judge(session, compare(read_baseline(find_baseline_path(session, run)), run))
        except UsageError as error:
            session.verdicts[key] = error
    found = session.verdicts[key]
    if isinstance(found, UsageError):
        raise found
    return found


def find_comparison(session: Session, run: Run) -> Comparison | None:
    """Return the comparison of a run with its baseline; None if there is no baseline, or none that is comparable."""
    try:
        return judge_run(session, run).comparison
    except UsageError:
        return None


def keep_baseline(session: Session, run: Run) -> None:
    """Copy the baseline that a run is judged against to the run, so that its page can be rendered again elsewhere."""
    from segqa.gate.baseline import get_stored_baseline_path

    path = find_baseline_path(session, run)
    if path.is_file():
        kept = get_stored_baseline_path(session.store, run)
        with explain_disk_errors("baseline of a run", kept, "evaluate again"):
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, kept)


def judge_without(session: Session, verdict: Verdict, case_ids: set[str]) -> Verdict:
    """Return the verdict without some cases."""
    return _judge(session, verdict.comparison.exclude(case_ids))


def judge_runs(session: Session) -> Iterator[tuple[Run, Verdict | None, str]]:
    """Yield each run of the session with its verdict, or with the reason why there is none."""
    for run in session.runs.values():
        try:
            yield run, judge_run(session, run), ""
        except UsageError as error:
            # a report must not reveal where the repository is on this machine
            yield run, None, str(error).replace(f"{session.root}{os.sep}", "")


def update_baselines(session: Session) -> list[str]:
    """Write the runs of the session as baselines, and return the lines to print.

    Raises:
        BaselineError: one of them must not become a baseline; then none is written.
    """
    updates = [_prepare(session, run) for run in session.runs.values()]
    renamed = [_explain_rename(session, update.run) for update in updates if not update.path.exists()]
    said = [f"note: {text}" for text in renamed if text]
    for update in updates:
        _refuse_slower(session, update.run)
    for update in updates:
        update.write()
        cases = format_count(len(update.run.outcomes), "case")
        said += [f"wrote {session.shorten_path(update.path)} ({cases})", *update.notes]
        said += _keep_speed(session, update.run)
    return said


def _prepare(session: Session, run: Run) -> BaselineUpdate:
    """Decide whether a run of the session may become a baseline."""
    from segqa.gate.baseline_update import prepare_update, refuse_unfit

    budget, allow_dirty = session.settings.thresholds_for(run.model).errors, "allow-dirty" in session.options
    notes = refuse_unfit(run, budget, tree=session.work_tree, allow_dirty=allow_dirty)
    reason = session.options.get("accept", "").strip()
    path, policy = find_baseline_path(session, run), _read_policy(session, run.model)
    update = prepare_update(path, run, lambda: judge_run(session, run), policy, reason=reason, root=session.root)
    return replace(update, notes=(*update.notes, *notes))


def refuse_early(session: Session) -> None:
    """Refuse, before the evaluation, an update of baselines that would be refused after it.

    Raises:
        BaselineError: cases are left out, or the work tree has changes.
    """
    from segqa.gate.baseline_update import refuse_changes, refuse_part
    from segqa.runs.run import find_narrowing

    if "update-baseline" not in session.options or session.existing_run is not None:
        return
    refuse_part(find_narrowing({"options": session.options}))
    if "allow-dirty" not in session.options:
        refuse_changes(session.work_tree.read_changes())


def require_kept_speed(config: pytest.Config, session: Session, run: Run, speed: Speed) -> Speed:
    """Return the stored speed for the machine of a measured one; skip the test, with a reason, if there is none."""
    from segqa.gate.latency import get_speed_path, read_speeds

    path = get_speed_path(session.baselines, run)
    try:
        kept = read_speeds(path)
    except BaselineError as error:
        stop_session(config, str(error))
    if changed := describe_change(session, path):
        session.warn(changed)
    if not kept:
        pytest.skip(f"no speed is kept in {session.shorten_path(path)}; --segqa-update-baseline keeps one")
    if speed.machine not in kept:
        pytest.skip(f"this machine is {speed.machine}; what is kept is from {' and from '.join(kept)}")
    return kept[speed.machine]


def _keep_speed(session: Session, run: Run) -> list[str]:
    """Store the speed of a run, if it has one; return a line with the path, or none."""
    from segqa.gate.latency import compute_speed, get_speed_path, keep_speed, read_speeds

    speed, path = compute_speed(run), get_speed_path(session.baselines, run)
    if speed is None or not keep_speed(path, speed, accepted=bool(session.options.get("accept", "").strip())):
        return []
    said = [f"wrote {session.shorten_path(path)} ({speed.p50:.3g} s a case on {speed.machine})"]
    reference = read_speeds(path)[speed.machine].reference
    if reference is not None:
        said.append(f"note: that is {speed.p50 / reference:.2g} times as long as the reference ({reference:.3g} s)")
    return said


def _refuse_slower(session: Session, run: Run) -> None:
    """Refuse to keep a speed that is slower than its reference allows, unless a reason was given.

    Raises:
        BaselineError: it is.
    """
    slower = describe_slowdown(session, run)
    if slower and not session.options.get("accept", "").strip():
        raise BaselineError(f"baseline of {run.model} not written: {slower}\nif that is wanted: --segqa-accept REASON")


def describe_slowdown(session: Session, run: Run) -> str:
    """Describe how a run is slower than the stored reference allows; empty if it is not, or cannot be compared.

    Raises:
        BaselineError: the stored speeds are damaged.
    """
    from segqa.gate.latency import compute_speed, get_speed_path, read_speeds

    speed, kept = compute_speed(run), read_speeds(get_speed_path(session.baselines, run))
    if speed is None or "parts" in run.provenance or speed.machine not in kept:
        return ""
    return speed.describe_slowdown(kept[speed.machine], session.settings.thresholds_for(run.model).slowdown)


def has_speed(session: Session, run: Run) -> bool:
    """Return whether a speed of a model is stored, for any machine."""
    from segqa.gate.latency import get_speed_path

    return get_speed_path(session.baselines, run).exists()


def is_required(session: Session) -> bool:
    """Return whether a missing baseline is a failure."""
    return is_explicitly_required(session) or (session.settings.gate.required is None and session.ci)


def is_explicitly_required(session: Session) -> bool:
    """Return whether an option or a setting requires a baseline; the variable `CI` does not count."""
    return bool(session.options.get("require-baseline") or session.settings.gate.required)


def has_baseline(session: Session, run: Run) -> bool:
    """Return whether the baseline of a run has a file, readable or not."""
    return find_baseline_path(session, run).exists()


def warn_of_idle_thresholds(session: Session) -> None:
    """Warn of thresholds that no run can miss: their tests always pass."""
    from segqa.gate.policy import find_idle_thresholds

    for run in session.runs.values():
        idle = find_idle_thresholds(session.settings.thresholds_for(run.model), run)
        if idle:
            session.warnings.append(f"no run can miss the thresholds {', '.join(idle)} ({run.model})")


def find_baseline_path(session: Session, run: Run) -> Path:
    """Return the path of the baseline of a run."""
    from segqa.gate.baseline import get_baseline_path

    return get_baseline_path(session.baselines, run)


def _judge(session: Session, comparison: Comparison) -> Verdict:
    """Judge a comparison by the settings, overridden by the command line."""
    from segqa.gate.policy import judge_with_settings

    verdict = judge_with_settings(session.settings, comparison, **_read_rules(session))
    folder, notes = session.baselines, [*verdict.notes]
    if folder.resolve() != session.root.resolve() / GateSettings().baseline:
        real = "" if folder.resolve() == folder.absolute() else f", a link to {session.shorten_path(folder.resolve())}"
        notes.append(f"the baselines are those in {session.shorten_path(folder)}{real}")
    path = find_baseline_path(session, comparison.candidate)
    if changed := describe_change(session, path):
        notes.append(changed)
    _warn_of_lowered(session, path)
    return replace(verdict, notes=tuple(notes))


def _warn_of_lowered(session: Session, path: Path) -> None:
    """Warn, in CI, of a baseline that this commit or pull request has lowered."""
    from segqa.gate.baseline_history import describe_lowered
    from segqa.gate.policy import judge_with_settings

    if not session.ci or path in session.checked_baselines:
        return
    session.checked_baselines.add(path)
    rules = _read_rules(session)
    if lowered := describe_lowered(
        path, session.shorten_path(path), lambda both: judge_with_settings(session.settings, both, **rules)
    ):
        session.warn(lowered)


def _read_policy(session: Session, model: str) -> Policy:
    """Return the gate policy for a model."""
    from segqa.gate.policy import build_policy

    return build_policy(session.settings, model, **_read_rules(session))


def _read_rules(session: Session) -> dict[str, Any]:
    """Return the rules of the gate that the command line overrides."""
    return {"fail_on": session.options.get("fail-on", ()), "group_by": session.group_by}


def describe_change(session: Session, path: Path) -> str:
    """Describe how a file differs from its commit, or why git cannot tell; empty if it does not, and outside of CI.

    Outside of CI a difference is normal: the file was just written. A missing file counts as a difference.
    """
    if not session.ci:
        return ""
    if path not in session.changes:
        session.changes[path] = git_comparison.describe_change(path, session.shorten_path(path))
    return session.changes[path]


def warn_of_other_commit(session: Session, run: Run) -> None:
    """Warn if the finished run to judge was made by other code; in CI also if that is unknown."""
    from segqa.runs.provenance import describe_commits

    session.warn(*describe_commits(run.id, run.provenance, session.work_tree, with_unknown=session.ci))
