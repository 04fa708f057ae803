"""Damage to files: single flipped bits, and files as an earlier version wrote them."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


def flip_bits(path: Path, count: int, seed: int = 0) -> Iterator[str]:
    """Flip one bit of a file after the other, at random places; yields where, with the file as it is then.

    All other bits are as they were, and at the end the file is, too.
    """
    whole, draw = path.read_bytes(), random.Random(seed)  # noqa: S311 - no secret
    for place in sorted(draw.sample(range(8 * len(whole)), min(count, 8 * len(whole)))):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        _write(path, bytes(damaged))
        yield f"byte {place // 8} bit {place % 8} of {path.name}"
    _write(path, whole)


def flip_bit(path: Path, text: bytes, bit: int = 0) -> None:
    """Flip one bit of the first byte of a text that is in a file."""
    whole = path.read_bytes()
    place = whole.index(text)
    _write(path, whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])


def remove_checksums(folder: Path) -> None:
    """Make a run what an earlier version would have written."""
    path = folder / "run.json"
    header = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in header.items() if name not in ("checksum", "cases")}
    path.write_text(json.dumps(kept), encoding="utf-8")
    if (folder / "cases" / "index.json").exists():
        index = json.loads((folder / "cases" / "index.json").read_text(encoding="utf-8"))
        (folder / "cases" / "index.json").write_text(json.dumps({"rows": index["rows"]}), encoding="utf-8")
        return
    with closing(sqlite3.connect(folder / "cases.sqlite")) as database, database:
        database.execute("ALTER TABLE outcomes DROP COLUMN checksum")


def _write(path: Path, content: bytes) -> None:
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    path.write_bytes(content)
