"""The proposals on disk: what a model answered to an image, addressed by everything that the answer depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segqa.evaluation.database import Database
from segqa.mask import pack_masks, unpack_masks
from segqa.proposals import Proposals

_TABLE = """
CREATE TABLE IF NOT EXISTS proposals (
    key BLOB PRIMARY KEY, seconds REAL, image_height INTEGER, image_width INTEGER,
    count INTEGER, height INTEGER, width INTEGER, numbers BLOB, masks BLOB
) WITHOUT ROWID
"""


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


class ProposalCache(Database):
    """Answers in an SQLite file, written in batches; safe against `kill -9` and against other processes.

    Masks are packed bits, zlib-compressed; scores and boxes raw float64. Nothing is pickled. It may be read in one
    thread while it is written in another.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _TABLE, "proposals")

    def get(self, key: bytes) -> Answer | None:
        """The answer under a key; None where there is none.

        Raises:
            MaskError: the entry is damaged.
        """
        row = self._database.execute("SELECT * FROM proposals WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        _, seconds, image_height, image_width, count, height, width, numbers, masks = row
        table = np.frombuffer(numbers, dtype="<f8").reshape(count, 6)
        unpacked = unpack_masks(masks, (count, height, width))
        proposals = Proposals(unpacked, table[:, 0].copy(), table[:, 1].copy(), table[:, 2:].copy())
        return Answer(proposals, seconds, (image_height, image_width))

    def put(self, answers: Iterable[tuple[bytes, Answer]]) -> None:
        """Keep answers, all of them or, if that fails, none."""
        rows = [(key, *_row(answer)) for key, answer in answers]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO proposals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _row(answer: Answer) -> tuple[float | int | bytes, ...]:
    """An answer as columns, but for its key."""
    p = answer.proposals
    numbers = np.column_stack([p.mask_scores, p.box_scores, p.boxes]).astype("<f8")
    return (answer.seconds, *answer.image_shape, *p.masks.shape, numbers.tobytes(), pack_masks(p.masks))
