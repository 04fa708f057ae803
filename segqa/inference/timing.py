"""Time the stages of an evaluation, such as reading, inference and scoring."""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

STAGES = ("read", "measure", "prepare", "infer", "pick", "score")
"""Measuring the properties of a new image, and preparing it for a model that can do so ahead, are parts of reading it;
other models prepare it as a part of inference."""


class StageTimer:
    """Takes the time of stages; in any thread."""

    def __init__(self) -> None:
        self._seconds: dict[str, array[float]] = {stage: array("d") for stage in STAGES}

    @contextmanager
    def measure(self, stage: str, cases: int = 1) -> Iterator[None]:
        """Take the time of a block that does so many cases; nothing of one that fails."""
        start = time.perf_counter()
        yield
        self._seconds[stage].extend([(time.perf_counter() - start) / cases] * cases)

    def last(self, stage: str) -> float:
        """Seconds a case in the block that was timed last."""
        return self._seconds[stage][-1]

    def take(self) -> dict[str, array[float]]:
        """The seconds that have been taken, for somebody else to add to theirs; they are forgotten here."""
        taken, self._seconds = self._seconds, {stage: array("d") for stage in STAGES}
        return taken

    def add(self, taken: Mapping[str, array[float]]) -> None:
        """Count what was taken elsewhere as well."""
        for stage, seconds in taken.items():
            self._seconds[stage].extend(seconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """Of each stage that there was: how often, seconds in all, and the median and 95th percentile of a case."""
        return {
            stage: {
                "cases": len(seconds),
                "total": round(float(np.sum(seconds)), 4),
                "p50": round(float(np.percentile(seconds, 50)), 9),
                "p95": round(float(np.percentile(seconds, 95)), 9),
            }
            for stage, seconds in self._seconds.items()
            if seconds
        }


def peak_memory() -> dict[str, float]:
    """The most memory that this process has taken so far, in megabytes (10^6 bytes): `ram`, and torch's of a `gpu`.

    Empty where the system does not tell.
    """
    found = {}
    if sys.platform != "win32":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found["ram"] = round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
    return found
