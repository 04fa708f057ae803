"""Run store: a folder per run under `.segqa/runs/`, with `run.json` and one row per case in `cases.sqlite`.

Outcomes are committed batch by batch, so that a killed run loses the batch in flight and nothing else. Those of a large
run are turned into Parquet files once all are there (`cases/`, see `segqa.runs.parquet_blocks`). Everything that is
judged has a checksum (`segqa.runs.checksums`), and `order.json` says which run is the newest, whatever the clock says.
"""

from __future__ import annotations

import difflib
import json
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from segqa.errors import StoreError
from segqa.runs import sqlite_rows
from segqa.runs.checksums import EVALUATE_AGAIN, UNCHECKED_NOTE, add_checksum, hash_texts, require_checksum
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.parquet_blocks import BLOCK, PartWriter, has_parts, read_tables, to_table, verify_parts
from segqa.runs.parquet_columns import ParquetColumns
from segqa.runs.run import Run, find_narrowing
from segqa.support.disk_errors import explain_disk_errors
from segqa.support.plurals import format_count

RUN_VERSION = 2
"""Format version of the files of a run; a reader refuses others."""

LARGE = 1_000_000
"""Number of cases above which a run is kept in Parquet files."""

_HEADER, _PARTS, _ORDER = "run.json", "cases", "order.json"
_LISTED = 10

_LEFT_OUT = "run {} is left out: {}"


class _OtherVersionError(StoreError):
    """Error for a run of another version, which is not damage and not reported at every session."""


