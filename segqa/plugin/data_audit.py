"""Audit the data set of a session, together with the training data."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from segqa.analysis.data_audit.audit import Audit, audit_dataset
from segqa.data.dataset import Dataset
from segqa.data.storage import is_same_location
from segqa.data.subsets import split
from segqa.plugin.configure import open_train_folder
from segqa.plugin.progress import create_progress
from segqa.plugin.session import Session
from segqa.plugin.xdist import hold_lock
from segqa.plugin.xdist_messages import is_worker
from segqa.runs.run import Run
from segqa.support.plurals import format_count, select_form

_MANY_ALIKE = 0.1


def audit_once(session: Session, request: pytest.FixtureRequest, dataset: Dataset) -> Audit:
    """Return the audit of the evaluated cases. One worker of xdist makes it, the others load the stored result."""
    config = request.config
    train = _open_training_data(session, request)
    root = session.store.root
    with hold_lock(root / "audit.lock") if is_worker(config) else nullcontext():
        progress = create_progress(config, "audit")
        found = audit_dataset(dataset, train, session.store, command=session.command, progress=progress)
    _warn_of_look_alikes(session, found)
    if dataset.reading is not None:
        session.warn(*(f"{dataset.name}: {note}" for note in dataset.reading.rules.notes))
    return found


def warn_of_reading(session: Session, run: Run) -> None:
    """Warn of irregularities that were noted while the images and masks of a run were read."""
    session.warn(*(f"{run.dataset}: {note}" for note in run.provenance.get("reading_notes", ())))
    noted = list(run.columns.notes)
    if noted:
        case_id, note = noted[0]
        share = (
            f"{len(noted)} of {format_count(len(run.expected), 'case')} {select_form(len(noted), 'has', 'have')} a note"
        )
        session.warn(f"{run.dataset}: {share}, such as {case_id}: {note}")


def _warn_of_look_alikes(session: Session, audit: Audit) -> None:
    """Warn if many images look alike, as the frames of a video do, while cases count as independent."""
    alike, cases = len({*audit.near_duplicates.case_ids, *audit.repeated.case_ids}), audit.repeated.cases
    if not session.group_by and alike > _MANY_ALIKE * cases:
        session.warn(
            f"{alike} of {format_count(cases, 'image')} {select_form(alike, 'looks', 'look')} like that of "
            "another case, and group_by is not set: p-values and "
            "intervals count the cases as independent"
        )


def _open_training_data(session: Session, request: pytest.FixtureRequest) -> Dataset | None:
    """Open the training data of the models; None if the user has not named any."""
    name = session.settings.train_dataset
    if not name:
        return None
    declared = name in session.datasets
    train: Dataset = request.getfixturevalue(name) if declared else open_train_folder(session)
    same = name == session.settings.dataset if declared else _is_evaluated(session)
    # if one data set is used for both, a part of it is held out from training
    return split(train)[0] if same and session.options.get("held-out") else train


def _is_evaluated(session: Session) -> bool:
    """Return whether the folder of the training data is the evaluated one."""
    evaluated = session.settings.dataset not in session.datasets
    return evaluated and is_same_location(session.train_location, session.dataset_location)
