"""Local and remote folders: parse an address, list it and fetch its files through fsspec."""

from __future__ import annotations

import difflib
import os
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from segqa.errors import DatasetError
from segqa.settings.checks import nearest

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Location: TypeAlias = Path | str
"""A path, or as a text an address that fsspec understands."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*(::[a-z][a-z0-9+.-]*)*://", re.IGNORECASE)


def expand_home(path: str | os.PathLike[str]) -> Path:
    """Replace `~` at the start of a path by the home folder; leave the path unchanged where there is no such user.

    A shell does it only where `~` begins a word, and not in `--dir=~/runs`.

    >>> expand_home("photos/~").as_posix()
    'photos/~'
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises where nobody has that name


def find_nearest_folder(path: Path) -> str:
    """Find the folder with the most similar name beside a missing path; empty for none."""
    try:
        with os.scandir(path.parent) as listed:
            names = [entry.name for entry in listed if entry.is_dir()]
    except OSError:
        return ""
    return next(iter(difflib.get_close_matches(path.name, names, n=1)), "")


def resolve_location(name: str | os.PathLike[str], base: Path | None = None) -> Location:
    """Return the location that a name means.

    Args:
        name: an address, or a path.
        base: what a path is relative to; where Python runs by default.

    >>> resolve_location("s3://bucket/photos", Path("/home"))
    's3://bucket/photos'
    >>> resolve_location("photos", Path("/home")).as_posix()
    '/home/photos'
    """
    text = os.fspath(name)
    if _ADDRESS.match(text):
        return text
    return expand_home(text) if base is None else base / expand_home(text)


def get_location_name(location: Location) -> str:
    """Return the last part of a location as typed; it names the data set.

    A link has its own name and not that of what it leads to, so that `data → data-v3` stays `data`. Only `.` and a
    path that ends with `..` have no name of their own: theirs is that of the folder they mean.

    >>> get_location_name(Path("/photos/val/"))
    'val'
    >>> get_location_name(Path("/photos/val/.."))
    'photos'
    >>> get_location_name("s3://bucket/photos/")
    'photos'
    >>> get_location_name("zip://photos::s3://bucket/all.zip")
    'photos'
    >>> get_location_name("memory://")
    'memory'
    """
    if isinstance(location, Path):
        return location.name if location.name not in {"", ".."} else location.resolve().name
    paths = (link.partition("://")[2].strip("/") for link in location.split("::"))
    return next((path.rpartition("/")[2] for path in paths if path), location.partition(":")[0])


def is_same_location(one: Location, other: Location) -> bool:
    """Return whether two locations are the same.

    >>> is_same_location("s3://bucket/photos", "s3://bucket/photos/")
    True
    """
    if isinstance(one, Path) and isinstance(other, Path):
        return one.resolve() == other.resolve()
    return str(one).rstrip("/") == str(other).rstrip("/")


_AHEAD = 32
"""So many files are fetched ahead at most, …"""

_AHEAD_BYTES = 128_000_000
"""… as long as they are not larger than this together."""

_KEPT = 256
"""So many of the files that were asked for last stay (the sample of a data set is among them), …"""

_KEPT_BYTES = 64_000_000
"""… as long as they are not larger than this together; two do whatever their size: the image and the mask of a case."""

_THREADS = 16

_CONNECTIONS = 4
"""Threads where each has a connection of its own: servers of FTP and SSH refuse many at a time."""

_LATE = 16
"""What is not asked for when so many files after it have been is dropped."""


def open_storage(address: str) -> tuple[AbstractFileSystem, str]:
    """Open the file system of an address; return it with the path inside it.

    Options (endpoints, credentials) are those of fsspec's configuration. Call it anew in each thread and process:
    fsspec keeps what may be shared.

    Raises:
        DatasetError: fsspec or the package of the file system is not installed, or there is none of that name.
    """
    try:
        import fsspec
    except ImportError as error:
        raise DatasetError(f"{address} needs fsspec: pip install 'segqa[remote]'") from error
    try:
        storage, path = fsspec.url_to_fs(address)
    except ImportError as error:
        raise DatasetError(f"{address} needs a package that is not installed: {error}") from error
    except Exception as error:
        scheme, known = address.partition(":")[0], fsspec.available_protocols()
        if scheme not in known:
            raise DatasetError(f"no file system is called {scheme!r}; {nearest(scheme, known)}") from error
        raise DatasetError(f"cannot open {address}: {describe_error(error)}") from error
    return storage, str(path).rstrip("/")


