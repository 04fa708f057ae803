"""Git LFS pointers: small texts that stand in the place of large files until somebody fetches these."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from segqa.errors import SegqaError

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
