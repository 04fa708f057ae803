"""Merge the runs of shards into one run, and import a run from another store."""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from segqa.data.storage import expand_home
from segqa.data.subsets import Shard
from segqa.errors import PartsError, StoreError
from segqa.inference.finalize import finalize_run
from segqa.inference.proposal_cache import ProposalCache
from segqa.inference.spot_check import STORED_ANSWERS, StoredAnswers
from segqa.runs.parquet_blocks import has_parquet, merge_blocks
from segqa.runs.provenance import make_run_id, read_changes, write_changes
from segqa.runs.run import Run, find_repeatable_options
from segqa.runs.slices import Edges
from segqa.runs.store import Store, find_unchecked, is_in_parts, read_blocks, read_header, read_run
from segqa.support.git import Changes
from segqa.support.plurals import format_count, list_first, select_form

_OF_ONE = ("stages", "peak_mb", "hardware", "batch_size", "inference_seconds", "started", "machine", "commit")
"""What the provenance of a whole says of each of its parts, and not of itself."""

_KEY = "merged"  # of no evaluation, so that none goes on with it
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ShardRun:
    """The run of one shard.

    Attributes:
        run: with its outcomes.
        folder: where its files are.
    """

    run: Run
    folder: Path

    @property
    def shard(self) -> Shard:
        """Which part it is."""
        return Shard(self.about["number"], self.about["of"])

    @property
    def about(self) -> Mapping[str, Any]:
        """What its provenance says of the whole that it is a part of."""
        about: Mapping[str, Any] = self.run.provenance["shard"]
        return about

    def __str__(self) -> str:
        """As it is named where it is refused."""
        return f"shard {self.shard} ({self.run.id})"


def read_part(folder: Path) -> ShardRun:
    """The part in a folder.

    Raises:
        PartsError: it is the run of no shard, or is not finished.
        StoreError: there is no run in it, or its files are damaged.
    """
    header, finished = read_header(folder)
    if "shard" not in header.provenance:
        raise PartsError(f"run {header.id} is no shard: expected one made with --segqa-shard i/n")
    part = ShardRun(read_run(folder), folder)
    missing = part.run.missing
    if missing or not finished:
        raise PartsError(
            f"{part} is not finished: {len(missing)} of its "
            f"{format_count(len(part.run.expected), 'case')} {select_form(len(missing), 'is', 'are')} missing"
            f"{_such(missing)}; the same command goes on from there: {part.run.provenance['command']}"
        )
    return part


def merge_parts(parts: Sequence[ShardRun], store: Store) -> Run:
    """The run of the whole that some parts make, kept in a store with what is known of their proposals.

    Args:
        parts: every shard of one data set, in any order. One into which no case falls may be left out.
        store: gets the run.

    Raises:
        PartsError: they do not make a whole; says which part is the odd one, or what is missing.
        StoreError: the proposals beside a part cannot be read.
    """
    parts = sorted(parts, key=lambda part: part.shard.number)
    _require_agreement(parts)
    _require_each_once(parts)
    first = parts[0].run
    is_large = parts[0].about["cases"] > store.large and has_parquet()
    ids = chain.from_iterable(() if is_large else part.run.expected for part in parts)
    run = store.begin(_whole(parts, sorted(ids)), _KEY)
    try:
        target = store.proposals_path(run.id, shared=not any(keeps_own(part.folder) for part in parts))
        for part in parts:
            if not is_large:
                store.append(run.id, part.run.outcomes)
            import_proposals(part.folder, part.run, target)
        if is_large:
            store.file(run.id, merge_blocks([read_blocks(part.folder) for part in parts]))
        spent = {"hardware": " and ".join(dict.fromkeys(str(part.run.provenance["hardware"]) for part in parts))}
        return finalize_run(store, run, _KEY, _get_edges(first), spent)
    except BaseException:
        shutil.rmtree(store.run_folder(run.id))
        raise


