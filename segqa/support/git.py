"""Ask git about the work tree: changed files, commits, and the pointers that Git LFS leaves in place of large files."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from segqa.errors import SegqaError
from segqa.support.plurals import list_first

_SHOWN = 5
_KEPT = 200
_KINDS = {"?": "new", "A": "new", "D": "deleted", "R": "renamed"}
_LARGE = 16 * 2**20
"""Bytes. Of a larger file, and of all files after the first 200, the digest takes size and modification time."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What in a work tree is not as it was committed.

    Attributes:
        files: each with its kind, relative to the top of the work tree: `"model.py (changed)"`. At most 200; none where
            nobody has kept a list.
        count: how many there are.
        digest: SHA-256 of their names, kinds and contents as hex; empty without changes.
    """

    files: tuple[str, ...] = ()
    count: int = 0
    digest: str = ""

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        """Return the first of the files, and how many more there are.

        >>> str(Changes(tuple(f"{number}.py (new)" for number in range(7)), 7))
        '0.py (new), 1.py (new), 2.py (new), 3.py (new), 4.py (new) and 2 more'
        """
        if self.count and not self.files:
            return "no list of them was kept"
        return list_first(self.files, _SHOWN, self.count)

    def to_json(self) -> dict[str, Any]:
        """Return the changes in JSON's types."""
        return {"files": list(self.files), "count": self.count, "digest": self.digest}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Changes:
        """Read what `to_json` has returned."""
        return cls(tuple(map(str, written["files"])), int(written["count"]), str(written["digest"]))

    @classmethod
    def merge(cls, parts: Sequence[Changes | None]) -> Changes | None:
        """Merge the changes of the work trees that the parts of one result were made in.

        Returns:
            None if those of a part are unknown and no other part has any.
        """
        known = list(dict.fromkeys(part for part in parts if part))
        if len(known) < 2:
            return known[0] if known else None if None in parts else cls()
        files = sorted({file for part in known for file in part.files})
        digest = hashlib.sha256("".join(sorted(part.digest for part in known)).encode()).hexdigest()
        return cls(tuple(files[:_KEPT]), max(len(files), *(part.count for part in known)), digest)


@dataclass(frozen=True, slots=True)
class WorkTree:
    """The work tree around a folder.

    Attributes:
        root: a folder in it.
        outputs: files and folders that segqa writes. Changes there do not count, except in one that holds `root`.
    """

    root: Path = Path()
    outputs: tuple[Path, ...] = ()

    def find_head(self) -> str:
        """Return the commit that is checked out, in full; empty without git or without a commit."""
        return (ask_git(self.root, "rev-parse", "--verify", "HEAD") or "").strip()

    def has_commit(self, commit: str) -> bool:
        """Return whether the repository has a commit."""
        return ask_git(self.root, "cat-file", "-e", f"{commit}^{{commit}}") is not None

    def describe_other(self, commit: str) -> str:
        """Say that a commit is not the one that is checked out; empty where it is, and where one of them is unknown."""
        head = self.find_head() if commit else ""
        if not head or head == commit:
            return ""
        if self.has_commit(commit):
            return f"was made at commit {commit[:10]}, and {head[:10]} is checked out"
        return f"was made at commit {commit[:10]}, which this repository does not have; {head[:10]} is checked out"

    def read_changes(self) -> Changes | None:
        """Return the changes in the whole work tree: staged or not, untracked files, and those in submodules.

        Returns:
            None where git is not installed, or knows no work tree here.
        """
        top = ask_git(self.root, "rev-parse", "--show-toplevel")
        if top is None:
            return None
        here = self.root.resolve()
        paths = (output.absolute().resolve() for output in self.outputs)
        ignored = [path for path in paths if not here.is_relative_to(path)]
        folder = Path(top.rstrip("\n"))
        status = _read_status(folder)
        if status is None:
            return None
        found = {change.path: change for change in _find_files(folder, status) if not _is_output(change.path, ignored)}
        shown = [_describe(change, folder) for change in found.values()]
        digest = _compute_digest(shown, list(found)) if shown else ""
        return Changes(tuple(shown[:_KEPT]), len(shown), digest)


def find_commit(root: Path, path: Path) -> str:
    """Return the short name of the last commit that touched a file, also of one that is gone; empty for none."""
    return (ask_git(root, "log", "-1", "--format=%h", "--", str(path.absolute())) or "").strip()


def ask_git(root: Path, *arguments: str) -> str | None:
    """Run git and return its output; None where there is no git, or no repository."""
    output = run_git(root, *arguments)
    return None if output is None else os.fsdecode(output)


def run_git(root: Path, *arguments: str) -> bytes | None:
    """Run git and return its output as bytes; None where there is no git, or no repository."""
    try:
        return _call_git(root, *arguments)
    except (OSError, subprocess.SubprocessError):
        return None


