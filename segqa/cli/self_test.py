"""Command `segqa selftest`: damage copies of a run and report which damage the gate detects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segqa.cli.runs import Directory, find_run, read_project, refusal, say
from segqa.errors import SegqaError
from segqa.gate.rules import resolve_rules
from segqa.gate.self_test import DamageTrial, run_self_test
from segqa.report.tables import Table
from segqa.runs.groups import suggest_groups
from segqa.runs.store import Store
from segqa.support.plurals import format_count


def selftest(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")] = "",
    model: Annotated[str, typer.Option(help="In place of RUN: the last whole run of this model.")] = "",
    fail_on: Annotated[list[str] | None, typer.Option(help="A rule beside those of [tool.segqa.gate].")] = None,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Cases that share its value are one sample; by default group_by of the gate."),
    ] = None,
    directory: Directory = Path(".segqa"),
) -> None:
    """Test the gate of pyproject.toml: does it see what it promises, and is it silent where there is nothing?"""
    try:
        gate = read_project()[0].gate
        run = find_run(directory, run_id or _find_last_run(directory, model))
        rules = resolve_rules([*gate.fail_on, *(fail_on or ())])
        tag = gate.group_by if group_by is None else group_by
        trials = run_self_test(run, rules, alpha=gate.alpha, group_by=tag)
    except SegqaError as error:
        raise refusal(str(error)) from error
    typer.echo(f"{run.id}: {format_count(len(run.scored), 'case')}, rules {' '.join(map(str, rules))}")
    if not tag and (suggested := suggest_groups(run.columns)):
        say(f"note: {suggested.advice}")
    rows = tuple((trial.name, f"{trial.fired} of {trial.trials}", _promise(trial), trial.text) for trial in trials)
    typer.echo(Table(("damage", "seen", "", "first finding"), rows).render("text"))
    if not all(trial.passed for trial in trials):
        raise typer.Exit(1)


def _promise(trial: DamageTrial) -> str:
    """Compare the gate's reaction with its promise: not promised, ok, missed, or false alarm."""
    if trial.promised is None:
        return "not promised"
    return "ok" if trial.passed else "MISSED" if trial.promised else "CRIED WOLF"


def _find_last_run(directory: Path, model: str) -> str:
    """Return the id of the last complete run of a model."""
    if not model:
        raise refusal("give a RUN, or --model NAME")
    run_id = Store(directory).find_last_whole(model)
    if run_id is None:
        raise refusal(f"no whole run of {model!r} in {directory}; `segqa runs` lists what there is")
    return run_id
