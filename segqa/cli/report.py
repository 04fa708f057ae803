"""Command `segqa report`: write the review page of stored runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from segqa.cli.open_data import open_dataset
from segqa.cli.runs import Directory, find_run, read_project, refusal, say
from segqa.data.storage import expand_home
from segqa.errors import SegqaError
from segqa.gate.baseline import get_baseline_path, get_stored_baseline_path, read_baseline
from segqa.report.write import write_report
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.settings import ReportFormat, ReportSettings, parse_report
from segqa.settings.declaration import read_declarations
from segqa.support.escaping import to_file_name

_HELP = {key: f"{each.help}." for key, each in read_declarations(ReportSettings).items()}


def report(
    names: Annotated[list[str], typer.Argument(metavar="RUN…", help="Runs, by how their ids begin, or baselines.")],
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder to write to; reports/RUN.", parser=expand_home)
    ] = None,
    form: Annotated[ReportFormat | None, typer.Option("--format", help=_HELP["format"])] = None,
    images: Annotated[str | None, typer.Option(metavar="N|none", help=_HELP["images"])] = None,
    max_mb: Annotated[float | None, typer.Option(help=_HELP["max_mb"])] = None,
    dataset: Annotated[str, typer.Option(metavar="DIR", help="Draw more pictures from here; or studio.")] = "",
    baseline: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of the baselines.", parser=expand_home)
    ] = None,
    directory: Directory = Path(".segqa"),
) -> None:
    """Write the review page of runs again; of two runs of one model the first is the baseline of the second."""
    try:
        settings, root = read_project()
        given = {"format": form, "images": images, "max_mb": max_mb}
        typed = {name: value for name, value in given.items() if value is not None}
        chosen = parse_report(typed, "--{}", settings.report)
        runs = [find_run(directory, name) for name in names if not name.endswith(".jsonl")]
        if not runs:
            raise refusal("give at least one RUN beside the baselines; `segqa runs` lists them")
        baselines = [read_baseline(expand_home(name)) for name in names if name.endswith(".jsonl")]
        folder = baseline or root / expand_home(settings.gate.baseline)
        alone = [run for run in runs if [each.model for each in runs].count(run.model) == 1]
        baselines += [found for run in alone if (found := _read_committed_baseline(run, folder, Store(directory)))]
        page = _write(
            runs,
            out or Path("reports") / to_file_name("+".join(run.id for run in runs)),
            directory=directory,
            baselines=baselines,
            dataset=open_dataset(dataset, settings) if dataset else None,
            gate=settings,
            settings=chosen,
        )
    except (SegqaError, OSError) as error:
        raise refusal(str(error)) from error
    typer.echo(page)
    if show:
        typer.launch(str(page))


def _write(runs: Sequence[Run], folder: Path, **options: Any) -> Path:
    """Write the page and print its warnings, for example about a damaged run that was left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        page = write_report(runs, folder, **options)
    for each in caught:
        say(f"segqa: {each.message}", err=True)
    return page


def _read_committed_baseline(run: Run, folder: Path, store: Store) -> Run | None:
    """Return the committed baseline of a run that has stored none, or None if there is none."""
    path = get_baseline_path(folder, run)
    return read_baseline(path) if path.is_file() and not get_stored_baseline_path(store, run).is_file() else None
