"""Compute and cache the statistics of a case: the hash of its image and the outline of its target."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from segqa.analysis.data_audit.image_hash import ImageHash, compute_image_hash
from segqa.data.case import Case, Target, catch_case_errors
from segqa.data.image_io import READER
from segqa.data.remote_folder import prefetch
from segqa.errors import CaseError
from segqa.runs.checksums import compute_checksum
from segqa.runs.store import Store
from segqa.support.sqlite import Database

CASE_STATS_VERSION = 1
"""Increase this number whenever the same pixels would give other statistics."""

_CHUNK_SIZE = 256
_TABLE = "CREATE TABLE IF NOT EXISTS glances (key BLOB PRIMARY KEY, left_over TEXT, checksum INTEGER) WITHOUT ROWID"

_Lookup: TypeAlias = Callable[[bytes, Callable[[], list[Any]]], list[Any]]
"""Return the cached value of a key, or compute and cache it."""


@dataclass(frozen=True, slots=True)
class TargetOutline:
    """The outline of a target.

    Attributes:
        size: width and height in pixels.
        area: number of object pixels.
        border: share of the pixels along the four sides that belong to the object.
        corners: number of corners (0 to 4) that belong to the object.
        note: the note of the reader, see `Target`.
    """

    size: tuple[int, int]
    area: int
    border: float
    corners: int
    note: str = ""

    @property
    def share(self) -> float:
        """Share of the pixels that belong to the object."""
        return self.area / (self.size[0] * self.size[1])


@dataclass(frozen=True, slots=True)
class CaseStats:
    """The statistics of one case.

    Attributes:
        case_id: the case.
        image_hash: hash of the image; None if it cannot be read.
        outline: outline of the target; None if it cannot be read.
        error: why the image or the target, or both, cannot be read; empty if both can.
    """

    case_id: str
    image_hash: ImageHash | None
    outline: TargetOutline | None
    error: str = ""


class CaseStatsCache(Database):
    """Cache the statistics in an SQLite file; write in batches."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "glances", _TABLE)
        self._add_columns("glances", {"checksum": "INTEGER"})
        self._new: dict[bytes, list[Any]] = {}

    def get_or_compute(self, key: bytes, compute: Callable[[], list[Any]]) -> list[Any]:
        """Return the cached value of a key; compute it if missing or damaged, and save it with the next `flush`."""
        row = self._find("SELECT left_over, checksum FROM glances WHERE key = ?", key)
        if row is not None and row[1] == compute_checksum(row[:1], key):
            return list(json.loads(row[0]))
        found = self._new[key] = compute()
        if len(self._new) >= _CHUNK_SIZE:
            self.flush()
        return found

    def flush(self) -> None:
        """Write the new values to the file."""
        texts = [(key, json.dumps(found)) for key, found in self._new.items()]
        rows = [(key, text, compute_checksum((text,), key)) for key, text in texts]
        if rows:
            with self._open_transaction():
                self._database.executemany(
                    "INSERT OR REPLACE INTO glances (key, left_over, checksum) VALUES (?, ?, ?)", rows
                )
        self._new.clear()


def read_case_stats(cases: Iterable[Case], store: Store | None, *, images_only: bool = False) -> Iterator[CaseStats]:
    """Yield the statistics of each case; read pixels only if the statistics are not cached.

    Args:
        cases: the cases to read.
        store: holds the cache; without a store, nothing is cached.
        images_only: do not read targets; the outlines are None.

    Raises:
        StoreError: the cache cannot be read or written.
    """
    cases = tuple(cases)
    with prefetch(cases, targets=not images_only):
        if store is None:
            yield from (_read_stats(case, lambda _key, compute: compute(), images_only) for case in cases)
            return
        with CaseStatsCache(store.root / "glances.sqlite") as cache:
            for case in cases:
                yield _read_stats(case, cache.get_or_compute, images_only)
            cache.flush()


def compute_outline(target: Target) -> TargetOutline:
    """Compute the outline of a target; its mask is `[H, W]` and has at least one pixel."""
    mask = target.mask
    height, width = mask.shape
    sides = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    corners = int(mask[0, 0]) + int(mask[0, -1]) + int(mask[-1, 0]) + int(mask[-1, -1])
    area = cv2.countNonZero(np.ascontiguousarray(mask).view(np.uint8))
    return TargetOutline((width, height), area, float(sides.mean()), corners, target.note)


def _read_stats(case: Case, get_or_compute: _Lookup, images_only: bool) -> CaseStats:
    image_hash = outline = None
    errors: dict[str, None] = {}  # a case without a mask raises the same error twice
    try:
        image_hash = _read_hash(case, get_or_compute)
    except CaseError as error:
        errors[str(error)] = None
    try:
        outline = (
            None
            if images_only
            else _read_outline(case, b"" if image_hash is None else image_hash.digest, get_or_compute)
        )
    except CaseError as error:
        errors[str(error)] = None
    return CaseStats(case.id, image_hash, outline, "; ".join(errors))


def _read_hash(case: Case, get_or_compute: _Lookup) -> ImageHash:
    digest = case.digest()

    def compute() -> list[Any]:
        with catch_case_errors(case.id):
            found = compute_image_hash(digest, case.image())
        return [*found.size, found.thumbnail.hex()]

    width, height, thumbnail = get_or_compute(_make_key("image", digest), compute)
    return ImageHash(digest, (width, height), bytes.fromhex(thumbnail))


def _read_outline(case: Case, image_digest: bytes, get_or_compute: _Lookup) -> TargetOutline:
    def compute() -> list[Any]:
        with catch_case_errors(case.id):
            found = compute_outline(case.source.target())
        return [*found.size, found.area, found.border, found.corners, found.note]

    # the id, because notes name the file; the image digest, because the image decides how the mask is rotated
    width, height, *rest = get_or_compute(_make_key(f"target {case.id}", case.target_digest() + image_digest), compute)
    return TargetOutline((width, height), *rest)


def _make_key(what: str, digest: bytes) -> bytes:
    """Make a cache key from the file, the reader and the kind of statistics."""
    return hashlib.sha256(digest + f" {what} {CASE_STATS_VERSION} {READER}".encode()).digest()[:16]
