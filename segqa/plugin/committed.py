"""What a session judges by, against what git knows: a baseline that was changed here, and a run of other code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from segqa.support.environment import is_ci
from segqa.support.git import find_commit, is_as_committed

if TYPE_CHECKING:
    from segqa.plugin.state import Session
    from segqa.runs.run import Run


def describe_change(session: Session, path: Path) -> str:
    """Say that a file is not as it was committed; empty where it is, outside of git, and where `CI` is not set.

    On a laptop that is the usual thing: the file has just been written. A file that is gone counts as well.
    """
    if not is_ci():
        return ""
    if path not in session.uncommitted:
        session.uncommitted[path] = _describe_change(session, path)
    return session.uncommitted[path]


def _describe_change(session: Session, path: Path) -> str:
    real = path.resolve()
    shown = os.path.relpath(path, session.here)
    if not real.exists():
        commit = find_commit(session.root, real)
        return f"{shown} is gone, but git knows it (commit {commit})" if commit else ""
    return "" if is_as_committed(real) else f"{shown} is not as it was committed"


def warn_of_other_commit(session: Session, run: Run) -> None:
    """Warn where a finished run is judged that other code has made: what is checked out now is not what it says."""
    if other := session.work_tree.describe_other(str(run.provenance.get("commit") or "")):
        session.warn(f"run {run.id} {other}: it says nothing of the code here")
