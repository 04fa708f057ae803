"""A transfer brings what another store has of a run into this one: its cases, and what the model answered to them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from segqa.data.storage import expand_home
from segqa.errors import StoreError
from segqa.evaluation.cache import ProposalCache
from segqa.runs.run import Run
from segqa.runs.store import Store, blocks, find_unchecked, is_in_parts, read_run

_FILE = "proposals.sqlite"


def bring_run(folder: Path, store: Store) -> Run:
    """The finished run in a folder, in this store from now on; one that is there already is taken as it is.

    Args:
        folder: of the run, copied from another machine, say.
        store: gets it under its own id or, where that is another run's, under one like it.

    Raises:
        StoreError: there is no run in it, or its files are damaged.
    """
    run = read_run(folder)
    if unchecked := find_unchecked(folder):
        notes = [*run.provenance.get("notes", ()), unchecked]
        run = replace(run, provenance={**run.provenance, "notes": notes})
    for stored in (each for each in store.run_ids() if each.startswith(run.id)):
        with suppress(StoreError):  # damaged here: the copy takes its place
            if store.is_finished(stored) and (there := store.load(stored)).outcomes == run.outcomes:
                return there
    if is_in_parts(folder):
        kept = store.begin(replace(run, expected=()), "")
        store.file(kept.id, blocks(folder))
    else:
        kept = store.begin(run, "")
        store.append(kept.id, run.outcomes)
    bring_proposals(folder, run, store.proposals_path(kept.id, shared=not keeps_own(folder)))
    store.finish(kept, "")
    return store.load(kept.id)


def bring_proposals(folder: Path, run: Run, target: Path) -> None:
    """Copy the proposals of a run, as far as they are kept beside it, so that its masks can be shown.

    Args:
        folder: of the run; they are in it, in its store, or, where it was copied without that, next to it.
        run: which proposals there are.
        target: gets them.

    Raises:
        StoreError: their file cannot be read.
    """
    candidates = [place / _FILE for place in (folder, folder.absolute().parent, folder.absolute().parent.parent)]
    source = next((path for path in candidates if path.is_file()), None)
    if source is None or (target.exists() and source.samefile(target)):
        return
    keys = (bytes.fromhex(key) for key in run.columns.keys if key)
    with ProposalCache(target) as cache:
        cache.take_over(source, keys, run.model)


def keeps_own(folder: Path) -> bool:
    """Whether a run shares its proposals with no other."""
    return (folder / _FILE).is_file()


def find_folder(store: Store, name: str, here: Path) -> Path:
    """The folder of a run that is named by it, or by its id in a store or how that begins.

    Args:
        store: where ids are looked for.
        name: what was typed.
        here: what a path is relative to.

    Raises:
        StoreError: there is no such run, or several; says which there are.
    """
    folder = here / expand_home(name)
    if (folder / "run.json").is_file():
        return folder
    if not name or "/" in name or folder.exists():
        raise StoreError(f"expected a run's folder with run.json in it, or the id of a run, got {name!r}")
    return store.run_folder(store.find_id(name))
