"""Commands of `segqa baseline`: show, verify, diff and accept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segqa.cli.runs import Directory, find_run, read_project, refusal, say
from segqa.data.storage import expand_home
from segqa.errors import SegqaError
from segqa.gate.baseline import describe_unchecked, get_baseline_path, read_baseline
from segqa.gate.baseline_update import prepare_update, refuse_unfit
from segqa.gate.comparison import compare
from segqa.gate.policy import build_policy, judge_with_settings
from segqa.gate.verdict import Verdict
from segqa.report.terminal import paragraph
from segqa.runs.run import Run, describe
from segqa.settings import Settings
from segqa.support.git import WorkTree
from segqa.support.plurals import format_count

app = typer.Typer(no_args_is_help=True, help="Look at baselines, and change them.")

Paths = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Baselines, or folders of them.", parser=expand_home)
]
Folder = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="DIR", help="The folder of the baselines.", parser=expand_home),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")]


@app.command()
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A baseline.", parser=expand_home)],
    worst: Annotated[int, typer.Option(help="So many of the worst cases.")] = 10,
) -> None:
    """Show the numbers of a baseline, what has been accepted, how far it drifted, and its worst cases."""
    try:
        run = read_baseline(path)
    except SegqaError as error:
        raise refusal(str(error)) from error
    for line in paragraph(run)[:-1]:
        say(line)
    for reason in run.provenance["accepted"]:
        say(f"  accepted: {reason}")
    drift = run.provenance["drift"] or {}
    for name, mean in (run.provenance["reference"] or {}).items():
        typer.echo(f"  reference: {name} {mean:.4f}, changed by {drift.get(name, 0.0):+.4f} since")
    for outcome in run.worst(worst):
        say(f"  {describe(run, outcome)}")


@app.command()
def verify(paths: Paths) -> None:
    """Check that baselines are whole, in order, and as they were written."""
    found = [file for path in paths for file in (sorted(path.rglob("*.jsonl")) if path.is_dir() else [path])]
    if not found:
        raise refusal(f"no baseline in {', '.join(map(str, paths))}")
    bad = 0
    for file in found:
        try:
            run = read_baseline(file)
        except SegqaError as error:
            bad += 1
            say(f"segqa: {error}", err=True)
        else:
            typer.echo(f"{file}  {format_count(len(run.outcomes), 'case')}, mean IoU {run.mean_iou:.4f}")
            if unchecked := describe_unchecked(run):
                say(f"  note: {unchecked}")
    if bad:
        raise typer.Exit(4)


@app.command()
def diff(run_id: RunName, baseline: Folder = None, directory: Directory = Path(".segqa")) -> None:
    """Judge a run against its baseline, by the rules in pyproject.toml; exit 1 for a regression."""
    try:
        run, (settings, root) = find_run(directory, run_id), read_project()
        verdict = _judge(settings, get_baseline_path(baseline or root / expand_home(settings.gate.baseline), run), run)
    except SegqaError as error:
        raise refusal(str(error)) from error
    typer.echo(verdict.story)
    if not verdict.passed:
        raise typer.Exit(1)


@app.command()
def accept(
    run_id: RunName,
    reason: Annotated[str, typer.Option(help="Why a loss is accepted; kept in the baseline.")],
    baseline: Folder = None,
    directory: Directory = Path(".segqa"),
    *,
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Whatever the work tree has changed.")] = False,
) -> None:
    """Make a run the baseline, whatever it loses, and keep the reason if it loses anything."""
    if not reason.strip():
        raise refusal("--reason must say why")
    try:
        run, (settings, root) = find_run(directory, run_id), read_project()
        folder = baseline or root / expand_home(settings.gate.baseline)
        path, budget = get_baseline_path(folder, run), settings.thresholds_for(run.model).errors
        notes = refuse_unfit(run, budget, tree=WorkTree(root), allow_dirty=allow_dirty)
        policy = build_policy(settings, run.model)
        update = prepare_update(
            path, run, lambda: _judge(settings, path, run), policy, reason=reason.strip(), root=root
        )
        update.write()
    except SegqaError as error:
        raise refusal(str(error)) from error
    if update.verdict is not None:
        typer.echo(update.verdict.story)
    typer.echo(f"wrote {path} ({format_count(len(run.outcomes), 'case')}); commit it")
    for note in (*update.notes, *notes):
        say(note)


def _judge(settings: Settings, path: Path, run: Run) -> Verdict:
    """Judge a run against the baseline in a file."""
    return judge_with_settings(settings, compare(read_baseline(path), run))
