"""Turn errors of disk and database into messages that say what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segqa.errors import StoreError

ELSEWHERE = "--segqa-cache-dir keeps runs and answers in another folder, --segqa-no-cache leaves stored answers alone"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


@contextmanager
def explain_disk_errors(what: str, path: Path, damage: str) -> Iterator[None]:
    """Turn errors of disk and database inside the block into a `StoreError`.

    Args:
        what: the data that is read or written, such as `"proposals"`.
        path: the file that holds it.
        damage: the advice for a damaged file. A full, read-only or busy disk never calls for removing a file.

    Raises:
        StoreError: replaces `OSError`, `sqlite3.Error` and `UnicodeDecodeError`.
    """
    try:
        yield
    # UnicodeDecodeError: SQLite quotes damaged bytes in its message
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreError(
            f"cannot use the {what} in {path}: {_format_reason(error)}; {_advise(error, damage)}"
        ) from error


def _format_reason(error: Exception) -> str:
    """Return the reason without the path, which the message names already."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _advise(error: Exception, damage: str) -> str:
    """Return advice that fits the error."""
    name, code = str(getattr(error, "sqlite_errorname", "")), getattr(error, "errno", None)
    if name.startswith("SQLITE_FULL") or code in _FULL:
        return f"what was there before is whole; free some room on that disk; {ELSEWHERE}"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")) or code in _CLOSED:
        return f"make it writable; {ELSEWHERE}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return f"another process uses it: wait until that has ended; {ELSEWHERE}"
    if name.startswith("SQLITE_IOERR") or isinstance(error, OSError):
        return f"see that the disk is there, has room and can be written; {ELSEWHERE}"
    return damage
