"""`segqa baseline` looks at baselines and changes them: show, verify, diff, accept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segqa.baseline import baseline_path, read_baseline, write_baseline
from segqa.cli.runs import Directory, find_run, read_project, refusal
from segqa.comparison.comparison import compare
from segqa.errors import SegqaError
from segqa.gate import judge_by
from segqa.report.text import paragraph
from segqa.run import describe

app = typer.Typer(no_args_is_help=True, help="Look at baselines, and change them.")

Paths = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Baselines, or folders of them.")]
Folder = Annotated[Path | None, typer.Option("--baseline", help="The folder of the baselines.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")]


@app.command()
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A baseline.")],
    worst: Annotated[int, typer.Option(help="So many of the worst cases.")] = 10,
) -> None:
    """Show the numbers of a baseline, what has been accepted, and its worst cases."""
    try:
        run = read_baseline(path)
    except SegqaError as error:
        raise refusal(str(error)) from error
    for line in paragraph(run)[:-1]:
        typer.echo(line)
    for reason in run.provenance["accepted"]:
        typer.echo(f"  accepted: {reason}")
    for outcome in run.worst(worst):
        typer.echo(f"  {describe(run, outcome)}")


@app.command()
def verify(paths: Paths) -> None:
    """Check that baselines are whole and in order."""
    found = [file for path in paths for file in (sorted(path.rglob("*.jsonl")) if path.is_dir() else [path])]
    if not found:
        raise refusal(f"no baseline in {', '.join(map(str, paths))}")
    bad = 0
    for file in found:
        try:
            run = read_baseline(file)
        except SegqaError as error:
            bad += 1
            typer.echo(f"segqa: {error}", err=True)
        else:
            typer.echo(f"{file}  {len(run.outcomes)} cases, mean IoU {run.mean_iou:.4f}")
    if bad:
        raise typer.Exit(4)


@app.command()
def diff(run_id: RunName, baseline: Folder = None, directory: Directory = Path(".segqa")) -> None:
    """Judge a run against its baseline, by the rules in pyproject.toml; exit 1 for a regression."""
    try:
        run, gate = find_run(directory, run_id), read_project()[0].gate
        comparison = compare(read_baseline(baseline_path(baseline or _configured(), run)), run)
        verdict = judge_by(gate, comparison)
    except SegqaError as error:
        raise refusal(str(error)) from error
    typer.echo(verdict.story)
    if not verdict.passed:
        raise typer.Exit(1)


@app.command()
def accept(
    run_id: RunName,
    reason: Annotated[str, typer.Option(help="Why it is accepted; kept in the baseline.")],
    baseline: Folder = None,
    directory: Directory = Path(".segqa"),
) -> None:
    """Make a run the baseline, whatever it loses, and keep the reason."""
    if not reason.strip():
        raise refusal("--reason must say why")
    run = find_run(directory, run_id)
    path = baseline_path(baseline or _configured(), run)
    if run.missing or run.narrowed_by:
        raise refusal("no baseline is made of a part of a data set")
    try:
        before = list(read_baseline(path).provenance["accepted"]) if path.exists() else []
        write_baseline(path, run, [*before, reason])
    except SegqaError as error:
        raise refusal(str(error)) from error
    typer.echo(f"wrote {path} ({len(run.outcomes)} cases); commit it")


def _configured() -> Path:
    """The folder of the baselines by `[tool.segqa.gate]`."""
    try:
        settings, root = read_project()
        return root / settings.gate.baseline
    except SegqaError as error:
        raise refusal(str(error)) from error
