"""Describe the environment of the process: the machine, its cores and threads, and whether it runs in CI."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def describe_hardware(threads: int | None) -> str:
    """Describe the processor, its cores, the limit on threads, and the GPU that torch has used, if any.

    Args:
        threads: the limit set for libraries; None for no limit.
    """
    parts = [_read_processor(), f"{compute_fair_share(1)} cores"]
    if threads is not None:
        parts.append(f"{threads} threads")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def _read_processor() -> str:
    """Return the model name of the processor, or its architecture where the system does not report one."""
    try:
        listed = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        listed = None
    return " ".join(listed[1].split()) if listed else platform.processor() or platform.machine()


def compute_fair_share(processes: int) -> int:
    """Return how many threads each of `processes` processes may use on this machine, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // processes)


@contextmanager
def limit_threads(count: int | None) -> Iterator[None]:
    """Limit the threads of OpenCV, and of torch if it is loaded, inside the block. None sets no limit.

    A model that uses torch loads it when it is built, which is before its evaluation.
    """
    if count is None:
        yield
        return
    import cv2

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


_OFF = frozenset({"", "0", "false", "no", "off"})

CI_VARIABLES = (
    "APPVEYOR",
    "BITBUCKET_BUILD_NUMBER",
    "BUILDKITE",
    "CIRCLECI",
    "CIRRUS_CI",
    "CODEBUILD_BUILD_ID",
    "DRONE",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "JENKINS_URL",
    "SEMAPHORE",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "TRAVIS",
    "WOODPECKER",
)
"""A variable of each of the usual CI systems. Jenkins, Azure Pipelines, TeamCity and CodeBuild do not set `CI`."""


def is_ci() -> bool:
    """Return whether the process runs in CI.

    The variable `CI` decides where it is set: `CI=false`, `CI=0` and an empty one mean no. Where it is not, one of
    `CI_VARIABLES` means yes.
    """
    names = ("CI",) if "CI" in os.environ else CI_VARIABLES
    return any(os.environ.get(name, "").strip().lower() not in _OFF for name in names)
