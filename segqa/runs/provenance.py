"""Provenance is where a run comes from: what was typed, the commit, the versions. A run is named after it, too."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

from segqa.scoring.metrics import METRIC_VERSION
from segqa.support.escaping import to_file_name
from segqa.support.git import Changes, WorkTree, explain_silence


def make_run_id(now: datetime, *names: str) -> str:
    """The id of a run: when it was begun, and what of.

    >>> make_run_id(datetime(2026, 11, 22, 9, 30), "unet", "my photos")
    '20261122-093000-unet-my-photos'
    """
    return to_file_name("-".join([f"{now:%Y%m%d-%H%M%S}", *names]))


def collect_provenance(now: datetime, command: str, tree: WorkTree) -> dict[str, Any]:
    """Return where a run comes from, in JSON's types.

    Args:
        now: when it begins.
        command: what the user typed.
        tree: the work tree of the model's code.
    """
    return {
        "command": command,
        "started": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "metric_version": METRIC_VERSION,
        "commit": tree.find_head(),
        **write_changes(tree.read_changes()),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": _collect_versions(),
    }


def _collect_versions() -> dict[str, str]:
    """Of what may decide the scores, as far as it is in use here."""
    used = [name for name in ("torch", "transformers", "segmentation_models_pytorch") if name in sys.modules]
    found = {name: str(getattr(sys.modules[name], "__version__", "")) for name in used}
    return {name: version(name) for name in ("segqa", "numpy", "opencv-python-headless", "pillow")} | found


def read_changes(provenance: Mapping[str, Any]) -> Changes | None:
    """Return the uncommitted changes that a run was made with; None where git did not know its work tree.

    Runs of earlier versions keep no list. They count what segqa itself had written as changes, too.
    """
    if written := provenance.get("changes"):
        return Changes.from_json(written)
    if provenance.get("dirty"):
        return Changes(count=1)
    is_known = "changes" not in provenance and bool(provenance.get("commit"))
    return Changes() if is_known else None


def write_changes(changes: Changes | None) -> dict[str, Any]:
    """Return the part of a provenance that `read_changes` reads, in JSON's types."""
    return {"dirty": bool(changes), "changes": None if changes is None else changes.to_json()}


def describe_commits(
    run_id: str, provenance: Mapping[str, Any], tree: WorkTree, *, with_unknown: bool
) -> Iterator[str]:
    """Say that a run, or a shard of it, was made at another commit than the one that is checked out.

    Args:
        run_id: of the run.
        provenance: of the run.
        tree: with the code that the run is to say something of.
        with_unknown: whether to say that git does not answer, or that the run does not say its commit.
    """
    if silence := explain_silence(tree.root):
        if with_unknown:
            yield f"git does not answer here ({silence}), so nobody can tell whether run {run_id} is of the code here"
        return
    for commit, name in _name_commits(run_id, provenance).items():
        if other := tree.describe_other(commit):
            yield f"{name} {other}: it says nothing of the code here"
        elif with_unknown and not commit:
            yield f"{name} does not say its commit, so nobody can tell whether it is of the code here"


def _name_commits(run_id: str, provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return what was made at which commit: the run, or those of its shards; an unknown commit is empty."""
    commit = str(provenance.get("commit") or "")
    shards: dict[str, list[str]] = {}
    for part in () if commit else provenance.get("parts", ()):
        shards.setdefault(str(part.get("commit") or ""), []).append(part["shard"])
    names = {each: f"a part of run {run_id} (shard {' and '.join(those)})" for each, those in shards.items()}
    return names or {commit: f"run {run_id}"}
