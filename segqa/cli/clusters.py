"""Commands `segqa clusters`, which finds failure clusters, and `segqa labels`, which finds suspected label errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segqa.analysis.failure_clusters.search import ALPHA, DEPTH, MIN_CASES
from segqa.analysis.failure_clusters.search import find_clusters as find
from segqa.analysis.label_errors import find_label_errors
from segqa.cli.runs import Directory, RunId, find_run, read_project, refusal, say
from segqa.errors import SegqaError
from segqa.support.plurals import format_count


def clusters(
    run_id: RunId,
    kind: Annotated[str, typer.Option(help="Of one kind of failure only, such as wrong_object.")] = "",
    alpha: Annotated[float, typer.Option(help="How often, at most, something is found where nothing is.")] = ALPHA,
    min_cases: Annotated[int, typer.Option(help="Cases of a rule, at least.")] = MIN_CASES,
    depth: Annotated[int, typer.Option(help="Predicates in a rule, at most.")] = DEPTH,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="TAG", help="Cases that share its value depend on each other; by default group_by of the gate."
        ),
    ] = None,
    directory: Directory = Path(".segqa"),
) -> None:
    """Find the rules whose cases fail far more than the rest."""
    try:
        tag = read_project()[0].gate.group_by if group_by is None else group_by
        found = find(find_run(directory, run_id), group_by=tag, alpha=alpha, min_cases=min_cases, depth=depth)
        story = found.describe(kind)
    except SegqaError as error:
        raise refusal(str(error)) from error
    if found.gap:
        say(str(found.gap))
    typer.echo(story or "no cluster")
    if found.note:
        say(f"note: {found.note}")
    tried = " + ".join(map(str, found.searched))
    typer.echo(
        f"tried {tried} rules of 1 to {format_count(len(found.searched), 'predicate')}, and "
        f"{format_count(found.permutations, 'permutation')}"
    )


def labels(
    run_ids: Annotated[list[str], typer.Argument(metavar="RUN…", help="Runs of several models over the same cases.")],
    directory: Directory = Path(".segqa"),
) -> None:
    """List the cases that fail in the same way under every model: perhaps it is the label that is wrong."""
    runs = [find_run(directory, run_id) for run_id in run_ids]
    if len({run.model for run in runs}) < 2:
        raise refusal("labels are judged by two models or more; give a run of each")
    for suspicion in find_label_errors(runs):
        say(str(suspicion))
