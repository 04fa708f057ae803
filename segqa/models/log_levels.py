"""Log levels of third-party libraries: silence messages that segqa's own errors already report."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limit_logging(library: str, level: int) -> Iterator[None]:
    """Suppress a library's log messages below a level inside the block."""
    log = logging.getLogger(library)
    before = log.level
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(before)
