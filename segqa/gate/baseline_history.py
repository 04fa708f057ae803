"""Compare a baseline with the one before this change, so that a change that lowers its own baseline is named."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from segqa.errors import BaselineError, UsageError
from segqa.gate.baseline import read_baseline
from segqa.gate.comparison import Comparison, compare
from segqa.gate.verdict import Verdict
from segqa.runs.run import Run
from segqa.support.git import ask_git, run_git

_TARGETS = (
    "GITHUB_BASE_REF",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
    "CHANGE_TARGET",
    "SYSTEM_PULLREQUEST_TARGETBRANCH",
    "BITBUCKET_PR_DESTINATION_BRANCH",
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
)
"""The variables in which CI systems name the branch that a pull request is for."""


def describe_lowered(path: Path, shown: str, judge: Callable[[Comparison], Verdict]) -> str:
    """Say that the baseline here is lower than the one before this change.

    Args:
        path: of the baseline.
        shown: what to call it.
        judge: gives the verdict on the baseline here against the one before.

    Returns:
        Empty where the verdict passes, the mean is not lower and nothing was relaxed, and where there is no baseline
        before, or git has no commit before.
    """
    real = path.resolve()
    commit = find_parent(real.parent)
    before = _read_at(commit, real) if commit else None
    if before is None:
        return ""
    now, begin = read_baseline(real), f"this change lowers {shown} (commit {commit[:10]} has another)"
    try:
        verdict = judge(compare(before, now, same_picker=False))
    except UsageError as error:
        return f"this change replaces {shown} (commit {commit[:10]} has another): {error}"
    relaxed = f"; relaxed: {', '.join(verdict.relaxed)}" if verdict.relaxed else ""
    is_lower = float(now.mean_iou) < float(before.mean_iou)
    return f"{begin}: {verdict.headline}{relaxed}" if is_lower or relaxed or not verdict.passed else ""


def find_parent(folder: Path) -> str:
    """Return the commit before this change; empty where git has none, as in a clone of depth 1.

    It is the merge base with the branch that a pull request is for, where CI names it and git has it; else the first
    parent of the commit that is checked out.
    """
    head = ask_git(folder, "rev-parse", "--verify", "HEAD")
    for name in filter(None, map(os.environ.get, _TARGETS)):
        base = ask_git(folder, "merge-base", "HEAD", f"origin/{name.removeprefix('refs/heads/')}")
        if base and base != head:
            return base.strip()
    return (ask_git(folder, "rev-parse", "--verify", "HEAD^") or "").strip()


def _read_at(commit: str, path: Path) -> Run | None:
    """Read the baseline of a commit; None where it has none, the same as HEAD, or one that cannot be read."""
    name = f"./{path.name}"
    blob = ask_git(path.parent, "rev-parse", "--verify", f"{commit}:{name}")
    if blob is None or blob == ask_git(path.parent, "rev-parse", "--verify", f"HEAD:{name}"):
        return None
    content = run_git(path.parent, "cat-file", "blob", blob.strip())
    with tempfile.TemporaryDirectory(prefix="segqa-baseline-") as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(content or b"")
        try:
            return read_baseline(copy)
        except BaselineError:
            return None
