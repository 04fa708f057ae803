"""What is changed in a repository beside its model, and an attempt made of such changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.false_green.trial import SHRUNK, Edit, Ending, Trial
from tests.false_green.way import Attempt

Change = Callable[[Trial], object]
Row = dict[str, Any]

GATE = "suites/test_regression.py"
NO_CI: Change = lambda trial: trial.patched.delenv("CI")  # noqa: E731 - a change like those that functions return


def worse(*changes: Change, edit: Edit = SHRUNK, options: Iterable[str] = (), alone: bool = False) -> Attempt:
    """Make the model worse, change something else, and run with some options."""

    def attempt(trial: Trial) -> Ending:
        trial.make_worse(edit)
        for change in changes:
            change(trial)
        return trial.run(*options, alone=alone)

    return attempt


def update(trial: Trial, *options: str) -> None:
    """Write the baseline anew from the model as it is, where `CI` is not set."""
    trial.patched.delenv("CI")
    trial.prepare("--segqa-update-baseline", *options)
    trial.patched.setenv("CI", "true")


def replace(file: str, *texts: tuple[str, str]) -> Change:
    """Replace texts in a file."""
    return lambda trial: trial.edit(file, *texts)


def append(file: str, text: str) -> Change:
    """Write something at the end of a file."""
    return lambda trial: trial.append(file, f"\n\n{text.strip()}\n")


def put(file: str, text: str) -> Change:
    """Write a file."""
    return lambda trial: trial.write(file, text)


def rename(file: str, new: str) -> Change:
    """Rename a file or a folder."""
    return lambda trial: (trial.path / file).rename(trial.path / new)


def delete(file: str) -> Change:
    """Delete a file or a folder."""

    def change(trial: Trial) -> None:
        path = trial.path / file
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    return change


def tables(*texts: str) -> Change:
    """Write tables at the end of `pyproject.toml`."""
    return lambda trial: trial.set(*texts)


def setting(line: str) -> Change:
    """Write a line into `[tool.segqa]`."""
    return replace("pyproject.toml", ("[tool.segqa]\n", f"[tool.segqa]\n{line}\n"))


def variable(name: str, value: str) -> Change:
    """Set a variable of the environment."""
    return lambda trial: trial.patched.setenv(name, value)


def in_fixture(*lines: str) -> Change:
    """Put lines at the beginning of the model's fixture."""
    return replace("conftest.py", ("def mine():\n", "def mine():\n" + "".join(f"    {line}\n" for line in lines)))


def in_predict(*lines: str) -> Change:
    """Put lines at the beginning of `predict`."""
    return replace("network.py", ("prompts):\n", "prompts):\n" + "".join(f"        {line}\n" for line in lines)))


def declare_data(body: str) -> Change:
    """Declare the data set by a fixture."""

    def change(trial: Trial) -> None:
        append("conftest.py", f"@segqa.dataset\ndef photos():\n    {body}")(trial)
        trial.edit("pyproject.toml", ('dataset = "squares"', 'dataset = "photos"'), ("name_pattern", "# name_pattern"))

    return change


def rewrite(change: Callable[[Row, list[Row]], Iterable[Row]]) -> Change:
    """Rewrite the baseline by hand: the change gets its header and its rows, and returns the lines to write."""

    def edit(trial: Trial) -> None:
        header, *rows = map(json.loads, trial.baseline.read_text(encoding="utf-8").splitlines())
        lines = (json.dumps(row, separators=(",", ":")) for row in change(header, rows))
        trial.baseline.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    return edit


def rewrite_text(change: Callable[[str], str]) -> Change:
    """Rewrite the text of the baseline."""

    def edit(trial: Trial) -> None:
        trial.baseline.write_text(change(trial.baseline.read_text(encoding="utf-8")), encoding="utf-8")

    return edit


def newest_run(trial: Trial) -> Path:
    """Return the folder of the run that was written last."""
    return max(trial.path.glob(".segqa/runs/*"), key=lambda path: (path / "run.json").stat().st_mtime_ns)
