"""Sharing an evaluation between pytest-xdist's workers: one evaluates under a lock, the others load its run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from segqa.errors import StoreError
from segqa.plugin.session import is_worker
from segqa.plugin.state import Session
from segqa.run import Run
from segqa.store import Store, write_whole

if TYPE_CHECKING:  # not every session asks for it
    from segqa.robustness.robustness import Robustness


def shared(config: pytest.Config, store: Store, model: str, evaluate: Callable[[], Run]) -> Run:
    """The run of a model in this session: evaluated by the first process that asks, loaded by the others."""
    if not is_worker(config):
        return evaluate()
    return store.load(_once(config, store, f"{model}.run", lambda: evaluate().id))


def shared_robustness(
    config: pytest.Config, session: Session, model: str, measure: Callable[[], Robustness]
) -> Robustness:
    """How robust a model is in this session: measured by the first process that asks, read by the others."""
    from segqa.robustness.robustness import read_robustness

    found = None
    if not is_worker(config):
        found = measure()
    else:
        run_id = _once(config, session.store, f"{model}.changed", lambda: measure().run)
        found = read_robustness(session.store, run_id)
    if found is None:
        raise StoreError(f"what was measured of {model} has been removed meanwhile; start again")
    session.robustness[model] = replace(found, command=session.command)
    return session.robustness[model]


def gather(config: pytest.Config, session: Session) -> None:
    """Load, in the controller, the runs that the workers made."""
    distributed = config.pluginmanager.getplugin("dsession")
    if distributed is None:
        return
    folder = _folder(session.store, distributed.nodemanager.testrunuid)
    for model in session.chosen:
        run, changed = folder / f"{model}.run", folder / f"{model}.changed"
        if run.exists():
            session.runs[model] = session.store.load(run.read_text(encoding="utf-8"))
        if changed.exists():
            _gather_robustness(session, model, changed.read_text(encoding="utf-8"))
    shutil.rmtree(folder, ignore_errors=True)


def _gather_robustness(session: Session, model: str, run_id: str) -> None:
    from segqa.robustness.robustness import read_robustness

    found = read_robustness(session.store, run_id)
    if found is not None:
        session.robustness[model] = replace(found, command=session.command)


def _once(config: pytest.Config, store: Store, name: str, make: Callable[[], str]) -> str:
    """The id of a run that the first worker makes which asks for it by a name."""
    folder = _folder(store, config.workerinput["testrunuid"])  # type: ignore[attr-defined] # xdist's
    folder.mkdir(parents=True, exist_ok=True)
    # a worker that dies here loses the lock, and the next one resumes its run
    with FileLock(folder / f"{name}.lock"):
        pointer = folder / name
        if not pointer.exists():
            write_whole(pointer, make())
        return pointer.read_text(encoding="utf-8")


def _folder(store: Store, test_run: str) -> Path:
    return store.root / "sessions" / test_run
