"""Integrity checks of stored runs: checksums of rows, documents and files, and consistency of pixel counts."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segqa.errors import StoreError
from segqa.runs.outcome_columns import MemoryColumns
from segqa.support.escaping import to_utf8
from segqa.support.plurals import format_count

EVALUATE_AGAIN = "evaluate again (stored proposals answer), or restore it from a copy"
"""Advice for a damaged run."""

UNCHECKED_NOTE = (
    "run {} has no checksums, because an earlier version of segqa made it: segqa can check that its counts add up, but "
    "not that nothing else was damaged; evaluate again to get them"
)
"""Notice for a run that cannot be verified."""

_CHUNK = 1 << 20


def compute_checksum(values: Iterable[object], *blobs: bytes) -> int:
    """Return the CRC-32 of a row: its plain values, then its blobs. It detects every single flipped bit."""
    found = zlib.crc32("\0".join(map(str, values)).encode())
    for blob in blobs:
        found = zlib.crc32(blob, found)
    return found


def hash_texts(texts: Iterable[object]) -> str:
    """Return an order-dependent digest of many strings or numbers."""
    return hashlib.sha256("\0".join(map(str, texts)).encode()).hexdigest()[:32]


def compute_file_checksum(path: Path) -> int:
    """Return the CRC-32 of a file. It detects damage in a third of the time of a cryptographic digest."""
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found


def add_checksum(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON document with a checksum of all that is in it; as JSON reads it back, its texts in UTF-8."""
    plain: dict[str, Any] = _to_utf8(json.loads(json.dumps(document)))
    return {**plain, "checksum": _compute_document_checksum(plain)}


def require_checksum(
    document: Mapping[str, Any], path: Path, advice: str = EVALUATE_AGAIN, *, is_new: bool = False
) -> None:
    """Refuse a JSON document that was changed since it was written.

    Args:
        document: as JSON reads it.
        path: of its file.
        advice: what to do.
        is_new: no earlier version can have written it, so that it must have a checksum; others are let through.

    Raises:
        StoreError: it was changed; ends with what to do.
    """
    kept = document.get("checksum")
    if (is_new or kept is not None) and kept != _compute_document_checksum(document):
        raise StoreError(f"{path} is damaged: its content does not match its checksum; {advice}")


def require_counts(held: MemoryColumns, where: str) -> None:
    """Refuse outcomes whose counts cannot be those of a mask and its target.

    For each proposal tp + fn must be the target's area, tp + fp + fn + tn the size, and no count away from the contour
    above the whole one; the pick must be one of the proposals.

    Raises:
        StoreError: some cannot; names the run and the first case.
    """
    owners = np.repeat(np.arange(len(held.ids)), held.offered)
    counts, inside = held.numbers[:, :4].astype(np.int64), held.numbers[:, 4:]
    is_wrong = (
        (held.picked < -1) | (held.picked >= held.offered) | ((held.target_area >= 0) & (held.sizes < held.target_area))
    )
    of_offers = (counts[:, 0] + counts[:, 2] != held.target_area[owners]) | (counts.sum(axis=1) != held.sizes[owners])
    of_offers |= (held.numbers < 0).any(axis=1) | (inside > counts).any(axis=1)
    is_wrong[owners[of_offers]] = True
    if is_wrong.any():
        first = held.ids[int(is_wrong.argmax())]
        raise StoreError(
            f"{where} is damaged: the counts of {format_count(int(is_wrong.sum()), 'case')} do not match the area "
            "of the target, such as "
            f"those of {first!r}; {EVALUATE_AGAIN}"
        )


def _to_utf8(value: Any) -> Any:
    """Return a JSON value without strings that UTF-8 cannot encode."""
    if isinstance(value, dict):
        return {to_utf8(name): _to_utf8(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_to_utf8(each) for each in value]
    return to_utf8(value) if isinstance(value, str) else value


def _compute_document_checksum(document: Mapping[str, Any]) -> str:
    """Return a digest of a JSON document without its checksum. The order of its keys does not matter."""
    content = {name: value for name, value in document.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
