"""A database is an SQLite file beside the runs, open as long as its block lasts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segqa.errors import StoreError


class Database:
    """Tables in an SQLite file, made if they are not there; one thread may read while another writes.

    Raises:
        StoreError: the file is no database; says what to do.
    """

    def __init__(self, path: Path, what: str, *tables: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._what = f"{what} in {path}"
        self._database = sqlite3.connect(path, timeout=60, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            # safe against `kill -9`; what a power cut may take is the last answers, never the file
            self._database.execute("PRAGMA synchronous = NORMAL")
            for table in tables:
                self._database.execute(table)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise StoreError(f"cannot use the {what} in {path}: {error}; remove the file to start anew") from error

    def _add_columns(self, table: str, columns: Mapping[str, str]) -> None:
        """Add the columns that a file of an earlier version does not have."""
        try:
            there = {row[1] for row in self._database.execute(f"PRAGMA table_info({table})")}
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise StoreError(f"cannot read the {self._what}: {error}; remove the file to start anew") from error
        for name in columns.keys() - there:
            with suppress(sqlite3.OperationalError):  # another process has just done so
                self._database.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    def _find(self, query: str, *values: bytes) -> tuple[Any, ...] | None:
        """The first row that a query finds; None where there is none.

        Raises:
            StoreError: the file is damaged; says what to do.
        """
        try:
            row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"cannot read the {self._what}: {error}; remove the file to start anew") from error
        return row

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction: all of it or, if it fails, nothing.

        Raises:
            StoreError: it cannot be written.
        """
        try:
            with self._database:
                yield
        except sqlite3.OperationalError as error:
            raise StoreError(f"cannot write the {self._what}: {error}; what was there before is whole") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
