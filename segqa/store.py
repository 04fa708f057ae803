"""The store keeps runs: one folder each under `.segqa/runs/`, a `run.json` and one row a case in `cases.sqlite`.

Outcomes are committed batch by batch, so that a killed run loses the batch in flight and nothing else. Those of a large
run are turned into Parquet files once all are there (`cases/`, see `segqa.outcomes.blocks`).
"""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from filelock import FileLock, Timeout

from segqa.errors import StoreError
from segqa.outcome import Outcome
from segqa.outcomes.blocks import BLOCK, PartWriter, is_filed, table_of, tables
from segqa.outcomes.columns import Held
from segqa.outcomes.filed import Filed
from segqa.outcomes.gathering import Gathered, offer_numbers
from segqa.outcomes.outcomes import Outcomes
from segqa.run import Run, narrowing
from segqa.texts import Texts

RUN_VERSION = 2
"""Of the files of a run; a reader refuses others."""

LARGE = 1_000_000
"""A run of more cases is kept in Parquet files."""

_COLUMNS = (
    "case_id", "prompt", "tags", "properties", "digest", "proposals_key", "offers", "picked", "wanted", "size",
    "seconds", "cached", "note", "error", "pixels",
)  # fmt: skip
_PLAIN = ("case_id", "prompt", "digest", "proposals_key", "picked", "seconds", "note", "error", "pixels")
_SORTED = "SELECT * FROM outcomes ORDER BY case_id"
_SOME = "SELECT * FROM outcomes WHERE case_id IN (SELECT value FROM json_each(?)) ORDER BY case_id"
_HEADER, _ROWS, _PARTS = "run.json", "cases.sqlite", "cases"


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of runs.

    Attributes:
        root: usually `.segqa`; made when the first run is.
        large: a run of more cases is kept in Parquet files.
    """

    root: Path
    large: int = LARGE

    def run_folder(self, run_id: str) -> Path:
        """Where a run's files are."""
        return self.root / "runs" / run_id

    def proposals_path(self, run_id: str, *, shared: bool | None = None) -> Path:
        """Where the proposals of a run are: with those of all others, or, if it shares none, beside its own files.

        Args:
            run_id: the run.
            shared: which of the two; by default wherever they are.
        """
        own = self.run_folder(run_id) / "proposals.sqlite"
        keeps_own = own.exists() if shared is None else not shared
        return own if keeps_own else self.shared_proposals

    @property
    def shared_proposals(self) -> Path:
        """Where the proposals of all models are that have a fingerprint."""
        return self.root / "proposals.sqlite"

    def run_ids(self) -> list[str]:
        """All runs that have been begun, oldest first."""
        return sorted(path.parent.name for path in self.root.glob("runs/*/run.json"))

    def matching(self, begin: str) -> list[str]:
        """The run of this id, or those whose ids begin so, oldest first."""
        found = [run_id for run_id in self.run_ids() if run_id.startswith(begin)]
        return [begin] if begin in found else found

    def begin(self, run: Run, key: str) -> Run:
        """Make the folder of a run that has no outcomes yet.

        Args:
            run: its id is made unique here if it is taken.
            key: says which other runs this one could continue, see `unfinished`.

        Returns:
            The run under its final id.
        """
        try:
            folder = claim_folder(self.run_folder(run.id))
        except OSError as error:
            raise StoreError(f"cannot keep a run in {self.root}: {error}; choose another folder") from error
        run = replace(run, id=folder.name)
        with _cases(folder) as database:
            columns = ", ".join(_COLUMNS[1:])
            database.execute(f"CREATE TABLE outcomes (case_id TEXT PRIMARY KEY, {columns}) WITHOUT ROWID")
            database.execute("CREATE TABLE expected (case_id TEXT PRIMARY KEY) WITHOUT ROWID")
            database.executemany("INSERT INTO expected VALUES (?)", ((case_id,) for case_id in run.expected))
        self._write(run, key, finished=False)
        return run

    def append(self, run_id: str, outcomes: Iterable[Outcome]) -> None:
        """Commit outcomes, see `appending`."""
        with self.appending(run_id) as append:
            append(outcomes)

    @contextmanager
    def appending(self, run_id: str) -> Iterator[Callable[[Iterable[Outcome]], None]]:
        """A function that commits outcomes; when it returns they survive a `kill -9`."""
        marks = ", ".join("?" * len(_COLUMNS))
        statement = f"INSERT OR REPLACE INTO outcomes ({', '.join(_COLUMNS)}) VALUES ({marks})"  # noqa: S608 - constants
        with closing(_opened(self.run_folder(run_id))) as database:
            _add_pixels(database)

            def append(outcomes: Iterable[Outcome]) -> None:
                with database:
                    database.executemany(statement, [_row(outcome) for outcome in outcomes])

            yield append

    def done(self, run_id: str) -> list[str]:
        """The ids of the cases that have been evaluated without an error; of a run in part files, all."""
        folder = self.run_folder(run_id)
        if is_in_parts(folder):
            return list(Filed(folder / _PARTS).ids)
        with _cases(folder) as database:
            return [row["case_id"] for row in database.execute("SELECT case_id FROM outcomes WHERE error = ''")]

    def is_large(self, run_id: str, *, whole: int = 0) -> bool:
        """Whether a run is to be kept in part files, and is not yet.

        Args:
            run_id: the run, with its rows.
            whole: how many cases there are in all, where it is a part of them.
        """
        folder = self.run_folder(run_id)
        if is_in_parts(folder):
            return False
        with _cases(folder) as database:
            cases = database.execute("SELECT count(*) FROM expected").fetchone()[0]
        return bool(max(cases, whole) > self.large)

    def pack(self, run_id: str) -> None:
        """Turn the rows of a run into part files; nothing can be appended any more.

        Raises:
            StoreError: it has not all of its cases, or pyarrow is not installed.
        """
        folder = self.run_folder(run_id)
        with _cases(folder) as database:
            there, wanted = (
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - constants
                for table in ("outcomes", "expected")
            )
        if there != wanted:
            raise StoreError(f"run {run_id} has {there} of {wanted} cases; evaluate the others first")
        self.file(run_id, blocks(folder))

    def file(self, run_id: str, tables: Iterable[Any]) -> None:
        """Write all cases of a run as part files; they take the place of its rows.

        Args:
            run_id: the run.
            tables: its cases in the order of their ids, see `blocks`.
        """
        folder = self.run_folder(run_id)
        writer = PartWriter(folder / _PARTS)
        for table in tables:
            writer.add(table)
        writer.close()
        for end in ("", "-wal", "-shm"):
            (folder / f"{_ROWS}{end}").unlink(missing_ok=True)

    def finish(self, run: Run, key: str) -> None:
        """Write a run's provenance for good: it is complete."""
        self._write(run, key, finished=True)

    def load(self, run_id: str) -> Run:
        """A run, finished or not, with the outcomes that it has.

        Raises:
            StoreError: there is no such run, or its files are damaged or of another version.
        """
        self._header(run_id)
        return read_run(self.run_folder(run_id))

    def outcomes_of(self, run_id: str, case_ids: Collection[str]) -> Outcomes:
        """The outcomes of some cases, as far as a run has them, without reading those of all others.

        Raises:
            StoreError: as `load`.
        """
        self._header(run_id)
        folder = self.run_folder(run_id)
        if is_in_parts(folder):
            outcomes = Outcomes(Filed(folder / _PARTS))
            return outcomes.take(outcomes.ids.among(case_ids))
        with _reading(folder) as database:
            return Outcomes(_held(database.execute(_SOME, (json.dumps([*case_ids]),))))

    def unfinished(self, key: str) -> str | None:
        """The newest unfinished run with this key, if there is one."""
        return self._newest(key, finished=False)

    def finished(self, key: str) -> str | None:
        """The newest finished run with this key, if there is one: evaluating again would make the same."""
        return self._newest(key, finished=True)

    def with_others(self, runs: Iterable[Run]) -> list[Run]:
        """Some runs, after the last whole run of every other model over a data set of the same name."""
        runs = list(runs)
        models, names = {run.model for run in runs}, {run.dataset for run in runs}
        latest: dict[str, str] = {}
        for run_id, about in self._whole():
            if about["dataset"] in names and about["model"] not in models:
                latest.setdefault(about["model"], run_id)
        return [*self._loadable(latest.values()), *runs]

    def last_whole(self, model: str) -> str | None:
        """The id of the last finished run of a model over a whole data set; None where there is none."""
        return next((run_id for run_id, about in self._whole() if about["model"] == model), None)

    def recent(self, model: str, dataset: str, count: int) -> list[str]:
        """The ids of the last runs of a model over data sets of a name, the newest first."""
        runs = ((run_id, header["run"]) for run_id, header in self._headers())
        wanted = (model, dataset)
        return list(islice((run_id for run_id, run in runs if (run["model"], run["dataset"]) == wanted), count))

    def last_provenance(self, model: str) -> dict[str, Any] | None:
        """The provenance of the last finished run of a model, whatever part of a data set; None where there is none."""
        for _, header in self._headers():
            known: dict[str, Any] = header["run"]["provenance"]
            if header["finished"] and header["run"]["model"] == model and "answers_of" in known:
                return known
        return None

    def last_with(self, model: str, fingerprint: str) -> str | None:
        """The id of the last finished run of a model with this fingerprint over a whole data set; None for neither."""
        wanted = (model, fingerprint)
        known = ((run_id, about["model"], about["provenance"].get("fingerprint")) for run_id, about in self._whole())
        return next((run_id for run_id, *who in known if tuple(who) == wanted), None) if fingerprint else None

    def _headers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The ids and headers of the runs that can be read, the newest first."""
        for run_id in reversed(self.run_ids()):
            with suppress(StoreError):
                yield run_id, self._header(run_id)

    def _whole(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The ids of the finished runs over whole data sets, newest first, and what their headers say of them."""
        for run_id, header in self._headers():
            if header["finished"] and not narrowing(header["run"]["provenance"]):
                yield run_id, header["run"]

    def _loadable(self, run_ids: Iterable[str]) -> Iterator[Run]:
        """Those of some runs whose files are whole."""
        for run_id in run_ids:
            try:
                yield self.load(run_id)
            except StoreError:
                continue

    def is_finished(self, run_id: str) -> bool:
        """Whether every case of the run has been tried."""
        return bool(self._header(run_id)["finished"])

    @contextmanager
    def writing(self, run_id: str) -> Iterator[bool]:
        """Hold the right to write a run; yields False where another process has it."""
        lock = FileLock(self.run_folder(run_id) / "write.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _newest(self, key: str, *, finished: bool) -> str | None:
        """The newest run with this key that is finished, or is not."""
        wanted = (key, finished)
        found = (run_id for run_id, header in self._headers() if (header["key"], header["finished"]) == wanted)
        return next(found, None)

    def _header(self, run_id: str) -> dict[str, Any]:
        folder = self.run_folder(run_id)
        if not (folder / _HEADER).exists():
            raise StoreError(f"no run {run_id!r} in {self.root}; `segqa runs` lists them")
        return _header(folder)

    def _write(self, run: Run, key: str, *, finished: bool) -> None:
        fields = ("id", "model", "dataset", "pick", "empty", "threshold")
        described = {name: getattr(run, name) for name in fields}
        described |= {"edges": dict(run.edges), "provenance": dict(run.provenance)}
        header = {"version": RUN_VERSION, "finished": finished, "key": key, "run": described}
        write_whole(self.run_folder(run.id) / _HEADER, json.dumps(header, indent=2, ensure_ascii=False) + "\n")


def read_header(folder: Path) -> tuple[Run, bool]:
    """What a folder says of its run, of whatever store, but for the cases; and whether it is finished.

    Raises:
        StoreError: there is no run in it, or one that is damaged or of another version.
    """
    header = _header(folder)
    fields = header["run"]
    edges = {name: tuple(cuts) for name, cuts in fields.pop("edges").items()}
    return Run(expected=(), outcomes=(), edges=edges, **fields), bool(header["finished"])


def read_run(folder: Path) -> Run:
    """The run in a folder, of whatever store, finished or not, with the outcomes that it has; as `read_header`."""
    run, _ = read_header(folder)
    if is_in_parts(folder):
        outcomes = Outcomes(Filed(folder / _PARTS))
        return replace(run, expected=outcomes.ids, outcomes=outcomes)
    with _reading(folder) as database, _no_garbage():
        known = database.execute("SELECT case_id FROM expected ORDER BY case_id")
        expected = Texts.of(row["case_id"] for row in known)
        outcomes = Outcomes(_held(database.execute(_SORTED)))
    return replace(run, expected=outcomes.ids if expected == outcomes.ids else expected, outcomes=outcomes)


def is_in_parts(folder: Path) -> bool:
    """Whether the cases of the run in a folder are in part files."""
    return is_filed(folder / _PARTS)


def blocks(folder: Path) -> Iterator[Any]:
    """The outcomes of the run in a folder as tables of pyarrow's, sorted by id, some at a time.

    Raises:
        StoreError: its files are damaged.
    """
    if is_in_parts(folder):
        yield from tables(folder / _PARTS)
        return
    with _reading(folder) as database:
        rows = database.execute(_SORTED)
        while (held := _held(islice(rows, BLOCK))).ids:
            yield table_of(held)


def claim_folder(wanted: Path) -> Path:
    """Make a folder that nobody else has: the wanted one, or that name with a number behind it.

    Raises:
        OSError: it cannot be made.
    """
    number, folder = 1, wanted
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
        else:
            return folder


def write_whole(path: Path, text: str | Iterable[str]) -> None:
    """Write a file so that a reader sees the old or the new one, never a part, whatever happens in between.

    Args:
        path: of the file; its folder is made if it is not there.
        text: what is in it, or some parts of that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # not by `tempfile`, whose files are closed to everybody else
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _header(folder: Path) -> dict[str, Any]:
    path = folder / _HEADER
    try:
        header: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"no run in {folder}: expected a run's folder with {_HEADER} and cases.sqlite") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    if header.get("version") != RUN_VERSION:
        raise StoreError(f"{path} has version {header.get('version')}, expected {RUN_VERSION}; evaluate again")
    return header


@contextmanager
def _cases(folder: Path) -> Iterator[sqlite3.Connection]:
    """The cases of a run; what is written inside the block is one transaction."""
    with closing(_opened(folder)) as database, database:
        yield database


def _add_pixels(database: sqlite3.Connection) -> None:
    """Add the column of the digests of pixels to a run that an earlier version has begun."""
    if "pixels" not in {row["name"] for row in database.execute("PRAGMA table_info(outcomes)")}:
        database.execute("ALTER TABLE outcomes ADD COLUMN pixels TEXT NOT NULL DEFAULT ''")


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """The cases of a run, to be read.

    Raises:
        StoreError: they are damaged.
    """
    try:
        with _cases(folder) as database:
            yield database
    except sqlite3.DatabaseError as error:
        raise StoreError(f"cases of run {folder.name} are damaged: {error}") from error


def _opened(folder: Path) -> sqlite3.Connection:
    """The cases of a run; to be closed."""
    database = sqlite3.connect(folder / _ROWS, timeout=60)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA journal_mode = WAL")
    # safe against `kill -9`; what a power cut may take is the last outcomes, never the file
    database.execute("PRAGMA synchronous = NORMAL")
    return database


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Nothing that is made inside is garbage; to look for some among a million objects takes as long as making them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _held(rows: Iterable[Mapping[str, Any]]) -> Held:
    """Some rows as columns."""
    gathered = Gathered()
    for row in rows:
        _gather(row, gathered)
    return gathered.columns()


def _row(outcome: Outcome) -> tuple[Any, ...]:
    """An outcome as a row in the order of the columns; an error has no target (NULL), never zeros."""
    nothing = outcome.nothing
    values = {name: getattr(outcome, name) for name in _PLAIN}
    values |= {
        "tags": json.dumps(dict(outcome.tags), ensure_ascii=False),
        "properties": json.dumps(dict(outcome.properties)),
        "offers": json.dumps([offer_numbers(offer) for offer in outcome.offers]),
        "wanted": None if nothing is None else nothing.target,
        "size": None if nothing is None else nothing.target + nothing.tn,
        "cached": int(outcome.cached),
    }
    return tuple(values[column] for column in _COLUMNS)


def _gather(row: Mapping[str, Any], gathered: Gathered) -> None:
    """Put a row into the columns."""
    gathered.add_row(
        **{name: row[name] for name in ("case_id", "prompt", "digest", "picked", "wanted", "size", "seconds")},
        **{name: row[name] for name in ("note", "error")},
        tags=_tags(row["tags"]),
        properties=json.loads(row["properties"]),
        key=row["proposals_key"],
        # a run of an earlier version has none
        pixels=row["pixels"] if "pixels" in row.keys() else "",  # noqa: SIM118 - a row of SQLite looks among its values
        offers=json.loads(row["offers"]),
        cached=bool(row["cached"]),
    )


@lru_cache(maxsize=4096)
def _tags(text: str) -> Mapping[str, str]:
    """Tags from JSON; many outcomes get the same ones, so nobody can change them."""
    return MappingProxyType(json.loads(text))
