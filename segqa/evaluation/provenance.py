"""Provenance is where a run comes from: what was typed, the commit, the versions. A run is named after it, too."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from typing import Any

from segqa.escaping import to_file_name
from segqa.metrics import METRIC_VERSION


def run_id(now: datetime, *names: str) -> str:
    """The id of a run: when it was begun, and what of.

    >>> run_id(datetime(2026, 11, 22, 9, 30), "unet", "my photos")
    '20261122-093000-unet-my-photos'
    """
    return to_file_name("-".join([f"{now:%Y%m%d-%H%M%S}", *names]))


def provenance_of(now: datetime, command: str) -> dict[str, Any]:
    """Where a run comes from, in JSON's types."""
    return {
        "command": command,
        "started": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "metric_version": METRIC_VERSION,
        **_commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    """Of what may decide the scores, as far as it is in use here."""
    used = [name for name in ("torch", "transformers", "segmentation_models_pytorch") if name in sys.modules]
    found = {name: str(getattr(sys.modules[name], "__version__", "")) for name in used}
    return {name: version(name) for name in ("segqa", "numpy", "opencv-python-headless", "pillow")} | found


def _commit() -> dict[str, Any]:
    """The commit of the work tree that the evaluation runs in, and whether it has changes; `""` outside of git."""
    try:
        head = _git("rev-parse", "HEAD")
        return {"commit": head.strip(), "dirty": bool(_git("status", "--porcelain").strip())}
    except (OSError, subprocess.SubprocessError):
        return {"commit": "", "dirty": False}


def _git(*arguments: str) -> str:
    finished = subprocess.run(["git", *arguments], capture_output=True, check=True, text=True, timeout=30)  # noqa: S603, S607
    return finished.stdout
