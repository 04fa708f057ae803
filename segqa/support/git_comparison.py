"""Compare a file of the work tree with what git has committed."""

from __future__ import annotations

import os
from pathlib import Path

from segqa.support.git import ask_git, explain_silence, find_commit


def describe_change(path: Path, shown: str) -> str:
    """Say that a file is not what git has committed, or that git cannot tell.

    The contents are compared, not `git status`: that leaves out ignored files, and those marked `skip-worktree` or
    `assume-unchanged`. The filters of git (line ends, Git LFS) count.

    Args:
        path: of the file; a link is followed.
        shown: what to call it.

    Returns:
        Empty where the file is as it was committed, and where there is none and git knows none.
    """
    real = path.resolve()
    folder = next(parent for parent in real.parents if parent.is_dir())
    silence = explain_silence(folder)
    if not real.exists():
        commit = "" if silence else find_commit(folder, real)
        return f"{shown} is gone, but git knows it (commit {commit})" if commit else ""
    if silence:
        return f"git does not answer here ({silence}), so nobody can tell whether {shown} is as it was committed"
    committed = ask_git(folder, "rev-parse", "--verify", f"HEAD:./{real.name}")
    if committed is None:
        return f"git does not know {shown}: it is in no commit"
    if ask_git(folder, "hash-object", "--", real.name) != committed:
        return f"{shown} is not as it was committed"
    return _describe_submodules(folder, shown)


def _describe_submodules(folder: Path, shown: str) -> str:
    """Say that a file lies in a submodule of which another commit is checked out than the outer repository records."""
    top = (ask_git(folder, "rev-parse", "--show-toplevel") or "").rstrip("\n")
    outer = (ask_git(folder, "rev-parse", "--show-superproject-working-tree") or "").rstrip("\n")
    if not outer:
        return ""
    head = (ask_git(folder, "rev-parse", "HEAD") or "").strip()
    recorded = (ask_git(Path(outer), "rev-parse", "--verify", f"HEAD:./{os.path.relpath(top, outer)}") or "").strip()
    if head != recorded:
        of_outer = f"HEAD records {recorded[:10]}" if recorded else "HEAD does not know the submodule"
        return f"{shown} is not as it was committed: its submodule is at {head[:10]}, and {of_outer}"
    return _describe_submodules(Path(outer), shown)
