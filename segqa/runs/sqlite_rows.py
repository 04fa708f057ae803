"""Outcomes as rows of an SQLite file, one a case: they can be appended batch by batch, and each has a checksum."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from segqa.data.string_columns import StringColumn
from segqa.errors import StoreError
from segqa.runs.checksums import EVALUATE_AGAIN, compute_checksum, hash_texts, require_counts
from segqa.runs.outcome import Outcome
from segqa.runs.outcome_columns import ColumnBuilder, MemoryColumns, to_numbers
from segqa.support.disk_errors import explain_disk_errors
from segqa.support.escaping import to_utf8

FILE = "cases.sqlite"
"""Its name in the folder of a run."""

_COLUMNS = (
    "case_id", "prompt", "tags", "properties", "digest", "proposals_key", "offers", "picked", "wanted", "size",
    "seconds", "cached", "note", "error", "pixels",
)  # fmt: skip
_PLAIN = ("case_id", "prompt", "digest", "proposals_key", "picked", "note", "error", "pixels")
_ADDED = ("pixels", "checksum")
"""Columns that a file of an earlier version does not have."""
_SORTED = "ORDER BY case_id"
_AMONG = "WHERE case_id IN (SELECT value FROM json_each(?)) ORDER BY case_id"


def create(folder: Path, expected: Iterable[str]) -> None:
    """Make the file of a run that has no outcomes yet."""
    # the one place where the file may not be there yet
    (folder / FILE).touch()
    with connect(folder) as database:
        columns = ", ".join([*_COLUMNS[1:], "checksum"])
        database.execute(f"CREATE TABLE outcomes (case_id TEXT PRIMARY KEY, {columns}) WITHOUT ROWID")
        database.execute("CREATE TABLE expected (case_id TEXT PRIMARY KEY) WITHOUT ROWID")
        database.executemany("INSERT INTO expected VALUES (?)", ((case_id,) for case_id in expected))


@contextmanager
def connect(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the file of a run; all writes inside the block are one transaction."""
    with closing(open_rows(folder)) as database, database:
        yield database


def open_rows(folder: Path) -> sqlite3.Connection:
    """Open the file of a run; the caller closes it. A folder that cannot be written can be read."""
    path = folder / FILE
    how = "mode=rw" if os.access(folder, os.W_OK) and os.access(path, os.W_OK) else "mode=ro"
    # nobody can write beside a reader there, and a file that nobody has left unfinished needs no other files to be read
    how += "&immutable=1" if how == "mode=ro" and not path.with_name(f"{FILE}-wal").exists() else ""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", timeout=60, uri=True)
    database.row_factory = sqlite3.Row
    if how == "mode=rw":
        database.execute("PRAGMA journal_mode = WAL")
        # safe against `kill -9`; what a power cut may take is the last outcomes, never the file
        database.execute("PRAGMA synchronous = NORMAL")
    return database


def prepare_to_append(database: sqlite3.Connection) -> None:
    """Add what the file of a run of an earlier version does not have."""
    with database:
        for name in _find_missing_columns(database):
            database.execute(f"ALTER TABLE outcomes ADD COLUMN {name}")


def append(database: sqlite3.Connection, outcomes: Iterable[Outcome]) -> None:
    """Commit outcomes; a case that is there already is replaced."""
    names = [*_COLUMNS, "checksum"]
    marks = ", ".join("?" * len(names))
    statement = f"INSERT OR REPLACE INTO outcomes ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - constants
    rows = [_to_row(outcome) for outcome in outcomes]
    with database:
        database.executemany(statement, [(*row, compute_checksum(row)) for row in rows])


def read_done(folder: Path) -> list[str]:
    """Return the ids of the cases that have been evaluated without an error.

    Raises:
        StoreError: a row is damaged.
    """
    with _open_for_reading(folder) as database:
        return [row["case_id"] for row in _verify(database, folder, _SORTED) if not row["error"]]


def read_expected(folder: Path) -> StringColumn:
    """Return the sorted ids of all expected cases.

    Raises:
        StoreError: the file is damaged.
    """
    with _open_for_reading(folder) as database:
        return _read_expected(database)


def read(folder: Path) -> tuple[StringColumn, MemoryColumns, str]:
    """Read all rows of a run.

    Returns:
        The ids of the expected cases, the outcomes, and the digest of both (empty without checksums).

    Raises:
        StoreError: the file is damaged.
    """
    with _open_for_reading(folder) as database, _pause_garbage_collection():
        expected = _read_expected(database)
        checksums: list[int | None] = []
        held = _build_columns(_verify(database, folder, _SORTED, checksums=checksums))
    require_counts(held, f"run {folder.name}")
    return expected, held, _compute_digest(expected, checksums)


def read_digest(folder: Path) -> str:
    """Return the digest of all rows as `read` does, without building outcomes."""
    with _open_for_reading(folder) as database:
        expected = _read_expected(database)
        checksums: list[int | None] = []
        for _ in _verify(database, folder, _SORTED, checksums=checksums):
            pass
    return _compute_digest(expected, checksums)


def read_some(folder: Path, case_ids: Iterable[str]) -> MemoryColumns:
    """Read the rows of some cases; as `read`."""
    with _open_for_reading(folder) as database:
        return _build_columns(_verify(database, folder, _AMONG, (json.dumps([*case_ids]),)))


