"""Say that a model's masks are of other sizes than its images: what is scored then are resized masks."""

from __future__ import annotations

import numpy as np

from segqa.evaluation.cache import ProposalCache
from segqa.runs.run import Run

_LOOKED_AT = 1000


def note_on_sizes(run: Run, cache: ProposalCache) -> list[str]:
    """Return the note on masks that are not of their image's size; none where all are.

    Up to a thousand cases are looked at, evenly over the run.

    Args:
        run: with its outcomes.
        cache: has its proposals.
    """
    columns = run.columns
    if len(columns) > _LOOKED_AT:
        columns = columns.take(np.linspace(0, len(columns) - 1, _LOOKED_AT).astype(int))
    ids = {bytes.fromhex(key): case_id for case_id, key in zip(columns.ids, columns.keys, strict=True) if key}
    resized = {ids[key]: size for key, size in cache.sizes(ids).items() if size[0] != size[1]}
    if not resized:
        return []
    case_id = min(resized)
    mask, image = (f"{width} × {height}" for height, width in resized[case_id])
    part = "" if len(columns) == len(run.columns) else f" of {len(columns)} looked at"
    text = f"{len(resized)} cases{part} are scored by resized masks, such as {case_id}: {mask} for an image of {image}"
    return [f"{text}; return masks of the image's size to score what you would deliver"]