def _require_agreement(parts: Sequence[ShardRun]) -> None:
    """Refuse parts that were made in another way, or of another whole, than the first."""
    first = parts[0]
    for name, read in _AGREED.items():
        for other in parts[1:]:
            if read(first) != read(other):
                came = f"{read(first)!r} in {first} and {read(other)!r} in {other}"
                raise PartsError(f"parts must have the same {name}, got {came}; evaluate one of them again")


def _require_each_once(parts: Sequence[ShardRun]) -> None:
    """Refuse parts that have a case twice, or not at all."""
    for number, times in Counter(part.shard.number for part in parts).items():
        if times > 1:
            twice = " and ".join(part.run.id for part in parts if part.shard.number == number)
            raise PartsError(f"shard {number}/{parts[0].shard.of} is there {times} times: {twice}; give one of them")
    for part in parts:
        strange = [case_id for case_id in part.run.expected if not part.shard.contains(case_id)]
        if strange:
            raise PartsError(f"{part} has cases of another shard{_such(strange)}; evaluate it again")
    there, whole = sum(len(part.run.expected) for part in parts), parts[0].about["cases"]
    if there != whole:
        raise PartsError(f"{whole - there} of {whole} cases are missing: {_gaps(parts)}")


def _gaps(parts: Sequence[ShardRun]) -> str:
    """Which shards are missing, and how to get them."""
    of, there = parts[0].shard.of, {part.shard.number for part in parts}
    missing = [str(Shard(number, of)) for number in range(1, of + 1) if number not in there]
    if not missing:
        return "no shard is, so one of them was cut off; evaluate all again"
    return f"shard {list_first(missing, _SHOWN)} is not there; evaluate with --segqa-shard {missing[0]}"


def _whole(parts: Sequence[ShardRun], expected: Sequence[str]) -> Run:
    """The run of all cases, without outcomes so far."""
    first = parts[0].run
    return Run(
        id=make_run_id(datetime.now(UTC), first.model, first.dataset, "merged"),
        model=first.model,
        dataset=first.dataset,
        expected=expected,
        outcomes=(),
        pick=first.pick,
        empty=first.empty,
        threshold=first.threshold,
        provenance=_provenance(parts),
    )


def _provenance(parts: Sequence[ShardRun]) -> dict[str, Any]:
    """Where the whole comes from: what all parts have in common, and what each was."""
    known = [part.run.provenance for part in parts]
    first = known[0]
    left_out = {*_OF_ONE, "shard", "resumed_at", "dataset_digest", STORED_ANSWERS}
    common = {name: value for name, value in first.items() if name not in left_out}
    return common | {
        "command": shlex.join(find_repeatable_options(first["command"])),
        "started": min(each["started"] for each in known),
        "commit": first["commit"] if len({each["commit"] for each in known}) == 1 else "",
        **write_changes(Changes.merge([read_changes(each) for each in known])),
        "machine": " and ".join(dict.fromkeys(str(each["machine"]) for each in known)),
        "options": {name: value for name, value in first["options"].items() if name != "shard"},
        "notes": [
            *dict.fromkeys(chain.from_iterable(each["notes"] for each in known)),
            *_find_differences(parts),
        ],
        "parts": [_describe_shard(part) for part in parts],
        STORED_ANSWERS: StoredAnswers.merge([StoredAnswers.from_provenance(each) for each in known]).to_json(),
    }


def _describe_shard(part: ShardRun) -> dict[str, Any]:
    """What there is to say of a part, in JSON's types."""
    known = part.run.provenance
    about = {"run": part.run.id, "shard": str(part.shard), "cases": len(part.run.expected)}
    return about | {name: known[name] for name in ("command", *_OF_ONE) if name in known}


def _find_differences(parts: Sequence[ShardRun]) -> Iterator[str]:
    """What the parts differ in, and what cannot be checked of them; a sentence each."""
    yield from _describe_unchecked(parts)
    yield from filter(None, (find_unchecked(part.folder) for part in parts))