def read_blocks(folder: Path, size: int) -> Iterator[MemoryColumns]:
    """Yield blocks of rows in the order of their ids; as `read`."""
    with _open_for_reading(folder) as database:
        rows = _verify(database, folder, _SORTED)
        while (held := _build_columns(islice(rows, size))).ids:
            require_counts(held, f"run {folder.name}")
            yield held


@contextmanager
def _open_for_reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the file of a run for reading.

    Raises:
        StoreError: it is damaged: what is read from it cannot be what was written.
    """
    path = folder / FILE
    if not path.exists():
        raise StoreError(f"cases of run {folder.name} are damaged: {path} is not there; {EVALUATE_AGAIN}")
    try:
        with (
            explain_disk_errors("cases", path, f"cases of run {folder.name} are damaged: {EVALUATE_AGAIN}"),
            connect(folder) as database,
        ):
            yield database
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise StoreError(f"cases of run {folder.name} are damaged: {error}; {EVALUATE_AGAIN}") from error


def _read_expected(database: sqlite3.Connection) -> StringColumn:
    found = database.execute(f"SELECT case_id FROM expected {_SORTED}")  # noqa: S608 - a constant
    return StringColumn.from_strings(row["case_id"] for row in found)


def _find_missing_columns(database: sqlite3.Connection) -> list[str]:
    """Return the columns that a file of an earlier version lacks."""
    there = {row["name"] for row in database.execute("PRAGMA table_info(outcomes)")}
    return [name for name in _ADDED if name not in there]


def _verify(
    database: sqlite3.Connection,
    folder: Path,
    which: str,
    values: Sequence[str] = (),
    *,
    checksums: list[int | None] | None = None,
) -> Iterator[sqlite3.Row]:
    """Yield rows after verifying their checksums.

    Args:
        database: the file.
        folder: of the run.
        which: rows, in SQL.
        values: for that.
        checksums: gets those of the rows; None for a row of an earlier version.

    Raises:
        StoreError: a row does not match its checksum; names the case.
    """
    missing, many = _find_missing_columns(database), len(_COLUMNS)
    columns = ", ".join(f"NULL AS {name}" if name in missing else name for name in (*_COLUMNS, "checksum"))
    for row in database.execute(f"SELECT {columns} FROM outcomes {which}", values):  # noqa: S608 - constants
        kept = row[many]
        if kept is not None and kept != compute_checksum(row[:many]):
            raise StoreError(
                f"run {folder.name} is damaged: case {row[0]!r} does not match its checksum; {EVALUATE_AGAIN}"
            )
        if checksums is not None:
            checksums.append(kept)
        yield row


def _compute_digest(expected: Iterable[str], checksums: Sequence[int | None]) -> str:
    """Return a digest of the expected ids and all rows; empty where a row has no checksum."""
    if None in checksums:
        return ""
    return hash_texts([*expected, "", *checksums])


@contextmanager
def _pause_garbage_collection() -> Iterator[None]:
    """Pause garbage collection inside the block, where a million new objects would double the time for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _build_columns(rows: Iterable[sqlite3.Row]) -> MemoryColumns:
    """Return some rows as columns."""
    gathered = ColumnBuilder()
    for row in rows:
        _add_row(row, gathered)
    return gathered.build()


def _to_row(outcome: Outcome) -> tuple[Any, ...]:
    """Return an outcome as a row in column order. An error has NULL for the target, never zeros.

    Errors and notes quote names of files and what others have raised: they are escaped here, for all that is stored.
    """
    nothing = outcome.empty_prediction
    values = {name: getattr(outcome, name) for name in _PLAIN}
    values |= {
        "tags": json.dumps(dict(outcome.tags), ensure_ascii=False),
        "properties": json.dumps(dict(outcome.properties)),
        "offers": json.dumps([to_numbers(offer) for offer in outcome.proposal_scores]),
        "wanted": None if nothing is None else nothing.target,
        "size": None if nothing is None else nothing.target + nothing.tn,
        # what is read back is compared as text, where 1 and 1.0 differ
        "seconds": float(outcome.seconds),
        "cached": int(outcome.cached),
    }
    found = (values[column] for column in _COLUMNS)
    return tuple(to_utf8(value) if isinstance(value, str) else value for value in found)


def _add_row(row: sqlite3.Row, gathered: ColumnBuilder) -> None:
    """Add a row to the columns."""
    gathered.add_row(
        **{name: row[name] for name in ("case_id", "prompt", "digest", "picked", "size", "seconds")},
        **{name: row[name] for name in ("note", "error")},
        tags=_parse_tags(row["tags"]),
        properties=json.loads(row["properties"]),
        target_area=row["wanted"],
        key=row["proposals_key"],
        pixels=row["pixels"] or "",
        proposal_scores=json.loads(row["offers"]),
        cached=bool(row["cached"]),
    )


@lru_cache(maxsize=4096)
def _parse_tags(text: str) -> Mapping[str, str]:
    """Parse tags from JSON. The mapping is read-only because many outcomes share it."""
    return MappingProxyType(json.loads(text))
