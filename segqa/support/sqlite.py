"""Open SQLite files beside the runs, with errors that say what to do."""

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
    """Tables in an SQLite file, created if missing; one thread may read while another writes.

    Use it as a context manager, which closes the file. Every error of the file becomes a `StoreError` that says what
    to do.

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
        """Return the first row of a query; None if it has no rows."""
        with self._explain_errors():
            row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        return row

    def _find_all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._explain_errors():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _open_transaction(self) -> Iterator[None]:
        """Run the block as one transaction, which is rolled back if the block fails."""
        with self._explain_errors(), self._database:
            yield

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Turn errors of disk and database inside the block into a `StoreError`."""
        with explain_disk_errors(self._what, self._path, _DAMAGE):
            yield

    @contextmanager
    def _close_on_error(self) -> Iterator[None]:
        """Explain errors like `_explain_errors`, and close the database if the block fails."""
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
