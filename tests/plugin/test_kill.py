"""`kill -9` in the middle of an evaluation: the same command goes on, and ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from segqa.errors import PartsError
from segqa.inference.merge_shards import merge_parts, read_part
from segqa.runs.run import Run
from segqa.runs.store import Store

Repository = pytest.Pytester
COUNT, BATCH = 16, 2
SHARD = 9
"""So many cases are in shard 2/2."""


def slow_down(repository: Repository) -> None:
    """Let the model take its time, and count the images that it is asked for."""
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8").replace(
        "        return [Proposals.single(image[:, :, 0] > self",
        "        import os, time\n"
        "        time.sleep(0.3)\n"
        "        with open(os.path.join(os.path.dirname(__file__), 'asked'), 'a') as file:\n"
        "            file.write('x' * len(images))\n"
        "        return [Proposals.single(image[:, :, 0] > self",
        1,
    )
    conftest.write_text(text, encoding="utf-8")


def start(repository: Repository, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "suites", f"--segqa-batch-size={BATCH}", *options]
    return subprocess.Popen(
        command, cwd=repository.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def kill_halfway(repository: Repository, *options: str) -> None:
    """Kill the whole process group as soon as some outcomes, and not all, have been kept."""
    process = start(repository, *options)
    deadline = time.monotonic() + 60
    while len(outcomes(repository)) < COUNT // 3:
        assert process.poll() is None, (process.stdout.read() if process.stdout else b"").decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def outcomes(repository: Repository) -> Sequence[object]:
    store = Store(repository.path / ".segqa")
    return store.load(store.run_ids()[0]).outcomes if store.run_ids() else ()


def scores(run: Run) -> list[object]:
    return [(outcome.case_id, outcome.counts, outcome.picked, outcome.digest) for outcome in run.outcomes]


@pytest.mark.parametrize("workers", [pytest.param((), id="one process"), pytest.param(("-n", "2"), id="two workers")])
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(repository: Repository, workers: tuple[str, ...]) -> None:
    slow_down(repository)
    kill_halfway(repository, *workers)
    done = len(outcomes(repository))
    assert 0 < done < COUNT

    process = start(repository, *workers)
    said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    assert f"resumed: {done} cases had been done before" in said

    store = Store(repository.path / ".segqa")
    (run_id,) = store.run_ids()
    asked = len((repository.path / "asked").read_text(encoding="utf-8"))
    assert asked <= COUNT + BATCH, "at most the batch in flight is asked for again"

    undisturbed = start(repository, "--segqa-cache-dir=elsewhere")
    undisturbed.communicate()
    other = Store(Path(repository.path / "elsewhere"))
    assert scores(store.load(run_id)) == scores(other.load(other.run_ids()[0]))


def test_a_killed_shard_goes_on_and_merges(repository: Repository) -> None:
    slow_down(repository)
    kill_halfway(repository, "--segqa-shard=2/2")
    done, killed = len(outcomes(repository)), Store(repository.path / ".segqa").run_ids()[0]
    assert 0 < done < SHARD
    store = Store(repository.path / ".segqa")
    with pytest.raises(PartsError, match=r"shard 2/2 .* is not finished"):
        read_part(store.run_folder(killed))

    for shard, said in (("2/2", f"resumed: {done} cases had been done before"), ("1/2", "7 of 16 cases")):
        process = start(repository, f"--segqa-shard={shard}")
        output = process.communicate()[0].decode()
        assert process.returncode == 0, output
        assert said in output
    assert len(store.run_ids()) == 2
    whole = merge_parts([read_part(store.run_folder(run_id)) for run_id in store.run_ids()], store)
    assert len(whole.outcomes) == COUNT
    asked = len((repository.path / "asked").read_text(encoding="utf-8"))
    assert asked <= COUNT + BATCH, "at most the batch in flight is asked for again"


def test_a_worker_that_dies_while_evaluating_is_replaced(repository: Repository) -> None:
    slow_down(repository)
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8").replace(
        "        time.sleep(0.3)\n",
        "        if os.path.exists('asked') and not os.path.exists('died'):\n"
        "            open('died', 'w').close()\n"
        "            os.kill(os.getpid(), 9)\n",
    )
    conftest.write_text(text, encoding="utf-8")
    process = start(repository, "-n", "2")
    said = process.communicate()[0].decode()
    # xdist reports the test that was running in the worker as failed; every other one has its answer
    assert "mean IoU 1.0000 (16 scored, 0 missing, 0 errors)" in said
    assert "1 failed, 8 passed" in said
    assert process.returncode == 1
