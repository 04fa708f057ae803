"""The machine that an evaluation runs on, in words: seconds of different ones are not compared."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

from segqa.evaluation.threads import fair_share


def hardware(threads: int | None) -> str:
    """Processor, cores, how many threads are used of them, and the GPU that torch has used, if any.

    Args:
        threads: to which libraries were limited; None for no limit.
    """
    parts = [_processor(), f"{fair_share(1)} cores"]
    if threads is not None:
        parts.append(f"{threads} threads")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def _processor() -> str:
    """The processor as its maker calls it, where the system tells; else its architecture."""
    try:
        listed = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        listed = None
    return " ".join(listed[1].split()) if listed else platform.processor() or platform.machine()
