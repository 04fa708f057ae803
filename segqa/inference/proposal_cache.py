"""Cache proposals on disk, addressed by everything that a model's answer depends on.

Beside them stands what counting them gave, so that another picker or threshold needs no pixels: it goes when they go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from segqa.data.mask import pack_masks, unpack_masks
from segqa.errors import MaskError, ProposalsError, StoreError
from segqa.inference.case_scores import CaseScores
from segqa.models.protocol import Proposals
from segqa.runs.checksums import compute_checksum
from segqa.support.disk_errors import explain_disk_errors
from segqa.support.sqlite import Database

_TABLE = """
CREATE TABLE IF NOT EXISTS proposals (
    key BLOB PRIMARY KEY, seconds REAL, image_height INTEGER, image_width INTEGER,
    count INTEGER, height INTEGER, width INTEGER, numbers BLOB, masks BLOB,
    model TEXT NOT NULL DEFAULT '', used INTEGER NOT NULL DEFAULT 0, checksum INTEGER,
    source TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID
"""
_TALLIES = """
CREATE TABLE IF NOT EXISTS tallies (
    key BLOB, target BLOB, tally BLOB, of BLOB, checksum INTEGER, PRIMARY KEY (key, target)
) WITHOUT ROWID
"""
_ADDED = {
    "model": "TEXT NOT NULL DEFAULT ''",
    "used": "INTEGER NOT NULL DEFAULT 0",
    "checksum": "INTEGER",
    "source": "TEXT NOT NULL DEFAULT ''",
}
_ANSWER = "key, seconds, image_height, image_width, count, height, width, numbers, masks"
"""The columns of an answer, which its checksum is of; an entry of an earlier version has none."""

_SCORES = """
SELECT tallies.key, target, tally, of, seconds, tallies.checksum, numbers, masks
FROM tallies JOIN proposals ON proposals.key = tallies.key
"""
_SIZE = """
length(masks) + length(numbers) + length(model) + 100
+ coalesce((SELECT sum(length(tally) + 50) FROM tallies WHERE tallies.key = proposals.key), 0)
"""

Packed: TypeAlias = tuple[bytes | float, ...]
"""A key with its answer, as the file has them."""

PackedScores: TypeAlias = tuple[bytes, bytes, bytes, float]
"""The digest of the target, the packed scores, and the key and the seconds of the answer that they belong to."""


DAMAGE = (MaskError, ProposalsError, ValueError, TypeError)
"""What reading a damaged entry raises."""


@dataclass(frozen=True, slots=True)
class CachedAnswer:
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
class CacheUsage:
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
        super().__init__(path, "proposals", _TABLE, _TALLIES)
        self._add_columns("proposals", _ADDED)
        self._add_columns("tallies", {"checksum": "INTEGER"})

    def get(self, key: bytes) -> CachedAnswer | None:
        """The answer under a key; None where there is none.

        Raises:
            MaskError: the entry is damaged.
        """
        row = self._find(f"SELECT {_ANSWER}, checksum FROM proposals WHERE key = ?", key)  # noqa: S608 - ours
        if row is None:
            return None
        if not _is_whole(*row):
            raise MaskError("proposals are damaged: an entry does not match its checksum")
        _, seconds, image_height, image_width, count, height, width, numbers, masks, _ = row
        table = np.frombuffer(numbers, dtype="<f8").reshape(count, 6)
        unpacked = unpack_masks(masks, (count, height, width))
        proposals = Proposals(unpacked, table[:, 0].copy(), table[:, 1].copy(), table[:, 2:].copy())
        return CachedAnswer(proposals, seconds, (image_height, image_width))

    def find(self, key: bytes) -> CachedAnswer | None:
        """The answer under a key; None where there is none, or a damaged one."""
        try:
            return self.get(key)
        except DAMAGE:
            return None

    def get_scores(self, key: bytes, target: bytes) -> CaseScores | None:
        """What counting the answer under a key against a target gave; None where that is not kept.

        It is not, either, where the answer has been damaged or replaced since.

        Args:
            key: of the answer.
            target: the digest of the target, see `digest_target`.

        Raises:
            ProposalsError: it is damaged.
        """
        row = self._find(f"{_SCORES} WHERE tallies.key = ? AND target = ?", key, target)
        # not by a function inside SQL: with another thread at the same connection that can lock both for ever
        if row is None or not _is_consistent(row[3], *row[-2:]):
            return None
        return _unpack_scores(*row[:-2])

    def find_missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those of some keys under which there is no answer, or a damaged one; in their order."""
        kept = f"SELECT {_ANSWER}, checksum FROM proposals WHERE key = ?"  # noqa: S608 - ours
        return [key for key in keys if (row := self._find(kept, key)) is None or not _is_whole(*row)]

    def sources(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Return the digests of the source that some answers were stored with; of those that are kept."""
        stored = "SELECT source FROM proposals WHERE key = ?"
        rows = ((key, self._find(stored, key)) for key in keys)
        return {key: row[0] for key, row in rows if row is not None}

    def sizes(self, keys: Iterable[bytes]) -> dict[bytes, tuple[tuple[int, int], tuple[int, int]]]:
        """Return `(height, width)` of the masks and of the image of some answers; of those that have masks."""
        stored = "SELECT height, width, image_height, image_width FROM proposals WHERE key = ? AND count > 0"
        rows = ((key, self._find(stored, key)) for key in keys)
        return {key: (row[:2], row[2:]) for key, row in rows if row is not None}

    def put(
        self,
        answers: Iterable[tuple[bytes, CachedAnswer]],
        model: str = "",
        scores: Iterable[tuple[bytes, bytes, CaseScores]] = (),
        source: str = "",
    ) -> None:
        """Keep answers of a model, and what counting some gave: all of them or, if that fails, none.

        Args:
            answers: by their keys.
            model: its name.
            scores: each with the key of its answer and the digest of its target.
            source: a digest of the model's source; empty where it is not known, or where the fingerprint counts it.

        Raises:
            StoreError: there is no room, say.
        """
        packed = (pack(key, answer) for key, answer in answers)
        self.put_packed(packed, model, (pack_scores(*each) for each in scores), source)

    def put_packed(
        self, answers: Iterable[Packed], model: str = "", scores: Iterable[PackedScores] = (), source: str = ""
    ) -> None:
        """Keep what has been packed elsewhere; as `put`."""
        today = _today()
        rows, counted = [(*each, model, today, _compute_checksum(*each), source) for each in answers], list(scores)
        with self._open_transaction():
            self._database.execute("BEGIN IMMEDIATE")
            # by name: in a file of an earlier version the columns may be in another order
            self._database.executemany(
                f"INSERT OR REPLACE INTO proposals ({_ANSWER}, model, used, checksum, source) "  # noqa: S608 - ours
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._database.executemany("DELETE FROM tallies WHERE key = ?", [row[:1] for row in rows])
            for each in counted:
                self._put_scores(*each)

    def _put_scores(self, target: bytes, case_scores: bytes, key: bytes, seconds: float) -> None:
        """Keep what was counted of the answer that is there by now; another process may have replaced it."""
        kept = "SELECT seconds, numbers, masks FROM proposals WHERE key = ? AND seconds = ?"
        row = self._database.execute(kept, (key, seconds)).fetchone()
        if row is not None:
            seconds = row[0]
            entry = (key, target, case_scores, _content(*row[1:]))
            self._database.execute(
                "INSERT OR REPLACE INTO tallies (key, target, tally, of, checksum) VALUES (?, ?, ?, ?, ?)",
                (*entry, compute_checksum((seconds,), *entry)),
            )

    def take_over(self, path: Path, keys: Iterable[bytes], model: str) -> None:
        """Take over what another file has under some keys, one answer after the other; what is here already stays.

        Raises:
            StoreError: the other file cannot be read; nothing has been taken over then.
        """
        today = _today()
        with explain_disk_errors("proposals", path, "remove it to go without masks"):
            self._database.execute("ATTACH ? AS other", (str(path),))
            named = {row[1] for row in self._database.execute("PRAGMA other.table_info(proposals)")}
            checksum = "checksum" if "checksum" in named else "NULL"
            source = "source" if "source" in named else "''"
            taken = (
                f"INSERT OR IGNORE INTO proposals ({_ANSWER}, checksum, source, model, used) "  # noqa: S608 - ours
                f"SELECT {_ANSWER}, {checksum}, {source}, ?, ? FROM other.proposals WHERE key = ?"
            )
            with self._database:
                self._database.executemany(taken, ((model, today, key) for key in keys))
            self._database.execute("DETACH other")

    def touch(self, keys: Iterable[bytes]) -> None:
        """Note that answers have been used today."""
        today = _today()
        with self._open_transaction():
            self._database.executemany(
                "UPDATE proposals SET used = ? WHERE key = ? AND used < ?", [(today, key, today) for key in keys]
            )

    def knows(self, model: str) -> bool:
        """Whether anything of a model is kept, whatever its fingerprint."""
        return self._find("SELECT 1 FROM proposals WHERE model = ? LIMIT 1", model) is not None

    def holdings(self) -> list[CacheUsage]:
        """What is kept of each model, the largest first."""
        rows = self._find_all(
            f"SELECT model, count(*), sum(count), sum({_SIZE}), max(used) FROM proposals GROUP BY model"  # noqa: S608 - ours
        )
        found = [
            CacheUsage(model, entries, proposals, size, _day(used)) for model, entries, proposals, size, used in rows
        ]
        return sorted(found, key=lambda holding: (-holding.size, holding.model))

    def find_damaged(self) -> Iterator[bytes]:
        """The keys of the entries that cannot be read.

        Raises:
            StoreError: the file itself is damaged.
        """
        ((state, *_), *_) = self._find_all("PRAGMA quick_check")
        keys = [row[0] for row in self._find_all("SELECT key FROM proposals ORDER BY key")]
        if state != "ok":
            raise StoreError(f"the file of the proposals is damaged: {state}; remove it to start anew")
        for key in keys:
            try:
                self.get(key)
                self._check_scores(key)
            except DAMAGE:
                yield key

    def _check_scores(self, key: bytes) -> None:
        """Read all that was counted of an answer."""
        for row in self._find_all(f"{_SCORES} WHERE tallies.key = ?", key):
            _unpack_scores(*row[:-2])

    @property
    def unchecked(self) -> int:
        """How many entries have no checksum, since an earlier version wrote them."""
        return int(self._find_all("SELECT count(*) FROM proposals WHERE checksum IS NULL")[0][0])

    def remove(self, keys: Iterable[bytes]) -> None:
        """Remove entries."""
        with self._open_transaction():
            going = [(key,) for key in keys]
            for table in ("proposals", "tallies"):
                self._database.executemany(f"DELETE FROM {table} WHERE key = ?", going)  # noqa: S608 - ours

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
        rows = self._find_all(f"SELECT key, {_SIZE}, used, model FROM proposals ORDER BY used DESC, key")  # noqa: S608 - ours
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
        pages, free, each = (self._find_all(f"PRAGMA {name}")[0][0] for name in names)
        return int((pages - free) * each)

    def compact(self) -> None:
        """Give the room of what has been removed back to the disk."""
        with self._explain_errors():
            self._database.execute("VACUUM")


def _content(numbers: bytes, masks: bytes) -> bytes:
    """16 bytes that change with an answer."""
    return hashlib.sha256(masks + numbers).digest()[:16]


def _is_consistent(content: object, *answer: Any) -> bool:
    """Return whether scores belong to an answer."""
    try:
        return content == _content(*answer)
    except TypeError:  # of another type than was written
        return False


def _compute_checksum(key: object, *values: object) -> int:
    """The checksum of an answer, whose values are as `_ANSWER` has them."""
    seconds, *sizes, numbers, masks = values
    # as text, where 1 and 1.0 differ
    plain = (float(cast(float, seconds)), *map(int, cast("list[int]", sizes)))
    return compute_checksum(plain, *(cast(bytes, blob) for blob in (key, numbers, masks)))


def _is_whole(*row: object) -> bool:
    """Whether an answer matches its checksum, which comes last; one of an earlier version has none."""
    *answer, checksum = row
    try:
        return checksum is None or checksum == _compute_checksum(*answer)
    except (TypeError, ValueError):  # of another type than was written
        return False


def _unpack_scores(
    key: bytes, target: bytes, case_scores: bytes, of: bytes, seconds: float, checksum: int | None
) -> CaseScores:
    """Unpack scores from their row, with the seconds of their answer.

    Raises:
        ProposalsError: it is damaged.
    """
    if checksum is not None and checksum != compute_checksum((seconds,), key, target, case_scores, of):
        raise ProposalsError("a tally is damaged: it does not match its checksum")
    return CaseScores.unpack(case_scores, seconds)


def _day(used: object) -> date:
    """The day that a number means; of a damaged number the first there is, so that the entry goes first."""
    return date.fromordinal(used) if isinstance(used, int) and 1 <= used <= date.max.toordinal() else date.min


def _today() -> int:
    """The day, as a number: of this machine's calendar."""
    return date.today().toordinal()  # noqa: DTZ011 - as said


def pack(key: bytes, answer: CachedAnswer) -> Packed:
    """An answer as a row of the file, but for whose it is."""
    p = answer.proposals
    numbers = np.column_stack([p.mask_scores, p.box_scores, p.boxes]).astype("<f8")
    return (key, answer.seconds, *answer.image_shape, *p.masks.shape, numbers.tobytes(), pack_masks(p.masks))


def pack_scores(key: bytes, target: bytes, case_scores: CaseScores) -> PackedScores:
    """Pack scores for the file."""
    return target, case_scores.pack(), key, case_scores.seconds
