"""A database is an SQLite file beside the runs, open as long as its block lasts."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from segqa.errors import StoreError


class Database:
    """A table in an SQLite file, made if it is not there; it may be read in one thread while it is written in another.

    Raises:
        StoreError: the file is no database; says what to do.
    """

    def __init__(self, path: Path, table: str, what: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=60, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(table)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise StoreError(f"cannot use the {what} in {path}: {error}; remove the file to start anew") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
