"""`segqa runs` lists what has been evaluated, `show` tells one run, `compare` sets several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segqa.errors import SegqaError, StoreError
from segqa.report.lineup import flip_table, line_up, pick_lab
from segqa.report.table import Format
from segqa.report.text import paragraph
from segqa.run import Run, describe
from segqa.store import Store

Directory = Annotated[Path, typer.Option("--dir", help="Where runs are kept.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")]
As = Annotated[Format, typer.Option("--format", help="How to print the table.")]


def runs(directory: Directory = Path(".segqa")) -> None:
    """List the runs, oldest first."""
    store = Store(directory)
    for run_id in store.run_ids():
        try:
            run, state = store.load(run_id), "" if store.is_finished(run_id) else "  unfinished"
        except StoreError as error:
            typer.echo(f"{run_id}  {error}")
            continue
        typer.echo(f"{run.id}  mean IoU {run.mean_iou:.4f}  {run.tally}  picked by {run.pick}{state}")


def show(
    run_id: RunId,
    worst: Annotated[int, typer.Option(help="So many of the worst cases.")] = 10,
    where: Annotated[str, typer.Option(metavar="CONDITION", help="Only the cases that it means.")] = "",
    directory: Directory = Path(".segqa"),
) -> None:
    """Show the numbers of a run and its worst cases."""
    run = find_run(directory, run_id)
    try:
        run = run.where(where) if where else run
    except SegqaError as error:
        raise refusal(str(error)) from error
    for line in [*paragraph(run), f"worst {min(worst, len(run.outcomes))}:"]:
        typer.echo(line)
    for outcome in run.worst(worst):
        typer.echo(f"  {describe(run, outcome)}")


def compare(
    run_ids: Annotated[list[str], typer.Argument(metavar="RUN…", help="Ids of runs, or how they begin.")],
    form: As = "text",
    directory: Directory = Path(".segqa"),
) -> None:
    """Set runs side by side: mean IoU with its interval, zeros, seconds a case, size of the weights."""
    found = [find_run(directory, run_id) for run_id in run_ids]
    typer.echo(line_up(found).render(form))
    if len({run.expected for run in found}) > 1:
        typer.echo("segqa: these runs are not over the same cases", err=True)


def pick(
    run_id: RunId,
    flips: Annotated[str, typer.Option(metavar="PICKER", help="List the cases that it decides otherwise.")] = "",
    form: As = "text",
    directory: Directory = Path(".segqa"),
) -> None:
    """Replay every picker over the proposals of a run, without a model."""
    run = find_run(directory, run_id)
    try:
        table = flip_table(run, flips) if flips else pick_lab(run)
    except SegqaError as error:
        raise refusal(str(error)) from error
    typer.echo(table.render(form))


def find_run(directory: Path, begin: str) -> Run:
    """The one run whose id is this or begins so."""
    store = Store(directory)
    found = [name for name in store.run_ids() if name.startswith(begin)]
    chosen = [name for name in found if name == begin] or found
    if len(chosen) != 1:
        raise refusal(f"{len(found) or 'no'} runs begin with {begin!r}; `segqa runs` lists them")
    try:
        return store.load(chosen[0])
    except StoreError as error:
        raise refusal(str(error)) from error


def refusal(problem: str) -> typer.Exit:
    """Say what is wrong in one line, and end with 4."""
    typer.echo(f"segqa: {problem}", err=True)
    return typer.Exit(4)
