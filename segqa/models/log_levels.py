"""Quiet: what a library logs of a failure that our own error says in one line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limit_logging(library: str, level: int) -> Iterator[None]:
    """Let a library log nothing below a level inside the block."""
    log = logging.getLogger(library)
    before = log.level
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(before)
