"""`segqa runs` lists what has been evaluated, `segqa show` tells one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segqa.errors import StoreError
from segqa.report.text import paragraph
from segqa.run import describe
from segqa.store import Store

Directory = Annotated[Path, typer.Option("--dir", help="Where runs are kept.")]


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
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")],
    worst: Annotated[int, typer.Option(help="So many of the worst cases.")] = 10,
    directory: Directory = Path(".segqa"),
) -> None:
    """Show the numbers of a run and its worst cases."""
    store = Store(directory)
    found = [name for name in store.run_ids() if name.startswith(run_id)]
    exact = [name for name in found if name == run_id]
    if len(exact or found) != 1:
        typer.echo(f"segqa: {len(found) or 'no'} runs begin with {run_id!r}; `segqa runs` lists them", err=True)
        raise typer.Exit(4)
    run = store.load((exact or found)[0])
    for line in [*paragraph(run), f"worst {min(worst, len(run.outcomes))}:"]:
        typer.echo(line)
    for outcome in run.worst(worst):
        typer.echo(f"  {describe(run, outcome)}")
