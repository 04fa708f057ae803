"""The proposals on disk against `kill -9`: whatever was kept is there and whole, whenever it strikes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segqa.inference.proposal_cache import ProposalCache

WRITER = """
import sys
from pathlib import Path
import numpy as np
from segqa.inference.proposal_cache import CachedAnswer, ProposalCache
from segqa.models.protocol import Proposals

start, path = int(sys.argv[1]), Path(sys.argv[2])
draw = np.random.default_rng(start)
with ProposalCache(path) as cache:
    print("ready", flush=True)
    for number in range(start, start + 100_000, 4):
        batch = []
        for key in range(number, number + 4):
            masks = draw.random((3, 96, 128)) > 0.5
            proposals = Proposals(masks, *draw.random((2, 3)), draw.random((3, 4)))
            batch.append((key.to_bytes(16, "big"), CachedAnswer(proposals, 0.1, (96, 128))))
        cache.put(batch, "writer")
        print(number + 4, flush=True)
"""


def kill_while_writing(path: Path, start: int, seconds: float) -> int:
    """Start a writer, kill it after so long; the number up to which it has said that all is kept."""
    command = [sys.executable, "-c", WRITER, str(start), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read().split("\n")
    numbers = [int(line) for line in said[:-1]]
    return numbers[-1] if numbers else start


def check(path: Path, kept: list[tuple[int, int]]) -> None:
    with ProposalCache(path) as cache:
        assert list(cache.find_damaged()) == []
        promised = [key.to_bytes(16, "big") for start, end in kept for key in range(start, end)]
        assert cache.find_missing(promised) == []
        # a batch is there as a whole or not at all
        assert sum(held.entries for held in cache.holdings()) % 4 == 0


def kills(path: Path, times: int) -> None:
    when = random.Random(times)  # noqa: S311 - no secret
    kept = []
    for turn in range(times):
        start = turn * 1_000_000
        kept.append((start, kill_while_writing(path, start, when.uniform(0, 0.08))))
    check(path, kept)
    assert sum(end - start for start, end in kept) > times


def test_what_was_kept_survives_a_few_kills(tmp_path: Path) -> None:
    kills(tmp_path / "proposals.sqlite", 5)


@pytest.mark.slow
def test_what_was_kept_survives_two_hundred_kills(tmp_path: Path) -> None:
    kills(tmp_path / "proposals.sqlite", 200)