def describe_error(error: Exception) -> str:
    """Describe an error in one line."""
    if isinstance(error, FileNotFoundError):
        return "No such file or directory"
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class Storage:
    """The files that this process has fetched from an address.

    Args:
        address: of a data set; its files lie in the same file system.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._kept: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._ahead: _Prefetcher | None = None

    def read(self, path: str) -> bytes:
        """Return the content of a file; errors of the file system pass through."""
        with self._lock:
            known = self._kept.pop(path, None)
            if known is not None:
                self._kept[path] = known
            ahead = self._ahead
        coming = ahead.take(path) if ahead else None
        if known is not None:
            return known
        content = self._fetch(path) if coming is None else coming.result()
        with self._lock:
            self._kept[path] = content
            self._shrink()
        return content

    def read_start(self, path: str, size: int) -> bytes:
        """Return the first bytes of a file; errors of the file system pass through."""
        with self._lock:
            known = self._kept.get(path)
        if known is not None:
            return known[:size]
        content: bytes = open_storage(self._address)[0].cat_file(path, start=0, end=size)
        return content[:size]

    def start_prefetch(self, files: Iterable[tuple[str, int]]) -> None:
        """Start to fetch files ahead, given their paths and sizes in reading order."""
        self.stop_prefetch()
        threads = _THREADS if open_storage(self._address)[0].async_impl else _CONNECTIONS
        self._ahead = _Prefetcher(self._fetch, files, threads)

    def stop_prefetch(self) -> None:
        """Stop fetching ahead."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def _fetch(self, path: str) -> bytes:
        with self._lock:
            known = self._kept.get(path)
        if known is not None:
            return known
        content: bytes = open_storage(self._address)[0].cat_file(path)
        return content

    def _shrink(self) -> None:
        """Drop the least recently used files."""
        size = sum(map(len, self._kept.values()))
        while len(self._kept) > 2 and (size > _KEPT_BYTES or len(self._kept) > _KEPT):
            size -= len(self._kept.pop(next(iter(self._kept))))


@cache
def get_storage(address: str) -> Storage:
    """Return the one storage of this process for an address."""
    return Storage(address)


@dataclass(frozen=True, slots=True)
class _Fetch:
    """A file that is being fetched or is ready.

    Attributes:
        number: its place among those that are expected.
        size: in bytes, as far as that is known.
        content: of it, sooner or later.
    """

    number: int
    size: int
    content: Future[bytes]


class _Prefetcher:
    """Fetches files in order, as far ahead of the reader as memory allows.

    Args:
        fetch: gives the content of a file.
        files: their paths and sizes.
        threads: so many at a time.
    """

    def __init__(self, fetch: Callable[[str], bytes], files: Iterable[tuple[str, int]], threads: int) -> None:
        self._fetch = fetch
        self._files = enumerate(files)
        self._coming: dict[str, _Fetch] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "segqa-fetch")
        self._fill()

    def take(self, path: str) -> Future[bytes] | None:
        """Take the content of a file, waiting for it if needed; None where it was not prefetched."""
        with self._lock:
            taken = self._coming.pop(path, None)
            if taken is None:
                return None
            for late in [path for path, one in self._coming.items() if one.number < taken.number - _LATE]:
                self._coming.pop(late).content.cancel()
            self._fill()
        return taken.content

    def close(self) -> None:
        """Start no more fetches; do not wait for those that run."""
        with self._lock:
            self._files = enumerate(())
            self._coming.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fill(self) -> None:
        """Start the next fetches. One always runs, since a file may be larger than the whole limit."""
        room = _AHEAD_BYTES - sum(one.size for one in self._coming.values())
        while not self._coming or (room > 0 and len(self._coming) < _AHEAD):
            number, (path, size) = next(self._files, (0, ("", 0)))
            if not path:
                return
            self._coming[path] = _Fetch(number, size, self._pool.submit(self._fetch, path))
            room -= size
