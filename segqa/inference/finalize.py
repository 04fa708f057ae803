"""Finalize a run: compute slice edges and the data-set digest once all outcomes are there."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from segqa.runs.outcomes import Outcomes
from segqa.runs.parquet_blocks import PYARROW_NEEDED, has_parquet
from segqa.runs.run import Run
from segqa.runs.slices import Edges, find_edges
from segqa.runs.store import Store


def finalize_run(store: Store, run: Run, key: str, edges: Edges | None, spent: Mapping[str, Any]) -> Run:
    """The run with all that it has, and what it took, marked as complete.

    Args:
        store: has its outcomes.
        run: its provenance is taken over.
        key: as it was begun with.
        edges: of numeric slices, where they are known of a whole that the run is a part of; else they are found.
        spent: what else is to stand in its provenance.
    """
    notes = run.provenance["notes"]
    if store.is_large(run.id, whole=run.provenance.get("shard", {}).get("cases", 0)):
        if has_parquet():
            store.pack(run.id)
        else:
            notes = [*notes, PYARROW_NEEDED.format(store.large)]
    kept = store.load(run.id)
    outcomes = kept.columns
    cuts = found = find_edges(outcomes)
    if edges is not None:
        # a part is cut as the whole was; only how many proposals there are, no data set knows
        cuts = {**edges, **{name: found[name] for name in ("proposals",) if name in found}}
    seconds = math.fsum(outcomes.seconds)
    ended = {**spent, "dataset_digest": _digest(outcomes), "inference_seconds": round(seconds, 3)}
    run = replace(kept, edges=cuts, provenance={**run.provenance, **ended, "notes": notes})
    store.finish(run, key)
    return run


def _digest(outcomes: Outcomes) -> str:
    """What was evaluated, as a hex digest of all images, targets and prompts."""
    digest = hashlib.sha256()
    # one after the other: all in one text are half as large as the run
    for place, evaluated in enumerate(zip(outcomes.ids, outcomes.prompts, outcomes.digests, strict=True)):
        part = json.dumps(evaluated)
        digest.update(f"{', ' if place else '['}{part}".encode())
    digest.update(b"]" if outcomes else b"[]")
    return digest.hexdigest()[:32]
