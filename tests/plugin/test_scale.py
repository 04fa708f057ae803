"""The recipes of docs/scale.md, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from segqa.runs.store import Store

Repository = pytest.Pytester
PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def run(repository: Repository, script: str, **variables: str) -> str:
    """What a script says, run by bash in the repository with our own commands at hand."""
    commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": commands, **variables}
    done = subprocess.run(
        ["bash", "-c", script], cwd=repository.path, env=environment, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_four_processes_of_a_shell_make_one_run(repository: Repository) -> None:
    said = run(repository, SCRIPTS[0])
    assert "  merged of 4 shards" in said
    assert "bright on squares: mean IoU 1.0000 (16 scored, 0 missing, 0 errors)" in said
    assert len(Store(repository.path / ".segqa").run_ids()) == 1


def test_the_tasks_of_an_array_leave_what_merge_takes(repository: Repository) -> None:
    for task in ("1", "2"):
        run(repository, SCRIPTS[1], SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT="2")
    judge = re.search(r"--wrap '(.*)'$", PAGE, re.MULTILINE)
    assert judge is not None
    assert "  merged of 2 shards" in run(repository, judge[1])


def test_the_matrix_has_as_many_shards_as_it_says() -> None:
    matrix = re.search(r"matrix: \{ shard: \[(.*)\] \}", PAGE)
    assert matrix is not None
    numbers = [int(number) for number in matrix[1].split(",")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert f"--segqa-shard ${{{{ matrix.shard }}}}/{len(numbers)} " in PAGE
