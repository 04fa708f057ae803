"""Commands of `segqa cache` for the proposal cache on disk: ls, prune and verify."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from segqa.cli.runs import As, Directory, refusal
from segqa.errors import SegqaError
from segqa.inference.proposal_cache import ProposalCache
from segqa.report.tables import Table
from segqa.runs.store import Store
from segqa.support.plurals import format_count

app = typer.Typer(no_args_is_help=True, help="Look after the proposals on disk.")


@app.command()
def ls(form: As = "text", directory: Directory = Path(".segqa")) -> None:
    """List what is kept of each model."""
    try:
        with _open(directory) as cache:
            rows = tuple(
                (held.model or "(unnamed)", held.entries, held.proposals, f"{held.size / 1e6:.1f}", str(held.used))
                for held in cache.holdings()
            )
            typer.echo(Table(("model", "images", "proposals", "MB", "last used"), rows).render(form))
            if form == "text":
                typer.echo(f"{cache.size / 1e6:.1f} MB in use in {_path(directory)}")
    except SegqaError as error:
        raise refusal(str(error)) from error


@app.command()
def prune(
    max_mb: Annotated[float | None, typer.Option(help="What may stay; the longest unused go first.")] = None,
    older_than: Annotated[int | None, typer.Option(metavar="DAYS", help="What has not been used for so long.")] = None,
    model: Annotated[str | None, typer.Option(help="All of this model.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    directory: Directory = Path(".segqa"),
) -> None:
    """Remove proposals, and give their room back to the disk."""
    if max_mb is None and older_than is None and model is None:
        raise refusal("say what may go: --max-mb, --older-than or --model")
    before = None if older_than is None else date.today() - timedelta(days=older_than)  # noqa: DTZ011 - local date
    try:
        with _open(directory) as cache:
            if model is not None and model not in {held.model for held in cache.holdings()}:
                raise refusal(f"nothing is kept of {model!r}; `segqa cache ls` lists what is")
            size = cache.size
            going = cache.superfluous(
                max_bytes=None if max_mb is None else int(max_mb * 1e6), before=before, model=model
            )
            if not dry_run:
                cache.remove(going)
                cache.compact()
            freed = "" if dry_run else f", {(size - cache.size) / 1e6:.1f} MB freed"
    except SegqaError as error:
        raise refusal(str(error)) from error
    typer.echo(f"{format_count(len(going), 'entry', 'entries')} {'would go' if dry_run else 'removed'}{freed}")


@app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Remove what is damaged.")] = False,
    directory: Directory = Path(".segqa"),
) -> None:
    """Read every entry; exit with 1 if one is damaged."""
    try:
        with _open(directory) as cache:
            entries = sum(held.entries for held in cache.holdings())
            damaged, unchecked = list(cache.find_damaged()), cache.unchecked
            if repair:
                cache.remove(damaged)
    except SegqaError as error:
        raise refusal(str(error)) from error
    typer.echo(
        f"{format_count(entries, 'entry', 'entries')}, {len(damaged)} "
        f"damaged{' and removed' if repair and damaged else ''}"
    )
    if unchecked:
        typer.echo(
            f"{format_count(unchecked, 'entry is', 'entries are')} of an earlier version and without a checksum: "
            "their scores cannot be checked"
        )
    if damaged and not repair:
        raise typer.Exit(1)


def _path(directory: Path) -> Path:
    return Store(directory).shared_proposals


def _open(directory: Path) -> ProposalCache:
    """Open the proposal cache in a folder of runs; fail if it does not exist."""
    path = _path(directory)
    if not path.is_file():
        raise refusal(f"no proposals in {path}; `pytest suites` keeps them")
    try:
        return ProposalCache(path)
    except SegqaError as error:
        raise refusal(str(error)) from error
