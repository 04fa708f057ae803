"""A server of its own process, for the benchmarks of `segqa serve`; and the photos that it is asked about."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT.parent / "shared" / "data" / "ccp" / "images"
COMMAND = "from segqa.cli import app; app(prog_name='segqa')"


@contextmanager
def served(model: str, options: Sequence[str] = (), *, silent: bool = False) -> Iterator[str]:
    """`segqa serve` on a free port; gives its URL, and wants it to have ended well.

    Args:
        model: its name.
        options: of `segqa serve`.
        silent: its log is not shown.
    """
    quiet = subprocess.DEVNULL if silent else None
    command = [sys.executable, "-c", COMMAND, "serve", f"--model={model}", "--port=0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        line = process.stdout.readline()
        assert " on http" in line, line
        try:
            yield line.split(" on ")[1].split()[0]
        finally:
            process.terminate()
            code = process.wait(120)
        assert code == 0, code


def metric(url: str, name: str) -> float:
    """A number that the server tells of itself."""
    lines = httpx.get(f"{url}/metrics", timeout=60).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])
