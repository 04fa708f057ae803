"""Every command, with every format and any number of runs: an answer or a refusal, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import typer
from typer.testing import CliRunner, Result

from segqa.cli import app
from segqa.gate.baseline import write_baseline
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.scoring.metrics import Counts
from tests.outcomes import outcome_of

RUNS = ("1-unet", "2-unet", "3-other")
REQUIRED = {
    "baseline accept": ["--reason", "why not"],
    "train": ["--dataset", "nowhere", "--out", "trained"],
    "export": ["--dataset", "nowhere"],
    "selftest": [],
}
"""What a command needs beside runs; `serve` is never given its model, so that it does not start."""


def walk(group: typer.Typer, name: str = "") -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield how each command is called, and its function."""
    for command in group.registered_commands:
        if command.callback is not None:
            yield f"{name} {command.name or command.callback.__name__}".strip(), command.callback
    for child in group.registered_groups:
        if child.typer_instance is not None:
            yield from walk(child.typer_instance, f"{name} {child.name}".strip())


COMMANDS = dict(walk(app))


def formats_of(command: Callable[..., object]) -> list[list[str]]:
    """Return the ways to ask for each format, by the annotation of its option; an empty one asks for the default."""
    found: list[list[str]] = [[]]
    for hint in get_type_hints(command, include_extras=True).values():
        kind, *extras = get_args(hint) or (hint,)
        if any("--format" in {getattr(extra, "default", ""), *declared_names(extra)} for extra in extras):
            literals = [kind] if get_origin(kind) is Literal else get_args(kind)
            found += [["--format", form] for literal in literals for form in get_args(literal)]
    return found


def declared_names(option: object) -> Iterable[str]:
    return getattr(option, "param_decls", None) or ()


CALLS = [
    pytest.param(name, form, count, id=f"{name} {' '.join(form)} {count}")
    for name, command in COMMANDS.items()
    for form, count in product(formats_of(command), range(4))
]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three runs, the last over one case more, and a baseline of the first."""
    folder = tmp_path_factory.mktemp("project")
    store = Store(folder / ".segqa")
    for number, run_id in enumerate(RUNS):
        outcomes = [outcome_of(Counts(8, n % 3, 2, 10), f"{n:02}", seconds=0.1) for n in range(12 + number // 2)]
        ids = tuple(outcome.case_id for outcome in outcomes)
        run = store.begin(Run(run_id, run_id[2:], "photos", ids, (), "product"), run_id)
        store.append(run.id, outcomes)
        store.finish(store.load(run_id), run_id)
    write_baseline(folder / "baselines" / "photos" / "unet.jsonl", store.load(RUNS[0]))
    return folder


@pytest.fixture
def project(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in that folder."""
    monkeypatch.chdir(kept)
    return kept


def require_answer(result: Result) -> None:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in {0, 1, 2, 4}
    assert "Traceback" not in result.output
    assert result.exit_code == 0 or result.output.strip()


@pytest.mark.parametrize(("name", "form", "count"), CALLS)
def test_a_command_answers_or_refuses(project: Path, name: str, form: list[str], count: int) -> None:
    result = call(*name.split(), *RUNS[:count], *form, *REQUIRED.get(name, []))
    require_answer(result)
    if name == "compare":
        assert result.exit_code == (0 if count else 2)
    if form[1:] == ["json"] and name != "report" and result.exit_code < 2:
        assert json.loads(result.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_refuses_runs_that_are_not_there(project: Path, name: str) -> None:
    require_answer(call(*name.split(), "lost", *REQUIRED.get(name, [])))


def test_one_run_and_three_are_set_side_by_side_in_every_format(project: Path) -> None:
    for count in (1, 3):
        lines = call("compare", *RUNS[:count], "--format", "csv").stdout.splitlines()
        assert [line.split(",")[0] for line in lines] == ["model", *[run_id[2:] for run_id in RUNS[:count]]]
        rows = json.loads(call("compare", *RUNS[:count], "--format", "json").stdout)
        assert len(rows) == count
        assert rows[0]["mean IoU"] == pytest.approx((8 / 10 + 8 / 11 + 8 / 12) / 3)
    assert "these runs are not over the same cases" in call("compare", *RUNS).stderr
    assert "not over the same cases" not in call("compare", RUNS[0], RUNS[1]).output
