"""Load a finished run to judge without an evaluation (`--segqa-run`), and check it against the other options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segqa.errors import StoreError, UsageError
from segqa.plugin.baselines import warn_of_other_commit

if TYPE_CHECKING:
    from segqa.plugin.session import Session
    from segqa.runs.run import Run

_EVALUATION_OPTIONS = (
    "shard",
    "rescore",
    "no-cache",
    "refresh-cache",
    "spot-check",
    "spot-check-iou",
    "model-option",
    "checkpoint",
)
"""The options that need an evaluation."""

_OUTCOME_OPTIONS = ("pick", "empty", "prompt", "limit", "where", "held-out", "mask-cutoff", "name-pattern")
"""The options that change outcomes: they are allowed if the run was made with them."""


def select_existing_run(session: Session, named: Sequence[str]) -> None:
    """Select the run that `--segqa-run` names, with the settings that it was made with.

    Args:
        session: its existing run, chosen models and settings are set.
        named: the models on the command line.

    Raises:
        UsageError: there is no such run, it cannot be judged, or another option contradicts it.
    """
    from segqa.inference.merge_shards import find_folder
    from segqa.runs.store import read_header

    try:
        folder = find_folder(session.store, session.options["run"], session.start_folder)
        run, finished = read_header(folder)
    except StoreError as error:
        raise UsageError(f"--segqa-run: {error}") from error
    _require_whole(run, finished=finished)
    _require_agreement(session, run, named)
    session.existing_run, session.chosen_models = folder, (run.model,)
    made = {**run.provenance.get("settings", {}), "pick": run.pick, "empty": run.empty}
    session.settings = replace(session.settings, **made)


def load_existing_run(session: Session, folder: Path) -> Run:
    """Load the existing run; import it into the store of the session if it is elsewhere."""
    from segqa.inference.merge_shards import import_run
    from segqa.runs.store import find_unchecked

    store = session.store
    if unchecked := find_unchecked(folder):
        session.warnings.append(unchecked)
    in_store = folder.resolve() == store.run_folder(folder.name).resolve()
    run = store.load(folder.name) if in_store else import_run(folder, store)
    warn_of_other_commit(session, run)
    return run


def read_dataset_name(folder: Path) -> str:
    """Return the name of the data set of the run in a folder."""
    from segqa.runs.store import read_header

    return read_header(folder)[0].dataset


def _require_whole(run: Run, *, finished: bool) -> None:
    """Refuse a shard, and a run that is not finished."""
    if "shard" in run.provenance:
        raise UsageError(f"run {run.id} is a shard, expected a whole: `segqa merge` makes one of all shards")
    if not finished:
        command = run.provenance.get("command", "")
        raise UsageError(f"run {run.id} is not finished; the same command goes on from there: {command}")


def _require_agreement(session: Session, run: Run, named: Sequence[str]) -> None:
    """Refuse options that would make another run."""
    options = session.options
    new = [f"--segqa-{name}" for name in _EVALUATION_OPTIONS if name in options]
    if new:
        raise UsageError(f"--segqa-run judges what has been evaluated, so it goes without {' and '.join(new)}")
    if named and tuple(named) != (run.model,):
        raise UsageError(f"run {run.id} is of model {run.model}, got --segqa-model {','.join(named)}; omit the option")
    for name in _OUTCOME_OPTIONS:
        made = _read_recorded_option(run, name)
        if name in options and options[name] != made:
            came = f"made {'without it' if made is None else f'with {made}'}"
            raise UsageError(
                f"--segqa-{name} {options[name]} does not go with --segqa-run: {run.id} was {came}; "
                "omit the option, or evaluate again"
            )
    bound = session.settings.thresholds_for(run.model).iou
    if bound != run.threshold:
        raise UsageError(
            f"run {run.id} was made with the threshold iou = {run.threshold:g}, [tool.segqa.thresholds] says "
            f"{bound:g}; evaluate again: stored proposals answer"
        )


def _read_recorded_option(run: Run, option: str) -> Any:
    """Return the value of an option that a run was made with; None for none."""
    known = run.provenance
    made = {**known.get("options", {}), **known.get("settings", {}), "pick": run.pick, "empty": run.empty}
    return made.get(option, made.get(option.replace("-", "_")))
