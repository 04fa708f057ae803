"""Auditing the data set of a session, and what the models were trained on with it."""

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
from segqa.plugin.workers import is_worker
from segqa.plugin.xdist import hold_lock
from segqa.runs.run import Run
from segqa.support.plurals import format_count, select_form

_MANY_ALIKE = 0.1


def audit_once(session: Session, request: pytest.FixtureRequest, dataset: Dataset) -> Audit:
    """The audit of the cases that are evaluated. Of several workers one looks, and the others find what it has kept."""
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
    """Warn of what was odd when the masks and images of a run were read."""
    session.warn(*(f"{run.dataset}: {note}" for note in run.provenance.get("reading_notes", ())))
    noted = list(run.columns.notes)
    if noted:
        case_id, note = noted[0]
        share = (
            f"{len(noted)} of {format_count(len(run.expected), 'case')} {select_form(len(noted), 'has', 'have')} a note"
        )
        session.warn(f"{run.dataset}: {share}, such as {case_id}: {note}")


def _warn_of_look_alikes(session: Session, audit: Audit) -> None:
    """Warn where images look alike as the frames of a video do, and cases count as independent."""
    alike, cases = len({*audit.near_duplicates.case_ids, *audit.repeated.case_ids}), audit.repeated.cases
    if not session.group_by and alike > _MANY_ALIKE * cases:
        session.warn(
            f"{alike} of {format_count(cases, 'image')} {select_form(alike, 'looks', 'look')} like that of "
            "another case, and group_by is not set: p-values and "
            "intervals count the cases as independent"
        )


def _open_training_data(session: Session, request: pytest.FixtureRequest) -> Dataset | None:
    """What the models were trained on; None where the user has not said."""
    name = session.settings.train_dataset
    if not name:
        return None
    declared = name in session.datasets
    train: Dataset = request.getfixturevalue(name) if declared else open_train_folder(session)
    same = name == session.settings.dataset if declared else _is_evaluated(session)
    # of a data set that is trained on and evaluated, one part is held out
    return split(train)[0] if same and session.options.get("held-out") else train


def _is_evaluated(session: Session) -> bool:
    """Whether the folder of the training data is the one that is evaluated."""
    evaluated = session.settings.dataset not in session.datasets
    return evaluated and is_same_location(session.train_location, session.dataset_location)
