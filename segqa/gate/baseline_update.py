"""Update a baseline: refuse what must not become one without a reason, and carry reasons and drift on.

Each update may lose less than anyone can prove, and many of them still add up to a loss. So a baseline keeps the means
that it started from, its reference, and the sum of what updates have changed since.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segqa.errors import BaselineError, UsageError
from segqa.gate.baseline import METRICS, read_baseline, round_means, write_baseline
from segqa.gate.comparison import BROKEN_DROP, Comparison
from segqa.gate.pairs import fill_undefined
from segqa.gate.policy import Policy
from segqa.gate.rules import get_bound
from segqa.gate.verdict import Verdict
from segqa.inference.spot_check import judge_stored_answers
from segqa.runs.provenance import describe_commits, read_changes
from segqa.runs.run import Run, find_repeatable_options
from segqa.support.escaping import join_lines
from segqa.support.git import Changes, WorkTree, explain_silence, find_commit
from segqa.support.plurals import format_count, list_first

_SHOWN = 5
_FALL = 0.1
"""From this loss of IoU on, the header of a baseline keeps what a case had before."""
_ALLOW = "or --segqa-allow-dirty (segqa baseline accept: --allow-dirty)"
_ACCEPT = "if that is wanted: --segqa-accept REASON"


@dataclass(frozen=True, slots=True, eq=False)
class BaselineUpdate:
    """A baseline that may be written.

    Attributes:
        path: of its file.
        run: that it is made of.
        accepted: the reasons so far.
        reference: the means that drift is counted from; None for those of the run.
        drift: what updates have added up to since then; None for nothing.
        policy: what is in force now.
        notes: what one should know of it.
        verdict: on the run against the baseline before; None where there was none, or nothing could be compared.
        fallen: by case id, the IoU before updates took 0.1 or more from it; None for no case.
    """

    path: Path
    run: Run
    accepted: tuple[str, ...]
    reference: Mapping[str, float] | None
    drift: Mapping[str, float] | None
    policy: Policy
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    fallen: Mapping[str, float] | None = None

    def write(self) -> None:
        """Write the file."""
        history = {
            "reference": self.reference,
            "drift": self.drift,
            "policy": self.policy.to_header(),
            "fallen": self.fallen,
        }
        write_baseline(self.path, self.run, self.accepted, **history)


def prepare_update(
    path: Path, run: Run, judge: Callable[[], Verdict], policy: Policy, *, reason: str = "", root: Path = Path()
) -> BaselineUpdate:
    """Decide whether a run may take the place of its baseline.

    Args:
        path: of the baseline, which need not be there.
        run: a whole one, see `refuse_unfit`.
        judge: gives the verdict on the run against the baseline that is there.
        policy: what is in force for the run's model.
        reason: why a loss is accepted; empty for no reason.
        root: a folder of the repository.

    Raises:
        BaselineError: a reason is needed and none was given; says what for.
    """
    try:
        before = _read_before(path, root)
    except BaselineError as error:
        _require_reason(reason, run, str(error))
        return BaselineUpdate(path, run, (reason,), None, None, policy, (_accept_unjudged(error),))
    if before is None:
        notes: tuple[str, ...] = () if reason else (f"this is the first baseline of {run.model}, so nothing judged it",)
        if not path.exists() and (silence := explain_silence(root)):
            notes += (f"note: git does not answer here ({silence}), so nobody can tell whether a baseline is gone",)
        return BaselineUpdate(path, run, (reason,) if reason else (), None, None, policy, notes)
    accepted = tuple(before.provenance["accepted"])
    try:
        verdict = judge()
    except UsageError as error:
        _require_reason(reason, run, str(error))
        return BaselineUpdate(path, run, (*accepted, reason), None, None, policy, (_accept_unjudged(error),))
    reference, drift = _add_drift(before, verdict.comparison)
    fallen = _find_fallen(before, verdict.comparison)
    if losses := [*_find_losses(verdict, reference, drift), *_find_collapsed(fallen, verdict)]:
        _require_reason(reason, run, join_lines(line for loss in losses for line in loss.split("\n")))
        notes = _list_changed_data(verdict.comparison)
        return BaselineUpdate(path, run, (*accepted, reason), None, None, policy, notes, verdict)
    # a gain that leaves it below the reference must not hide what was lost before
    if verdict.name == "improved" and min(drift.values(), default=0) >= 0:
        return BaselineUpdate(path, run, accepted, None, None, policy, verdict=verdict, fallen=fallen)
    return BaselineUpdate(path, run, accepted, reference, drift, policy, verdict=verdict, fallen=fallen)


def _accept_unjudged(problem: object) -> str:
    """Say that a baseline is replaced that nothing could be compared with."""
    return f"note: accepted without a verdict: {problem}"


def refuse_unfit(run: Run, errors: float, *, tree: WorkTree, allow_dirty: bool) -> tuple[str, ...]:
    """Refuse a run that says less than a baseline has to.

    Args:
        run: that shall become a baseline.
        errors: the share of cases that may be errors.
        tree: where the baseline is written.
        allow_dirty: whether the run may have been made with uncommitted changes.

    Returns:
        Lines on the commit of the run: what cannot be checked, and what was allowed.

    Raises:
        BaselineError: it is a part, has too many errors, has stored answers that may be another model's, or was made
            with uncommitted changes, even if they have been reverted since.
    """
    refuse_part(run.narrowed_by)
    if run.missing:
        raise BaselineError(
            "no baseline is made of a part of a data set "
            f"({format_count(len(run.missing), 'case is', 'cases are')} missing)"
        )
    if run.error_share > errors:
        raise BaselineError(
            f"{run.model} has {format_count(len(run.errors), 'error')}, more than the budget of {errors:.0%}: "
            "no baseline is made of it"
        )
    wrong, _ = judge_stored_answers(run, is_strict=True)
    if wrong:
        raise BaselineError(f"no baseline is made of stored answers that may be another model's: {wrong[0]}")
    changes = read_changes(run.provenance)
    if not allow_dirty:
        refuse_changes(changes, run)
        _refuse_mixed_commits(run)
    elif changes:
        return (f"note: run {run.id} was made with uncommitted changes ({changes}), so nobody can make it again",)
    return _describe_commit(run, tree)


def refuse_part(narrowed_by: Iterable[str]) -> None:
    """Refuse options that leave cases out, such as `limit`.

    Raises:
        BaselineError: there is one.
    """
    if part := [f"--segqa-{name}" for name in narrowed_by]:
        raise BaselineError(f"no baseline is made of a part of a data set (with {' and '.join(part)})")


def refuse_changes(changes: Changes | None, run: Run | None = None) -> None:
    """Refuse uncommitted changes.

    Args:
        changes: of the work tree now, or when a run was made; None where git does not know.
        run: that they were made with; None before there is one.

    Raises:
        BaselineError: there are some; names the first files.
    """
    if not changes:
        return
    if run is None:
        raise BaselineError(
            f"the work tree has changes ({changes}), so nobody could make this baseline again: "
            "commit them, or --segqa-allow-dirty"
        )
    raise BaselineError(
        f"run {run.id} was made with uncommitted changes ({changes}), so nobody could make this baseline again: "
        f"commit or revert them and evaluate again{_format_repeat_command(run)}, {_ALLOW}"
    )


def _refuse_mixed_commits(run: Run) -> None:
    """Refuse a run that was merged of shards of different commits."""
    commits = {part.get("commit", ""): part["shard"] for part in run.provenance.get("parts", ())}
    if len(commits) > 1:
        made = " and ".join(f"{commit[:10] or 'no commit'} (shard {shard})" for commit, shard in commits.items())
        raise BaselineError(
            f"run {run.id} is merged of shards of different commits, {made}, so nobody could make this baseline again: "
            f"evaluate all shards at one commit, {_ALLOW}"
        )


def _format_repeat_command(run: Run) -> str:
    """Return the command that evaluates a run again, in brackets; empty where it is unknown."""
    command = run.provenance.get("command", "")
    return f" ({shlex.join(find_repeatable_options(command))})" if command.startswith("pytest") else ""


def _describe_commit(run: Run, tree: WorkTree) -> tuple[str, ...]:
    """Say that a run was made at another commit than the one here, or that its commit is unknown."""
    if read_changes(run.provenance) is None:
        return (f"note: git did not know the work tree of run {run.id}, so nobody can check that it was committed",)
    found = describe_commits(run.id, run.provenance, tree, with_unknown=False)
    return tuple(f"note: {text}" for text in found)


def _read_before(path: Path, root: Path) -> Run | None:
    """Read the baseline to be replaced; None where there is none.

    Raises:
        BaselineError: it cannot be read, or is gone though git knows it.
    """
    if path.exists():
        return read_baseline(path)
    if commit := find_commit(root, path):
        raise BaselineError(
            f"{path} is gone, but git knows it (commit {commit}); expected it to be there: restore it, so that reasons "
            "and drift go on"
        )
    return None


def _require_reason(reason: str, run: Run, problem: str) -> None:
    """Refuse an update for which no reason was given."""
    if not reason:
        raise BaselineError(f"baseline of {run.model} not written: {problem}\n{_ACCEPT}")


def _find_losses(verdict: Verdict, reference: Mapping[str, float], drift: Mapping[str, float]) -> list[str]:
    """Find what an update would lose: a regression, cases, a policy, or the sum of many small losses."""
    losses = [] if verdict.passed else [f"the run is a regression:\n{verdict.story}"]
    if missing := verdict.comparison.missing:
        cases = format_count(len(missing), "case of the baseline is", "cases of the baseline are")
        losses.append(f"{cases} not in the run, such as {missing[0]}")
    losses += _list_changed_data(verdict.comparison)
    if verdict.relaxed:
        losses.append(f"relaxed since the baseline: {'; '.join(verdict.relaxed)}")
    bounds = {rule.subject: rule for rule in verdict.rules if rule.subject in drift and not rule.attribute}
    for name, rule in bounds.items():
        if drift[name] < -(rule.bound or 0.0) - 1e-9:
            change = verdict.comparison.mean_change(name.removeprefix("mean_"))
            losses.append(
                f"updates since the reference ({name} {reference[name]:.4f}) add up to {drift[name]:+.4f}, "
                f"beyond the rule {rule}; this one changes it by {change:+.4f}"
            )
    return losses


def _list_changed_data(comparison: Comparison) -> tuple[str, ...]:
    """Return a line that says which cases have other data than in the baseline; none where there are none."""
    told = [f"{case_id} ({part})" for case_id, part in comparison.changed.by_id.items()]
    return (f"other data than before: {list_first(told, _SHOWN)}",) if told else ()


def _find_fallen(before: Run, comparison: Comparison) -> dict[str, float]:
    """Find the cases that updates have taken `_FALL` or more from, and the IoU that each had before, by case id."""
    kept = before.provenance.get("fallen") or {}
    ious = fill_undefined(comparison.pairs.ious).tolist()
    earlier = {case_id: kept.get(case_id, iou) for case_id, (iou, _) in zip(comparison.pairs.ids, ious, strict=True)}
    rows = zip(earlier.items(), ious, strict=True)
    return {case_id: round(iou, 6) for (case_id, iou), (_, now) in rows if iou - now >= _FALL}


def _find_collapsed(fallen: Mapping[str, float], verdict: Verdict) -> list[str]:
    """Find the cases that collapse over several updates, as the rule `broken` finds those that collapse in one."""
    comparison = verdict.comparison
    bound = get_bound(verdict.rules, "broken")
    at_once, threshold = set(comparison.broken.ids), comparison.candidate.threshold
    pairs = zip(comparison.pairs.ids, comparison.pairs.ious[:, 1].tolist(), strict=True)
    lost = [
        f"{case_id} {fallen[case_id]:.4f} → {iou:.4f}"
        for case_id, iou in pairs
        if case_id in fallen and case_id not in at_once and iou < threshold and fallen[case_id] - iou >= BROKEN_DROP
    ]
    if bound is None or len(lost) <= bound:
        return []
    cases = format_count(len(lost), "case has", "cases have")
    return [f"{cases} collapsed over several updates: {list_first(lost, _SHOWN)}"]


def _add_drift(before: Run, comparison: Comparison) -> tuple[dict[str, float], dict[str, float]]:
    """Return the reference of a baseline and its drift with one more update."""
    means = {f"mean_{metric}": float(before.mean(metric)) for metric in METRICS}
    kept, drift = before.provenance.get("reference"), before.provenance.get("drift") or {}
    reference = round_means(kept if kept is not None else means)
    changes = {name: comparison.mean_change(name.removeprefix("mean_")) for name in reference}
    return reference, round_means({name: drift.get(name, 0.0) + change for name, change in changes.items()})