def _describe_unchecked(parts: Sequence[ShardRun]) -> Iterator[str]:
    """What the parts may differ in, though it may decide a pixel here and there; a sentence each."""
    first = parts[0].run.provenance
    for other in parts[1:]:
        known = other.run.provenance
        if known["commit"] != first["commit"]:
            yield f"{parts[0]} is of {_commit(first)}, {other} of {_commit(known)}"
        if read_changes(known) != read_changes(first):
            yield f"{parts[0]} was made with {_changes(first)}, {other} with {_changes(known)}"
        for name in sorted(first["versions"].keys() & known["versions"].keys()):
            if first["versions"][name] != known["versions"][name]:
                yield f"{parts[0]} has {name} {first['versions'][name]}, {other} has {known['versions'][name]}"


def _commit(provenance: Mapping[str, Any]) -> str:
    return f"commit {provenance['commit'][:10]}" if provenance["commit"] else "no commit"


def _changes(provenance: Mapping[str, Any]) -> str:
    changes = read_changes(provenance)
    return "changes that git cannot tell" if changes is None else f"changes ({changes})" if changes else "no changes"


def _get_edges(run: Run) -> Edges | None:
    """The edges that were known before the run, because its cases are a part of a data set; None for none."""
    if "where" not in run.provenance["options"]:
        return None
    return {name: cuts for name, cuts in run.edges.items() if name != "proposals"}


def _such(case_ids: Sequence[str]) -> str:
    """Some of the cases, as an apposition; nothing for none."""
    return f" ({list_first(case_ids, _SHOWN)})" if case_ids else ""


def _get_setting(name: str) -> Callable[[ShardRun], object]:
    """Reads what was chosen by an option or a setting."""

    def read(part: ShardRun) -> object:
        known = part.run.provenance
        return {**known["options"], **known["settings"]}.get(name)

    return read


_AGREED: Mapping[str, Callable[[ShardRun], object]] = MappingProxyType(
    {
        "model": lambda part: part.run.model,
        "data set": lambda part: part.run.dataset,
        "number of shards": lambda part: part.shard.of,
        "model fingerprint": lambda part: part.run.provenance["fingerprint"],
        "kind of model": lambda part: part.run.provenance["answers_of"],
        "source of the model": lambda part: part.run.provenance.get("source", ""),
        "picker": lambda part: part.run.pick,
        "policy for empty masks": lambda part: part.run.empty,
        "threshold of IoU": lambda part: part.run.threshold,
        "metric version": lambda part: part.run.provenance["metric_version"],
        "property version": lambda part: part.about["property_version"],
        "--segqa-prompt": _get_setting("prompt"),
        "--segqa-limit": _get_setting("limit"),
        "--segqa-held-out": _get_setting("held-out"),
        "--segqa-where": _get_setting("where"),
        "--segqa-mask-cutoff": _get_setting("mask_cutoff"),
        "mask_values": _get_setting("mask_values"),
        "mask_resize": _get_setting("mask_resize"),
        "mask_orientation": _get_setting("mask_orientation"),
        "image_bits": _get_setting("image_bits"),
        "reading of masks and images": lambda part: part.run.provenance.get("reading"),
        "--segqa-name-pattern": _get_setting("name_pattern"),
        "cases of the data set (ids, prompts, tags and sizes of files)": lambda part: part.about["listing"],
    }
)
"""What the parts of a whole have in common, and how it is read off one."""


_FILE = "proposals.sqlite"


def import_run(folder: Path, store: Store) -> Run:
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
        store.file(kept.id, read_blocks(folder))
    else:
        kept = store.begin(run, "")
        store.append(kept.id, run.outcomes)
    import_proposals(folder, run, store.proposals_path(kept.id, shared=not keeps_own(folder)))
    store.finish(kept, "")
    return store.load(kept.id)


def import_proposals(folder: Path, run: Run, target: Path) -> None:
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
