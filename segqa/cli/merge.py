"""Command `segqa merge`: combine the runs of all shards into one run of the whole data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segqa.cli.runs import Directory, refusal, say
from segqa.errors import SegqaError
from segqa.inference.merge_shards import find_folder, merge_parts, read_part
from segqa.runs.store import Store
from segqa.support.plurals import format_count


def merge(
    names: Annotated[list[str], typer.Argument(metavar="RUN…", help="Runs, by how their ids begin, or their folders.")],
    directory: Directory = Path(".segqa"),
) -> None:
    """Merge the runs of all shards into that of the whole, and print its id; refuse what does not make a whole."""
    store = Store(directory)
    try:
        folders = [find_folder(store, name, Path()) for name in names]
        run = merge_parts([read_part(folder) for folder in folders], store)
    except SegqaError as error:
        raise refusal(str(error)) from error
    # print only the id to stdout, so that other commands can read it
    say(
        f"{run.title}: {format_count(len(run.outcomes), 'case')} of {format_count(len(folders), 'shard')} "
        f"({run.tally})",
        err=True,
    )
    typer.echo(f"judge it: pytest suites --segqa-run {run.id}", err=True)
    typer.echo(run.id)
