"""Commands to list, show, compare and replay runs, with helpers shared by all commands."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.data.storage import expand_home
from segqa.errors import SegqaError, StoreError
from segqa.gate.baseline import is_baseline, read_baseline
from segqa.gate.comparison import compare as pair_up
from segqa.gate.policy import judge_with_settings
from segqa.report.exports import JudgedRun, to_json, to_markdown
from segqa.report.session_result import SessionResult
from segqa.report.tables import Format, flip_table, line_up, pick_lab
from segqa.report.terminal import paragraph
from segqa.runs.groups import number_groups
from segqa.runs.run import Run, describe
from segqa.runs.store import Store, find_unchecked
from segqa.settings import Settings, find_settings_file, read_settings
from segqa.stats.permutation_test import compute_bootstrap_interval
from segqa.support.escaping import to_block, to_line

Directory = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where runs are kept.", parser=expand_home)]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")]
As = Annotated[Format, typer.Option("--format", help="How to print the table.")]


def runs(directory: Directory = Path(".segqa")) -> None:
    """List the runs, oldest first."""
    store = Store(directory)
    try:
        run_ids = store.run_ids()
    except StoreError as error:
        raise refusal(str(error)) from error
    if not run_ids:
        typer.echo(f"segqa: no runs in {directory}; `pytest suites` makes one, --dir names another folder", err=True)
    for run_id in run_ids:
        try:
            run, state = store.load(run_id), "" if store.is_finished(run_id) else "  unfinished"
        except StoreError as error:
            say(f"{run_id}  {error}")
            continue
        say(f"{run.id}  mean IoU {run.mean_iou:.4f}  {run.tally}  picked by {run.pick}{state}")


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
    if where and not run.outcomes:
        raise refusal(f"no case of {run_id} is meant by {where!r}")
    for line in [*paragraph(run), f"worst {min(worst, len(run.outcomes))}:"]:
        say(line)
    for outcome in run.worst(worst):
        say(f"  {describe(run, outcome)}")


def compare(
    names: Annotated[list[str], typer.Argument(metavar="RUN…", help="Runs, by how their ids begin, or baselines.")],
    form: As = "text",
    fail_on: Annotated[list[str] | None, typer.Option(help="A rule: mean_iou:-0.01, latency_p95:+20%, …")] = None,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Cases that share its value are one sample; by default group_by of the gate."),
    ] = None,
    directory: Directory = Path(".segqa"),
) -> None:
    """Set runs side by side; of two, judge the second against the first, and exit with 1 for a regression.

    The format csv prints the table alone, without a verdict. A baseline is what others are judged against, so the
    second of two may only be one if the first is one, too.
    """
    found = [_run_or_baseline(directory, name) for name in names]
    _require_order(names, found)
    try:
        settings, _ = read_project()
        tag = settings.gate.group_by if group_by is None else group_by
        if len(found) != 2 or form == "csv":
            _echo_line_up(found, tag, form)
            why = (
                "the format csv has none" if len(found) == 2 else f"of two runs the second is judged, got {len(found)}"
            )
            typer.echo(f"segqa: no verdict: {why}", err=True)
            return
        comparison = pair_up(*found, same_picker=False)
        verdict = judge_with_settings(settings, comparison, fail_on=fail_on or (), group_by=tag)
        verdict = replace(verdict, notes=(*_describe_sides(*found), *verdict.notes))
        common = find_clusters(found[1], group_by=tag)
    except SegqaError as error:
        raise refusal(str(error)) from error
    judged = JudgedRun(found[1], verdict, "", common, group_by=tag)
    typer.echo({"text": _format_comparison, "md": _format_markdown, "json": _format_json}[form](judged))
    if not verdict.passed:
        raise typer.Exit(1)


def _require_order(names: Sequence[str], runs: Sequence[Run]) -> None:
    """Refuse duplicate runs or baselines, and a baseline that would be judged against a run."""
    same = [Path(name).resolve() if is_baseline(run) else run.id for name, run in zip(names, runs, strict=True)]
    if twice := [name for name, times in Counter(same).items() if times > 1]:
        raise refusal(f"compare needs different runs, got {twice[0]} {same.count(twice[0])} times")
    if len(runs) == 2 and is_baseline(runs[1]) and not is_baseline(runs[0]):
        raise refusal(
            f"compare judges the second against the first, and {names[1]} is a baseline: expected a run in second "
            f"place; type `segqa compare {names[1]} {names[0]}`"
        )


def _describe_sides(before: Run, after: Run) -> Iterator[str]:
    """Yield caveats of a comparison: an older run is judged, thresholds differ, or there are no settings."""
    times = [str(run.provenance.get("started") or "") for run in (before, after)]
    if all(times) and times[0] > times[1]:
        yield f"{after.id} is judged against {before.id}, which was made later; swap them if that is not wanted"
    if not is_baseline(before) and before.threshold != after.threshold:
        yield (
            f"{before.id} was made with the threshold iou = {before.threshold:g}, {after.id} with {after.threshold:g}: "
            "failing cases of both are counted with the latter"
        )
    if find_settings_file(Path()) is None:
        yield "no file with [tool.segqa] is in this folder or above it: the default rules judge"


def _echo_line_up(runs: Sequence[Run], group_by: str, form: Format) -> None:
    """Print a side-by-side table of runs.

    Raises:
        SettingsError: no case of any run has the tag to group by.
    """
    if not any(group_by in run.columns.tags for run in runs):
        number_groups(runs[0].columns, group_by)
    typer.echo(line_up(runs, group_by).render(form))
    if any(run.expected != runs[0].expected for run in runs):
        typer.echo("segqa: these runs are not over the same cases", err=True)


def _format_comparison(judged: JudgedRun) -> str:
    """Format a comparison as plain text."""
    verdict = judged.verdict
    assert verdict is not None  # noqa: S101 - set by the caller
    comparison = verdict.comparison
    runs = [comparison.baseline, comparison.candidate]
    lines = [line_up(runs, judged.group_by).render("text"), "", verdict.story]
    if comparison.baseline.pick != comparison.candidate.pick:
        lines.append(to_line(f"note: picked by {comparison.baseline.pick}, then by {comparison.candidate.pick}"))
    low, high = verdict.interval.low, verdict.interval.high
    lines.append(f"90% interval of the mean difference {low:+.4f} to {high:+.4f}")
    defined = comparison.defined
    if boot := compute_bootstrap_interval(defined.differences, defined.groups(judged.group_by)):
        lines.append(f"the same by bootstrap {boot.low:+.4f} to {boot.high:+.4f}")
    counts = f"{len(comparison.broken)} broken, {len(comparison.fixed)} fixed"
    lines.append(f"{counts}, {comparison.worse} worse, {comparison.better} better")
    moved = [f"{before} → {after}: {n}" for (before, after), n in comparison.transitions.most_common()]
    lines += [f"  {line}" for line in moved]
    ratio = comparison.latency(50)
    return "\n".join(lines if math.isnan(ratio) else [*lines, f"seconds a case: {ratio:.2f} times"])


def _format_markdown(judged: JudgedRun) -> str:
    return to_markdown([judged], _get_exit_code(judged))


def _format_json(judged: JudgedRun) -> str:
    ending = _get_exit_code(judged)
    return json.dumps(to_json([judged], ending, 0 if ending.passed else 1), indent=2, ensure_ascii=False)


def _get_exit_code(judged: JudgedRun) -> SessionResult:
    """Return the session result of a comparison; a regression is a finding."""
    verdict = judged.verdict
    return SessionResult() if verdict is None or verdict.passed else SessionResult(findings=(verdict.headline,))


def _run_or_baseline(directory: Path, name: str) -> Run:
    """Return the baseline in the file of this name, or the run whose id starts with the name."""
    if not name.endswith(".jsonl"):
        return find_run(directory, name)
    try:
        return read_baseline(expand_home(name))
    except SegqaError as error:
        raise refusal(str(error)) from error


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
    """Return the only run whose id equals or starts with this text."""
    store = Store(directory)
    try:
        run_id = store.find_id(begin)
        run, unchecked = store.load(run_id), find_unchecked(store.run_folder(run_id))
    except StoreError as error:
        raise refusal(str(error)) from error
    if unchecked:
        say(f"segqa: {unchecked}", err=True)
    return run


def read_project() -> tuple[Settings, Path]:
    """Return the settings that apply in the current folder, and the folder of their file.

    Raises:
        SettingsError: the file cannot be read, or has an invalid value.
    """
    file = find_settings_file(Path())
    return read_settings(file), Path(os.path.relpath(file.parent)) if file else Path()


def say(line: str, *, err: bool = False) -> None:
    """Print one line, with control characters escaped."""
    typer.echo(to_line(line), err=err)


def refusal(problem: str) -> typer.Exit:
    """Print the problem and return an exit with code 4."""
    typer.echo(to_block(f"segqa: {problem}"), err=True)
    return typer.Exit(4)
