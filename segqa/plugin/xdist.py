"""Share an evaluation between the workers of pytest-xdist: one evaluates under a lock, the others load its run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock, Timeout

from segqa.errors import StoreError
from segqa.plugin.session import Session
from segqa.plugin.xdist_messages import is_worker, read_input
from segqa.runs.run import Run
from segqa.runs.store import Store, write_whole
from segqa.support.disk_errors import explain_disk_errors
from segqa.support.escaping import to_file_name

if TYPE_CHECKING:  # not every session asks for it
    from segqa.analysis.robustness.result import Robustness


_AGAIN = "start again"

_LEFT = 24 * 3600.0
"""Seconds after which a session that holds no lock and has written nothing counts as ended."""


def share_run(config: pytest.Config, store: Store, model: str, evaluate: Callable[[], Run]) -> Run:
    """Return the run of a model: the first process evaluates it, the others load it."""
    if not is_worker(config):
        return evaluate()
    return store.load(_make_once(config, store, model, "run", lambda: evaluate().id))


def share_robustness(
    config: pytest.Config, session: Session, model: str, measure: Callable[[], Robustness]
) -> Robustness:
    """Return the robustness of a model: the first process measures it, the others load it."""
    from segqa.analysis.robustness.result import read_robustness

    found = None
    if not is_worker(config):
        found = measure()
    else:
        run_id = _make_once(config, session.store, model, "changed", lambda: measure().run)
        found = read_robustness(session.store, run_id)
    if found is None:
        raise StoreError(f"the robustness of {model} has been removed meanwhile; start again")
    session.robustness[model] = replace(found, command=session.command)
    return session.robustness[model]


def gather_runs(config: pytest.Config, session: Session) -> None:
    """Load the runs of the workers in the controller."""
    distributed = config.pluginmanager.getplugin("dsession")
    if distributed is None:
        return
    folder = _find_session_folder(session.store, distributed.nodemanager.testrunuid)
    try:
        for model in session.chosen_models:
            _gather_model(session, model, folder)
    except StoreError as error:
        session.problem = session.problem or str(error)
    shutil.rmtree(folder, ignore_errors=True)


def _gather_model(session: Session, model: str, folder: Path) -> None:
    """Load the run and the robustness of a model that the workers made."""
    run, changed = _find_pointer(folder, model, "run"), _find_pointer(folder, model, "changed")
    if run.exists():
        session.runs[model] = session.store.load(run.read_text(encoding="utf-8"))
    if changed.exists():
        _gather_robustness(session, model, changed.read_text(encoding="utf-8"))


def forget_session(store: Store, test_run: str) -> None:
    """Remove the runs that an earlier session with the same id (`--testrunuid`) has shared."""
    shutil.rmtree(_find_session_folder(store, test_run), ignore_errors=True)


def remove_leftovers(store: Store) -> None:
    """Remove the folders of killed sessions: those without a held lock that were last written to a day ago.

    A running session holds the lock of its evaluation, or has just written its run.
    """
    for folder in (store.root / "sessions").glob("*/"):
        with suppress(OSError):
            newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
            if time.time() - newest > _LEFT and not any(map(_is_held, folder.glob("*.lock"))):
                shutil.rmtree(folder, ignore_errors=True)


def _is_held(path: Path) -> bool:
    """Return whether a process holds a lock."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def _gather_robustness(session: Session, model: str, run_id: str) -> None:
    from segqa.analysis.robustness.result import read_robustness

    found = read_robustness(session.store, run_id)
    if found is not None:
        session.robustness[model] = replace(found, command=session.command)


def _make_once(config: pytest.Config, store: Store, model: str, what: str, make: Callable[[], str]) -> str:
    """Return the id of a model's run: the first worker makes the run, the others read the id."""
    folder = _find_session_folder(store, read_input(config, "testrunuid"))
    pointer = _find_pointer(folder, model, what)
    # a worker that dies here loses the lock, and the next one resumes its run
    with hold_lock(pointer.with_name(f"{pointer.name}.lock")):
        if not pointer.exists():
            made = make()
            with explain_disk_errors("session", pointer, _AGAIN):
                write_whole(pointer, made)
        return pointer.read_text(encoding="utf-8")


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock during the block, and make its folder.

    Raises:
        StoreError: the lock cannot be made.
    """
    lock = FileLock(path)
    with explain_disk_errors("lock", path, _AGAIN):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _find_pointer(folder: Path, model: str, what: str) -> Path:
    """Return the file with the id of a model's run in a session."""
    return folder / f"{to_file_name(model)}.{what}"


def _find_session_folder(store: Store, test_run: str) -> Path:
    return store.root / "sessions" / test_run
