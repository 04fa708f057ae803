"""A database is an SQLite file beside the runs, open as long as its block lasts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segqa.support.disk_errors import explain_disk_errors

_DAMAGE = "remove the file to start anew"


class Database:
    """Tables in an SQLite file, made if they are not there; one thread may read while another writes.

    Whatever goes wrong with the file is a `StoreError` that says what to do.

    Raises:
        StoreError: the file is no database, the disk is full or cannot be written, or another process has it locked.
    """

    def __init__(self, path: Path, what: str, *tables: str) -> None:
        self._what, self._path = what, path
        with self._explain_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60, check_same_thread=False)
            # text that was damaged is read as other text, which no checksum matches, and does not raise
            self._database.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
        with self._close_on_error():
            self._database.execute("PRAGMA journal_mode = WAL")
            # safe against `kill -9`; what a power cut may take is the last answers, never the file
            self._database.execute("PRAGMA synchronous = NORMAL")
            for table in tables:
                self._database.execute(table)

    def _add_columns(self, table: str, columns: Mapping[str, str]) -> None:
        """Add the columns that a file of an earlier version does not have."""
        with self._close_on_error():
            there = {row[1] for row in self._database.execute(f"PRAGMA table_info({table})")}
            for name in columns.keys() - there:
                with suppress(sqlite3.OperationalError):  # another process has just done so
                    self._database.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    def _find(self, query: str, *values: object) -> tuple[Any, ...] | None:
        """The first row that a query finds; None where there is none."""
        with self._explain_errors():
            row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        return row

    def _find_all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""
        with self._explain_errors():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _open_transaction(self) -> Iterator[None]:
        """A transaction: all of it or, if it fails, nothing; what was there before is whole."""
        with self._explain_errors(), self._database:
            yield

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Errors of the disk as a `StoreError`."""
        with explain_disk_errors(self._what, self._path, _DAMAGE):
            yield

    @contextmanager
    def _close_on_error(self) -> Iterator[None]:
        """The same while it is being opened: where that fails, it is closed."""
        try:
            with self._explain_errors():
                yield
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # on a full disk even closing may fail, since it moves what is new into the file
        with self._explain_errors():
            self._database.close()
