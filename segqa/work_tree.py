"""The work tree of git: what has changed in it, but for the files that segqa itself writes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_SHOWN = 5
_KINDS = {"?": "new", "A": "new", "D": "deleted", "R": "renamed"}


def find_changes(root: Path, outputs: Iterable[Path]) -> list[str] | None:
    """Return the files below a folder that are not as they were committed, each with the kind of its change.

    Args:
        root: the folder.
        outputs: files and folders that do not count; not even one that holds the whole of `root` hides everything.

    Returns:
        `["model.py (changed)", "notes.txt (new)"]`, relative to `root`; None where git knows no such folder.
    """
    top = ask_git(root, "rev-parse", "--show-toplevel")
    status = ask_git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
    if top is None or status is None:
        return None
    here = root.resolve()
    left_out = [path for path in (output.absolute().resolve() for output in outputs) if not here.is_relative_to(path)]
    found = []
    for kind, name in _entries(status):
        path = Path(top.rstrip("\n")) / name
        if "__pycache__" in path.parts or any(path.is_relative_to(output) for output in left_out):
            continue
        shown = os.path.relpath(path, here)
        found.append(f"{shown if shown.isprintable() else ascii(shown)} ({kind})")
    return found


def list_changes(changes: Sequence[str]) -> str:
    """Return the first of some changes, and how many more there are.

    >>> list_changes([f"{number}.py (new)" for number in range(7)])
    '0.py (new), 1.py (new), 2.py (new), 3.py (new), 4.py (new) and 2 more'
    """
    more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return ", ".join(changes[:_SHOWN]) + more


def find_commit(root: Path, path: Path) -> str:
    """Return the short name of the last commit that touched a file, also of one that is gone; empty for none."""
    return (ask_git(root, "log", "-1", "--format=%h", "--", str(path.absolute())) or "").strip()


def ask_git(root: Path, *arguments: str) -> str | None:
    """Return what git says; None where there is no git, or no repository."""
    try:
        said = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True, timeout=30)  # noqa: S603, S607
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(said.stdout)


def _entries(status: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of each change in the output of `git status --porcelain -z`."""
    fields = iter(status.split("\0"))
    for field in fields:
        if field:
            signs, name = field[:2], field[3:]
            if "R" in signs or "C" in signs:
                next(fields, None)  # the name that it had
            yield next((_KINDS[sign] for sign in signs if sign in _KINDS), "changed"), name