@dataclass(frozen=True, slots=True)
class Store:
    """Store of runs in a folder.

    Attributes:
        root: usually `.segqa`; created with the first run.
        large: a run of more cases is kept in Parquet files.
    """

    root: Path
    large: int = LARGE

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run."""
        return self.root / "runs" / run_id

    def proposals_path(self, run_id: str, *, shared: bool | None = None) -> Path:
        """Return the path of a run's proposals: the shared one, or beside its own files if it shares none.

        Args:
            run_id: the run.
            shared: which of the two; by default wherever they are.
        """
        own = self.run_folder(run_id) / "proposals.sqlite"
        keeps_own = own.exists() if shared is None else not shared
        return own if keeps_own else self.shared_proposals

    @property
    def shared_proposals(self) -> Path:
        """Path of the shared proposals of all models with a fingerprint."""
        return self.root / "proposals.sqlite"

    def run_ids(self) -> list[str]:
        """List all runs, oldest first: in the order in which they were begun or, if they are, finished.

        The store keeps that order itself, since a clock may be set back. Runs that it does not know (made by an earlier
        version, or copied here by hand) come first, by their ids.

        Raises:
            StoreError: the file of the order is damaged.
        """
        there = {path.parent.name for path in self.root.glob("runs/*/run.json")}
        ordered = [run_id for run_id in self._read_order() if run_id in there]
        return [*sorted(there.difference(ordered)), *ordered]

    def find_id(self, begin: str) -> str:
        """Return the id of the one run whose id is this or begins so.

        Raises:
            StoreError: there is no such run, or several; lists the newest of those that there are.
        """
        run_ids = self.run_ids()
        found = [run_id for run_id in run_ids if run_id.startswith(begin)]
        if begin in found:
            return begin
        if len(found) == 1:
            return found[0]
        if found:
            raise StoreError(f"{len(found)} runs begin with {begin!r}: {_list_newest(found)}; give more of the id")
        near = difflib.get_close_matches(begin, run_ids, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there: {_list_newest(run_ids)}"
        raise StoreError(f"no runs begin with {begin!r} in {self.root}; {hint}")

    def begin(self, run: Run, key: str) -> Run:
        """Create the folder of a run without outcomes.

        Args:
            run: its id is made unique here if it is taken.
            key: says which other runs this one could continue, see `unfinished`.

        Returns:
            The run under its final id.
        """
        with self._keep(run.id):
            folder = claim_folder(self.run_folder(run.id))
            run = replace(run, id=folder.name)
            sqlite_rows.create(folder, run.expected)
        self._write(run, key, {"expected": hash_texts(sorted(run.expected))}, finished=False)
        self._put_last(run.id)
        return run

    def append(self, run_id: str, outcomes: Iterable[Outcome]) -> None:
        """Commit outcomes, see `appending`."""
        with self.open_append(run_id) as append:
            append(outcomes)

    @contextmanager
    def open_append(self, run_id: str) -> Iterator[Callable[[Iterable[Outcome]], None]]:
        """Yield a function that commits outcomes. Once it returns, they survive a `kill -9`."""
        with self._keep(run_id):
            database = sqlite_rows.open_rows(self.run_folder(run_id))
        with closing(database):

            def append(outcomes: Iterable[Outcome]) -> None:
                with self._keep(run_id):
                    sqlite_rows.append(database, outcomes)

            with self._keep(run_id):
                sqlite_rows.prepare_to_append(database)
            yield append

    def read_done(self, run_id: str) -> list[str]:
        """Return the ids of the cases evaluated without an error; for a run in part files, all ids.

        Raises:
            StoreError: the run is damaged, so that it cannot be continued.
        """
        header, folder = self._read_header(run_id), self.run_folder(run_id)
        if is_in_parts(folder):
            verify_parts(folder / _PARTS)
            return list(ParquetColumns(folder / _PARTS).ids)
        _require_expected(header, folder, sqlite_rows.read_expected(folder))
        return sqlite_rows.read_done(folder)

    def is_large(self, run_id: str, *, whole: int = 0) -> bool:
        """Return whether a run should be packed into part files and is not yet.

        Args:
            run_id: the run, with its rows.
            whole: the total number of cases, where the run is a part of them.
        """
        folder = self.run_folder(run_id)
        if is_in_parts(folder):
            return False
        with self._keep(run_id), sqlite_rows.connect(folder) as database:
            cases = database.execute("SELECT count(*) FROM expected").fetchone()[0]
        return bool(max(cases, whole) > self.large)

    def pack(self, run_id: str) -> None:
        """Convert the rows of a run into part files. Nothing can be appended afterwards.

        Raises:
            StoreError: it has not all of its cases, or pyarrow is not installed.
        """
        folder = self.run_folder(run_id)
        with self._keep(run_id), sqlite_rows.connect(folder) as database:
            there, wanted = (
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - constants
                for table in ("outcomes", "expected")
            )
        if there != wanted:
            raise StoreError(f"run {run_id} has {there} of {wanted} cases; evaluate the others first")
        self.file(run_id, read_blocks(folder))

    def file(self, run_id: str, tables: Iterable[Any]) -> None:
        """Write all cases of a run as part files; they take the place of its rows.

        Args:
            run_id: the run.
            tables: its cases in the order of their ids, see `read_blocks`.
        """
        folder = self.run_folder(run_id)
        with self._keep(run_id):
            writer = PartWriter(folder / _PARTS)
            for table in tables:
                writer.add(table)
            writer.close()
            for end in ("", "-wal", "-shm"):
                (folder / f"{sqlite_rows.FILE}{end}").unlink(missing_ok=True)

    def finish(self, run: Run, key: str) -> None:
        """Write a run's provenance for good: it is complete, and the newest."""
        folder = self.run_folder(run.id)
        if is_in_parts(folder):
            cases = {"parts": verify_parts(folder / _PARTS)}
        else:
            cases = {"rows": sqlite_rows.read_digest(folder)}
        # before the header: a run that was killed in between is unfinished and the newest, never finished and older
        self._put_last(run.id)
        self._write(run, key, cases, finished=True)

    def update_header(self, run: Run) -> None:
        """Write the provenance of an unfinished run again."""
        header = self._read_header(run.id)
        self._write(run, header["key"], header["cases"], finished=False)

    def load(self, run_id: str) -> Run:
        """Load a run, finished or not, with its outcomes so far.

        Raises:
            StoreError: there is no such run, or its files are damaged or of another version.
        """
        self._read_header(run_id)
        return read_run(self.run_folder(run_id))

    def read_outcomes(self, run_id: str, case_ids: Collection[str]) -> Outcomes:
        """Read the outcomes of some cases, as far as a run has them, without reading all others.

        Raises:
            StoreError: as `load`.
        """
        self._read_header(run_id)
        folder = self.run_folder(run_id)
        if is_in_parts(folder):
            outcomes = Outcomes(ParquetColumns(folder / _PARTS))
            return outcomes.take(outcomes.ids.is_among(case_ids))
        return Outcomes(sqlite_rows.read_some(folder, case_ids))

    def find_unfinished(self, key: str) -> str | None:
        """Return the newest unfinished run with this key, if any."""
        return self._find_newest(key, finished=False)

    def find_finished(self, key: str) -> str | None:
        """Return the newest finished run with this key, if any: evaluating again would reproduce it."""
        return self._find_newest(key, finished=True)

    def add_other_models(self, runs: Iterable[Run], say: Callable[[str], None]) -> list[Run]:
        """Return the last whole run of every other model over a data set of the same name, then these runs.

        Args:
            runs: some runs.
            say: receives a line for each damaged run, which is left out.
        """
        runs = list(runs)
        models, names = {run.model for run in runs}, {run.dataset for run in runs}
        latest: dict[str, str] = {}
        for run_id, about in self._read_whole(say):
            if about["dataset"] in names and about["model"] not in models:
                latest.setdefault(about["model"], run_id)
        others = []
        for run_id in latest.values():
            try:
                others.append(self.load(run_id))
            except StoreError as error:
                say(_LEFT_OUT.format(run_id, error))
        return [*others, *runs]

    def find_last_whole(self, model: str) -> str | None:
        """Return the id of a model's last finished run over a whole data set; None without one."""
        return next((run_id for run_id, about in self._read_whole() if about["model"] == model), None)

    def find_recent(self, model: str, dataset: str, count: int) -> list[str]:
        """Return the ids of a model's last runs over data sets of a name, newest first."""
        runs = ((run_id, header["run"]) for run_id, header in self._read_headers())
        wanted = (model, dataset)
        return list(islice((run_id for run_id, run in runs if (run["model"], run["dataset"]) == wanted), count))

    def read_headers(self, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return the ids and headers of a model's runs, finished or not, newest first."""
        return ((run_id, header) for run_id, header in self._read_headers() if header["run"]["model"] == model)

    def find_last_with(self, model: str, fingerprint: str) -> str | None:
        """Return the id of the last finished whole run of a model with this fingerprint; None without one."""
        wanted = (model, fingerprint)
        known = (
            (run_id, about["model"], about["provenance"].get("fingerprint")) for run_id, about in self._read_whole()
        )
        return next((run_id for run_id, *who in known if tuple(who) == wanted), None) if fingerprint else None

    def _read_headers(self, say: Callable[[str], None] = lambda _: None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the ids and headers of the readable runs, newest first, and report each damaged run in a line."""
        for run_id in reversed(self.run_ids()):
            try:
                header = self._read_header(run_id)
            except _OtherVersionError:
                continue
            except StoreError as error:
                say(_LEFT_OUT.format(run_id, error))
                continue
            yield run_id, header

    def _read_whole(self, say: Callable[[str], None] = lambda _: None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the ids and header contents of the finished runs over whole data sets, newest first."""
        for run_id, header in self._read_headers(say):
            if header["finished"] and not find_narrowing(header["run"]["provenance"]):
                yield run_id, header["run"]

    def is_finished(self, run_id: str) -> bool:
        """Return whether every case of the run has been tried."""
        return bool(self._read_header(run_id)["finished"])

    @contextmanager
    def hold_write_lock(self, run_id: str) -> Iterator[bool]:
        """Hold the write lock of a run. Yield False where another process holds it."""
        lock = FileLock(self.run_folder(run_id) / "write.lock")
        with self._keep(run_id), suppress(Timeout):
            lock.acquire(blocking=False)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def _find_newest(self, key: str, *, finished: bool) -> str | None:
        """Return the newest finished (or unfinished) run with this key."""
        wanted = (key, finished)
        found = (run_id for run_id, header in self._read_headers() if (header["key"], header["finished"]) == wanted)
        return next(found, None)

    def _read_header(self, run_id: str) -> dict[str, Any]:
        folder = self.run_folder(run_id)
        if not (folder / _HEADER).exists():
            raise StoreError(f"no run {run_id!r} in {self.root}; `segqa runs` lists them")
        return _read_header(folder)

    def _read_order(self) -> list[str]:
        """Read the ids of the runs begun or finished here, in that order; some may have been removed since."""
        path = self.root / _ORDER
        advice = "remove it, and the runs are ordered by their ids: by the clock of the machine that made them"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            require_checksum(document, path, advice, is_new=True)
            return [str(run_id) for run_id in document["runs"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} is damaged: {error}; {advice}") from error

    def _put_last(self, run_id: str) -> None:
        """Move a run to the end of the order."""
        with (
            explain_disk_errors("list of runs", self.root / _ORDER, EVALUATE_AGAIN),
            FileLock(self.root / "order.lock"),
        ):
            others = [each for each in self._read_order() if each != run_id and self.run_folder(each).is_dir()]
            write_whole(self.root / _ORDER, json.dumps(add_checksum({"runs": [*others, run_id]})) + "\n")

    def _write(self, run: Run, key: str, cases: Mapping[str, str], *, finished: bool) -> None:
        fields = ("id", "model", "dataset", "pick", "empty", "threshold")
        described = {name: getattr(run, name) for name in fields}
        described |= {"edges": dict(run.edges), "provenance": dict(run.provenance)}
        header = {"version": RUN_VERSION, "finished": finished, "key": key, "run": described, "cases": dict(cases)}
        text = json.dumps(add_checksum(header), indent=2, ensure_ascii=False)
        with self._keep(run.id):
            write_whole(self.run_folder(run.id) / _HEADER, f"{text}\n")

    def _keep(self, run_id: str) -> AbstractContextManager[None]:
        """Convert disk errors while writing a run into a `StoreError`."""
        return explain_disk_errors(f"files of run {run_id}", self.run_folder(run_id), EVALUATE_AGAIN)


def read_header(folder: Path) -> tuple[Run, bool]:
    """Read the run in a folder of any store without its cases, and whether it is finished.

    Raises:
        StoreError: there is no run in it, or one that is damaged or of another version.
    """
    header = _read_header(folder)
    try:
        fields = dict(header["run"])
        edges = {name: tuple(cuts) for name, cuts in fields.pop("edges").items()}
        return Run(expected=(), outcomes=(), edges=edges, **fields), bool(header["finished"])
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{folder / _HEADER} is damaged: it has no {error}; {EVALUATE_AGAIN}") from error


def read_run(folder: Path) -> Run:
    """Read the run in a folder of any store, finished or not, with its outcomes; as `read_header`.

    Whatever was damaged in it is refused, see `segqa.runs.checksums`; of a run of an earlier version, as far as its
    counts tell.
    """
    run, _ = read_header(folder)
    header = _read_header(folder)
    if is_in_parts(folder):
        _require_digest(header, folder, "parts", verify_parts(folder / _PARTS))
        outcomes = Outcomes(ParquetColumns(folder / _PARTS))
        return replace(run, expected=outcomes.ids, outcomes=outcomes)
    expected, held, digest = sqlite_rows.read(folder)
    _require_expected(header, folder, expected)
    _require_digest(header, folder, "rows", digest)
    outcomes = Outcomes(held)
    return replace(run, expected=outcomes.ids if expected == outcomes.ids else expected, outcomes=outcomes)


def find_unchecked(folder: Path) -> str:
    """Say what cannot be checked of the finished run in a folder, of whatever store; empty where all can."""
    header = _read_header(folder)
    has_all = "checksum" in header and any(header.get("cases", {}).values())
    return "" if has_all or not header["finished"] else UNCHECKED_NOTE.format(folder.name)


def is_in_parts(folder: Path) -> bool:
    """Return whether the cases of the run in a folder are in part files."""
    return has_parts(folder / _PARTS)


def read_blocks(folder: Path) -> Iterator[Any]:
    """Yield the outcomes of the run in a folder as Arrow tables, sorted by id.

    Raises:
        StoreError: its files are damaged.
    """
    if is_in_parts(folder):
        yield from read_tables(folder / _PARTS)
        return
    yield from map(to_table, sqlite_rows.read_blocks(folder, BLOCK))


def claim_folder(wanted: Path) -> Path:
    """Create a new folder: the requested one, or its name with a number appended.

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
    """Write a file atomically: a reader sees the old or the new content, never a part.

    Args:
        path: of the file; a missing folder is created.
        text: the content, or its parts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # not `tempfile`, whose files only their owner can read
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        # escaping what UTF-8 cannot encode is better than a missing file
        with temporary.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _list_newest(run_ids: Sequence[str]) -> str:
    """Return the newest of many ids, given oldest first, as readable text."""
    more = f" and {format_count(len(run_ids) - _LISTED, 'older one')}" if len(run_ids) > _LISTED else ""
    return (", ".join(run_ids[: -_LISTED - 1 : -1]) or "none") + more


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / _HEADER
    try:
        header: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"no run in {folder}: expected a run's folder with {_HEADER} and cases.sqlite") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("version") != RUN_VERSION:
        raise _refuse_version(header, path)
    require_checksum(header, path)
    if not _is_header(header):
        raise StoreError(f"{path} is damaged: it does not say what the run is of; {EVALUATE_AGAIN}")
    return header


def _refuse_version(header: object, path: Path) -> StoreError:
    """Return the error for a header of another version or a damaged one."""
    came = header.get("version") if isinstance(header, dict) else header
    text = f"{path} has version {came}, expected {RUN_VERSION}; evaluate again"
    if not isinstance(header, dict) or not isinstance(came, int):
        return StoreError(text)
    require_checksum(header, path)
    return _OtherVersionError(text)


def _is_header(header: Mapping[str, Any]) -> bool:
    """Return whether a header has all fields by which runs are found; earlier versions have no checksum."""
    run = header.get("run")
    if not isinstance(run, dict) or not isinstance(run.get("provenance"), dict):
        return False
    texts = (header.get("key"), *(run.get(name) for name in ("id", "model", "dataset")))
    tables = (header.get("cases", {}), run["provenance"].get("options", {}))
    are_read = all(isinstance(each, str) for each in texts) and all(isinstance(each, dict) for each in tables)
    return are_read and isinstance(header.get("finished"), bool)


def _require_expected(header: Mapping[str, Any], folder: Path, expected: Iterable[str]) -> None:
    """Refuse an unfinished run whose list of cases was changed; that of a finished one is part of its digest."""
    wanted = header.get("cases", {}).get("expected")
    if wanted and wanted != hash_texts(expected):
        raise StoreError(f"run {folder.name} is damaged: the list of its cases was changed; {EVALUATE_AGAIN}")


def _require_digest(header: Mapping[str, Any], folder: Path, what: str, digest: str) -> None:
    """Refuse a finished run that does not have just the outcomes that it was finished with, as rows or as parts.

    Rows that became parts since then were checked on the way, and the index of the parts has a checksum of its own.
    """
    wanted = header.get("cases", {}).get(what)
    if wanted and wanted != digest:
        raise StoreError(f"run {folder.name} is damaged: outcomes were lost, added or changed; {EVALUATE_AGAIN}")
