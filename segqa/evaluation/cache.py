"""The proposals on disk: what a model answered to an image, addressed by everything that the answer depends on."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeAlias

import numpy as np

from segqa.errors import MaskError, ProposalsError, StoreError
from segqa.evaluation.database import Database
from segqa.mask import pack_masks, unpack_masks
from segqa.proposals import Proposals

_TABLE = """
CREATE TABLE IF NOT EXISTS proposals (
    key BLOB PRIMARY KEY, seconds REAL, image_height INTEGER, image_width INTEGER,
    count INTEGER, height INTEGER, width INTEGER, numbers BLOB, masks BLOB,
    model TEXT NOT NULL DEFAULT '', used INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
_ADDED = {"model": "TEXT NOT NULL DEFAULT ''", "used": "INTEGER NOT NULL DEFAULT 0"}
_SIZE = "length(masks) + length(numbers) + length(model) + 100"


Packed: TypeAlias = tuple[bytes | float, ...]
"""A key with its answer, as the file has them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to an image.

    Attributes:
        proposals: the answer.
        seconds: that it took.
        image_shape: the image's `(height, width)`.
    """

    proposals: Proposals
    seconds: float
    image_shape: tuple[int, int]


def proposals_key(fingerprint: str, image_digest: bytes, prompt: str) -> bytes:
    """The 16 bytes under which an answer is kept; each part goes in with its length, so that no two can run together.

    Args:
        fingerprint: of the model: weights, arguments, code and libraries.
        image_digest: of the image.
        prompt: what the model was asked for.
    """
    digest = hashlib.sha256()
    for part in (fingerprint.encode(), image_digest, prompt.encode()):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()[:16]


@dataclass(frozen=True, slots=True)
class Holding:
    """What is kept of one model.

    Attributes:
        model: its name; empty for entries of before names were kept.
        entries: images.
        proposals: of all of them.
        size: bytes.
        used: the day on which one of them was used last.
    """

    model: str
    entries: int
    proposals: int
    size: int
    used: date


class ProposalCache(Database):
    """Answers in an SQLite file, written in batches; safe against `kill -9` and against other processes.

    Masks are packed bits, zlib-compressed; scores and boxes raw float64. Nothing is pickled. It may be read in one
    thread while it is written in another.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _TABLE, "proposals")
        self._add_columns("proposals", _ADDED)

    def get(self, key: bytes) -> Answer | None:
        """The answer under a key; None where there is none.

        Raises:
            MaskError: the entry is damaged.
        """
        row = self._database.execute("SELECT * FROM proposals WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        _, seconds, image_height, image_width, count, height, width, numbers, masks, *_ = row
        table = np.frombuffer(numbers, dtype="<f8").reshape(count, 6)
        unpacked = unpack_masks(masks, (count, height, width))
        proposals = Proposals(unpacked, table[:, 0].copy(), table[:, 1].copy(), table[:, 2:].copy())
        return Answer(proposals, seconds, (image_height, image_width))

    def missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those of some keys under which there is no answer, in their order."""
        has = "SELECT 1 FROM proposals WHERE key = ?"
        return [key for key in keys if self._database.execute(has, (key,)).fetchone() is None]

    def put(self, answers: Iterable[tuple[bytes, Answer]], model: str = "") -> None:
        """Keep answers of a model, all of them or, if that fails, none.

        Raises:
            StoreError: there is no room, say.
        """
        self.put_packed((pack(key, answer) for key, answer in answers), model)

    def put_packed(self, packed: Iterable[Packed], model: str = "") -> None:
        """Keep answers of a model that have been packed elsewhere; as `put`."""
        today = _today()
        rows = [(*each, model, today) for each in packed]
        with self._writing():
            self._database.executemany(
                "INSERT OR REPLACE INTO proposals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )

    def take_over(self, path: Path, keys: Iterable[bytes], model: str) -> None:
        """Take over what another file has under some keys, one answer after the other; what is here already stays.

        Raises:
            StoreError: the other file cannot be read; nothing has been taken over then.
        """
        columns = "key, seconds, image_height, image_width, count, height, width, numbers, masks"
        taken = f"INSERT OR IGNORE INTO proposals SELECT {columns}, ?, ? FROM other.proposals WHERE key = ?"  # noqa: S608 - ours
        today = _today()
        try:
            self._database.execute("ATTACH ? AS other", (str(path),))
            with self._database:
                self._database.executemany(taken, ((model, today, key) for key in keys))
            self._database.execute("DETACH other")
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"cannot take over the proposals in {path}: {error}; remove it to go without masks"
            ) from error

    def touch(self, keys: Iterable[bytes]) -> None:
        """Note that answers have been used today."""
        today = _today()
        with self._writing():
            self._database.executemany(
                "UPDATE proposals SET used = ? WHERE key = ? AND used < ?", [(today, key, today) for key in keys]
            )

    def knows(self, model: str) -> bool:
        """Whether anything of a model is kept, whatever its fingerprint."""
        found = self._database.execute("SELECT 1 FROM proposals WHERE model = ? LIMIT 1", (model,))
        return found.fetchone() is not None

    def holdings(self) -> list[Holding]:
        """What is kept of each model, the largest first."""
        rows = self._database.execute(
            f"SELECT model, count(*), sum(count), sum({_SIZE}), max(used) FROM proposals GROUP BY model"  # noqa: S608 - ours
        )
        found = [
            Holding(model, entries, proposals, size, date.fromordinal(max(1, used)))
            for model, entries, proposals, size, used in rows
        ]
        return sorted(found, key=lambda holding: (-holding.size, holding.model))

    def damaged(self) -> Iterator[bytes]:
        """The keys of the entries that cannot be read.

        Raises:
            StoreError: the file itself is damaged.
        """
        try:
            (state,) = self._database.execute("PRAGMA quick_check").fetchone()
            keys = [row[0] for row in self._database.execute("SELECT key FROM proposals ORDER BY key")]
        except sqlite3.DatabaseError as error:
            state, keys = str(error), []
        if state != "ok":
            raise StoreError(f"the file of the proposals is damaged: {state}; remove it to start anew")
        for key in keys:
            try:
                self.get(key)
            except (MaskError, ProposalsError, ValueError):
                yield key

    def remove(self, keys: Iterable[bytes]) -> None:
        """Remove entries."""
        with self._writing():
            self._database.executemany("DELETE FROM proposals WHERE key = ?", [(key,) for key in keys])

    def superfluous(
        self, *, max_bytes: int | None = None, before: date | None = None, model: str | None = None
    ) -> list[bytes]:
        """The keys of the entries that may go. With `model` or `before`, all of that; what was used today stays else.

        Args:
            max_bytes: what may stay; those go first that have not been used for the longest time.
            before: what was used last before this day goes.
            model: what is this model's goes.
        """
        today = _today()
        rows = self._database.execute(f"SELECT key, {_SIZE}, used, model FROM proposals ORDER BY used DESC, key")  # noqa: S608 - ours
        going, staying = [], 0
        for key, size, used, owner in rows:
            too_much = max_bytes is not None and used < today and staying + size > max_bytes
            if too_much or owner == model or (before is not None and used < before.toordinal()):
                going.append(key)
            else:
                staying += size
        return going

    @property
    def size(self) -> int:
        """Bytes in use of the file; what has been removed leaves room in it."""
        names = ("page_count", "freelist_count", "page_size")
        pages, free, each = (self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return int((pages - free) * each)

    def compact(self) -> None:
        """Give the room of what has been removed back to the disk."""
        self._database.execute("VACUUM")


def _today() -> int:
    """The day, as a number: of this machine's calendar."""
    return date.today().toordinal()  # noqa: DTZ011 - as said


def pack(key: bytes, answer: Answer) -> Packed:
    """An answer as a row of the file, but for whose it is."""
    p = answer.proposals
    numbers = np.column_stack([p.mask_scores, p.box_scores, p.boxes]).astype("<f8")
    return (key, answer.seconds, *answer.image_shape, *p.masks.shape, numbers.tobytes(), pack_masks(p.masks))
