"""What goes wrong with the disk is one sentence, and only damage is mended by removing a file."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from segqa.analysis.data_audit.case_stats import CaseStatsCache
from segqa.errors import StoreError
from segqa.inference.property_cache import PropertyCache
from segqa.inference.proposal_cache import ProposalCache
from segqa.report.session_result import SessionResult, write_ending
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.scoring.properties import CaseProperties
from segqa.support.disk_errors import explain_disk_errors
from segqa.support.sqlite import Database

ELSEWHERE = r"--segqa-cache-dir keeps .*, --segqa-no-cache leaves .*"


def explain(error: Exception) -> str:
    with pytest.raises(StoreError) as raised, explain_disk_errors("answers", Path("x.sqlite"), "remove the file"):
        raise error
    return str(raised.value)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO])
def test_no_error_of_the_disk_is_mended_by_removing_a_file(code: int) -> None:
    text = explain(OSError(code, os.strerror(code), "x.sqlite"))
    assert "remove" not in text
    assert text.startswith(f"cannot use the answers in x.sqlite: {os.strerror(code)}; ")
    assert "--segqa-cache-dir" in text
    assert "--segqa-no-cache" in text


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(path, timeout=0)) as other:
        one.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as raised:
            other.execute("CREATE TABLE a (b)")
    text = explain(raised.value)
    assert "another process uses it: wait" in text
    assert "remove" not in text


def test_damage_is(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"no database at all" * 100)
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as one, pytest.raises(sqlite3.DatabaseError) as raised:
        one.execute("CREATE TABLE a (b)")
    assert explain(raised.value) == "cannot use the answers in x.sqlite: file is not a database; remove the file"


def put_properties(store: Store) -> None:
    with PropertyCache(store.root / "properties.sqlite") as cache:
        cache.put((number.to_bytes(64, "big"), CaseProperties({"brightness": 0.5}, "a" * 900)) for number in range(900))


def append_cases(store: Store) -> None:
    run = store.begin(Run("s", "m", "d", ["a"], (), "first"), "k")
    store.append(run.id, [Outcome(case_id="a", error="x" * 300_000)])


FULL: dict[str, Callable[[Store], object]] = {
    "properties": put_properties,
    "a run": lambda store: store.begin(Run("r", "m", "d", [f"{n:0500}" for n in range(900)], (), "first"), "k"),
    "cases": append_cases,
    "the result": lambda store: write_ending(SessionResult(findings=("x" * 300_000,)), store, "r"),
}


@pytest.mark.parametrize("what", FULL)
def test_a_full_disk_is_a_sentence(tmp_path: Path, what: str) -> None:
    """In a process of its own, whose files may have 200 kB: as a full disk, it is felt where something is written."""
    store = Store(tmp_path / ".segqa")
    store.begin(Run("r", "m", "d", ["a"], (), "first"), "k")
    text = f"from tests.support.test_disk_errors import fill; fill({str(store.root)!r}, {what!r})"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("cannot use the "), done.stdout + done.stderr
    assert "remove" not in done.stdout
    assert "--segqa-cache-dir" in done.stdout


def fill(root: str, what: str) -> None:
    """Do one of the above where files may have 200 kB; prints the sentence."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        FULL[what](Store(Path(root)))
    except StoreError as error:
        sys.stdout.write(str(error))


@pytest.mark.parametrize("kind", [ProposalCache, PropertyCache, CaseStatsCache])
def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, kind: Callable[[Path], Database]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=ELSEWHERE) as raised:
        kind(tmp_path / "file" / "x.sqlite")
    assert "remove" not in str(raised.value)


def test_a_run_in_a_folder_that_cannot_be_written_is_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / ".segqa")
        run = store.begin(Run("r", "m", "d", ["a"], (), "first"), "k")
        store.append(run.id, [Outcome(case_id="a", error="no")])
        store.finish(run, "k")
        paths = [*Path(folder).rglob("*"), Path(folder)]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        text = f"from tests.support.test_disk_errors import read_only; read_only({str(store.root)!r})"
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
        for path in paths:
            path.chmod(0o755)
    assert done.stdout.splitlines()[0] == "no", done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 4, done.stdout + done.stderr
    for line in done.stdout.splitlines()[1:]:
        assert line.startswith("cannot use the ")
        assert "make it writable" in line
        assert "remove" not in line


def read_only(root: str) -> None:
    """Read a run where nothing can be written, and try to write; prints the sentences."""
    store = Store(Path(root))
    if os.getuid() == 0:  # who may write anywhere
        os.setuid(65534)
    sys.stdout.write(f"{store.load('r').outcomes[0].error}\n")
    tries: list[Callable[[], object]] = [
        lambda: store.append("r", [Outcome(case_id="a", error="no")]),
        lambda: store.begin(Run("s", "m", "d", ["a"], (), "first"), "k"),
        lambda: put_properties(store),
    ]
    for attempt in tries:
        try:
            attempt()
        except StoreError as error:
            sys.stdout.write(f"{error}\n")
