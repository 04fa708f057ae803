"""Provenance of a run: command line, git commit, package versions; and the run id."""

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
    """Return a new run id, made of the start time, the model and the data set.

    >>> make_run_id(datetime(2026, 11, 22, 9, 30), "unet", "my photos")
    '20261122-093000-unet-my-photos'
    """
    return to_file_name("-".join([f"{now:%Y%m%d-%H%M%S}", *names]))


def collect_provenance(now: datetime, command: str, tree: WorkTree) -> dict[str, Any]:
    """Return the provenance of a run as JSON values.

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
    """Return the versions of the packages in use that may affect the scores."""
    used = [name for name in ("torch", "transformers", "segmentation_models_pytorch") if name in sys.modules]
    found = {name: str(getattr(sys.modules[name], "__version__", "")) for name in used}
    return {name: version(name) for name in ("segqa", "numpy", "opencv-python-headless", "pillow")} | found


def read_changes(provenance: Mapping[str, Any]) -> Changes | None:
    """Return the uncommitted changes at the time of a run; None outside a git work tree.

    Runs of earlier versions keep no list. They count what segqa itself had written as changes, too.
    """
    if written := provenance.get("changes"):
        return Changes.from_json(written)
    if provenance.get("dirty"):
        return Changes(count=1)
    is_known = "changes" not in provenance and bool(provenance.get("commit"))
    return Changes() if is_known else None


def write_changes(changes: Changes | None) -> dict[str, Any]:
    """Return uncommitted changes as JSON values for the provenance; see `read_changes`."""
    return {"dirty": bool(changes), "changes": None if changes is None else changes.to_json()}


def describe_commits(
    run_id: str, provenance: Mapping[str, Any], tree: WorkTree, *, with_unknown: bool
) -> Iterator[str]:
    """Yield warnings where a run or one of its shards was made at another commit than the checked-out one.

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
    """Return the commit of the run or of each of its shards; an unknown commit is empty."""
    commit = str(provenance.get("commit") or "")
    shards: dict[str, list[str]] = {}
    for part in () if commit else provenance.get("parts", ()):
        shards.setdefault(str(part.get("commit") or ""), []).append(part["shard"])
    names = {each: f"a part of run {run_id} (shard {' and '.join(those)})" for each, those in shards.items()}
    return names or {commit: f"run {run_id}"}
