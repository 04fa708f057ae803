"""Threads: processes that evaluate side by side share the cores; each taking all of them is slower than one alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2


def fair_share(processes: int) -> int:
    """How many threads each of some processes may use on this machine: at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // processes)


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Use so many threads in OpenCV, and in torch if it is loaded; afterwards as many as before. None leaves them.

    A model that has loaded torch itself has done so when it was built, before it is evaluated.
    """
    if count is None:
        yield
        return
    torch = sys.modules.get("torch")
    before = cv2.getNumThreads(), torch.get_num_threads() if torch else None
    cv2.setNumThreads(count)
    if torch:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        if torch:
            torch.set_num_threads(before[1])