def _call_git(root: Path, *arguments: str) -> bytes:
    """Run git, in English and without what git tells its hooks: a relative GIT_DIR is wrong in any other folder."""
    command = ["git", "--no-optional-locks", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS} | {"LC_ALL": "C"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True, timeout=30).stdout  # noqa: S603


_OF_HOOKS = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"})


def explain_silence(folder: Path) -> str:
    """Say why git does not answer in a folder; empty where it does."""
    try:
        _call_git(folder, "rev-parse", "--show-toplevel")
    except FileNotFoundError:
        return "it is not installed"
    except subprocess.CalledProcessError as error:
        # its own words hold paths of the machine, which do not belong into a report
        known = (text for words, text in _SILENCE.items() if words in error.stderr)
        return next(known, f"it ends with {error.returncode}")
    except (OSError, subprocess.SubprocessError) as error:
        return type(error).__name__
    return ""


_SILENCE = {
    b"dubious ownership": "the repository belongs to another user; git config --global --add safe.directory DIR",
    b"not a git repository": "there is no repository",
}


class _Change(NamedTuple):
    """A changed file: its path, its kind, and for a submodule whether another commit is checked out in it."""

    path: Path
    kind: str
    is_submodule: bool = False
    is_moved: bool = True


def _read_status(top: Path) -> str | None:
    """Return what git says of a work tree, whatever its configuration hides."""
    how = ("--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=none")
    return ask_git(top, "status", *how)


def _find_files(top: Path, status: str) -> Iterator[_Change]:
    """Yield the changed files; in place of a submodule the files that have changed in it."""
    for change in _parse_status(top, status):
        if not change.is_submodule:
            yield change
            continue
        if change.is_moved:
            yield change
        inner = _read_status(change.path)
        if inner is not None and change.path.is_dir():
            yield from _find_files(change.path, inner)


def _parse_status(top: Path, status: str) -> Iterator[_Change]:
    """Yield the changes in the output of `git status --porcelain=v2 -z`."""
    fields = iter(status.split("\0"))
    for field in fields:
        sort = field[:1]
        if sort == "?":
            yield _Change(top / field[2:], "new")
        elif sort in {"1", "2", "u"}:
            *about, name = field.split(" ", {"1": 8, "2": 9, "u": 10}[sort])
            if sort == "2":
                next(fields, None)  # the name that it had
            kind = next((_KINDS[sign] for sign in about[1] if sign in _KINDS), "changed")
            state = about[2]
            yield _Change(top / name, kind, state[0] == "S", state[1:2] == "C" or about[1][0] != ".")


def _is_output(path: Path, outputs: Iterable[Path]) -> bool:
    return "__pycache__" in path.parts or any(path.is_relative_to(output) for output in outputs)


def _describe(change: _Change, top: Path) -> str:
    shown = os.path.relpath(change.path, top)
    return f"{shown if shown.isprintable() else ascii(shown)} ({change.kind})"


def _compute_digest(names: Sequence[str], paths: Sequence[Path]) -> str:
    """Compute a digest over the names and the contents of changed files."""
    found = hashlib.sha256()
    for place, (name, path) in enumerate(zip(names, paths, strict=True)):
        content = hashlib.sha256(_read_content(path, whole=place < _KEPT)).hexdigest()
        found.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return found.hexdigest()


def _read_content(path: Path, *, whole: bool) -> bytes:
    """Return the content of a file, the target of a link, or the commit of a repository."""
    try:
        if path.is_symlink():
            return os.fsencode(path.readlink())
        if path.is_dir():
            return (ask_git(path, "rev-parse", "HEAD") or "").encode()
        about = path.stat()
        if whole and about.st_size <= _LARGE:
            return path.read_bytes()
        return f"{about.st_size} {about.st_mtime_ns}".encode()
    except OSError:
        return b""


_BEGIN = b"version https://git-lfs.github.com/spec/"


def describe_pointer(name: str, content: bytes | str) -> str:
    """Return what to do about a file that is a Git LFS pointer; empty where it is none.

    Args:
        name: what to call the file.
        content: the file, or its beginning.

    >>> describe_pointer("a.png", b"version https://git-lfs.github.com/spec/v1 ...")
    'a.png is a Git LFS pointer, not the file itself: fetch it with `git lfs pull` (on GitHub: checkout with lfs: true)'
    """
    begin = content.encode() if isinstance(content, str) else content
    if not begin.startswith(_BEGIN):
        return ""
    how = "fetch it with `git lfs pull` (on GitHub: checkout with lfs: true)"
    return f"{name} is a Git LFS pointer, not the file itself: {how}"


def refuse_pointers(paths: Iterable[Path], error: type[SegqaError]) -> None:
    """Refuse files that are Git LFS pointers; those that are not there or cannot be read are left to others.

    Raises:
        SegqaError: of this type, one of them is a pointer.
    """
    for path in paths:
        try:
            with path.open("rb") as file:
                problem = describe_pointer(str(path), file.read(len(_BEGIN)))
        except OSError:
            continue
        if problem:
            raise error(problem)
