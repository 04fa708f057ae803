"""Sharing an evaluation between pytest-xdist's workers: one evaluates under a lock, the others load its run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from segqa.plugin.session import Session, is_worker
from segqa.run import Run
from segqa.store import Store, write_whole


def shared(config: pytest.Config, store: Store, model: str, evaluate: Callable[[], Run]) -> Run:
    """The run of a model in this session: evaluated by the first process that asks, loaded by the others."""
    if not is_worker(config):
        return evaluate()
    folder = _folder(store, config.workerinput["testrunuid"])  # type: ignore[attr-defined] # xdist's
    folder.mkdir(parents=True, exist_ok=True)
    # a worker that dies here loses the lock, and the next one resumes its run
    with FileLock(folder / f"{model}.lock"):
        pointer = folder / f"{model}.run"
        if not pointer.exists():
            write_whole(pointer, evaluate().id)
        return store.load(pointer.read_text(encoding="utf-8"))


def gather(config: pytest.Config, session: Session) -> None:
    """Load, in the controller, the runs that the workers made."""
    distributed = config.pluginmanager.getplugin("dsession")
    if distributed is None:
        return
    folder = _folder(session.store, distributed.nodemanager.testrunuid)
    for pointer in (folder / f"{model}.run" for model in session.chosen):
        if pointer.exists():
            session.runs[pointer.stem] = session.store.load(pointer.read_text(encoding="utf-8"))
    shutil.rmtree(folder, ignore_errors=True)


def _folder(store: Store, test_run: str) -> Path:
    return store.root / "sessions" / test_run
