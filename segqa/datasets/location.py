"""A location is where a folder data set lies: a path here, or an address such as `s3://bucket/photos`."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TypeAlias

Location: TypeAlias = Path | str
"""A path, or as a text an address that fsspec understands."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*(::[a-z][a-z0-9+.-]*)*://", re.IGNORECASE)


def expand_home(path: str | os.PathLike[str]) -> Path:
    """Return a path with `~` at its beginning replaced by the user's folder; as it is where there is no such user.

    A shell does it only where `~` begins a word, and not in `--dir=~/runs`.

    >>> expand_home("photos/~").as_posix()
    'photos/~'
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises where nobody has that name


def nearest_folder(path: Path) -> str:
    """Return the name of the folder beside a path that is not there whose name is most like it; empty for none."""
    try:
        with os.scandir(path.parent) as listed:
            names = [entry.name for entry in listed if entry.is_dir()]
    except OSError:
        return ""
    return next(iter(difflib.get_close_matches(path.name, names, n=1)), "")


def located(name: str | os.PathLike[str], base: Path | None = None) -> Location:
    """The location that a name means.

    Args:
        name: an address, or a path.
        base: what a path is relative to; where Python runs by default.

    >>> located("s3://bucket/photos", Path("/home"))
    's3://bucket/photos'
    >>> located("photos", Path("/home")).as_posix()
    '/home/photos'
    """
    text = os.fspath(name)
    if _ADDRESS.match(text):
        return text
    return expand_home(text) if base is None else base / expand_home(text)


def name_of(location: Location) -> str:
    """Return the last part of a location as it is typed: what a data set is called that lies there.

    A link has its own name and not that of what it leads to, so that `data → data-v3` stays `data`. Only `.` and a
    path that ends with `..` have no name of their own: theirs is that of the folder they mean.

    >>> name_of(Path("/photos/val/"))
    'val'
    >>> name_of(Path("/photos/val/.."))
    'photos'
    >>> name_of("s3://bucket/photos/")
    'photos'
    >>> name_of("zip://photos::s3://bucket/all.zip")
    'photos'
    >>> name_of("memory://")
    'memory'
    """
    if isinstance(location, Path):
        return location.name if location.name not in {"", ".."} else location.resolve().name
    paths = (link.partition("://")[2].strip("/") for link in location.split("::"))
    return next((path.rpartition("/")[2] for path in paths if path), location.partition(":")[0])


def is_same(one: Location, other: Location) -> bool:
    """Whether two locations are one.

    >>> is_same("s3://bucket/photos", "s3://bucket/photos/")
    True
    """
    if isinstance(one, Path) and isinstance(other, Path):
        return one.resolve() == other.resolve()
    return str(one).rstrip("/") == str(other).rstrip("/")
