"""Command-line interface `segqa`, one module per subcommand."""

from importlib.metadata import version
from typing import Annotated

import typer

from segqa.cli.baseline import app as baseline
from segqa.cli.cache import app as cache
from segqa.cli.clusters import clusters, labels
from segqa.cli.export import export
from segqa.cli.init import init
from segqa.cli.merge import merge
from segqa.cli.report import report
from segqa.cli.runs import compare, pick, runs, show
from segqa.cli.self_test import selftest
from segqa.cli.serve import serve
from segqa.cli.train import train

# in rich mode, `[tool.segqa]` in a help text would be dropped as markup
app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")


def _print_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        typer.echo(f"segqa {version('segqa')}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Pytest for segmentation models."""


app.command()(init)
app.command()(runs)
app.command()(show)
app.command()(compare)
app.command()(merge)
app.command()(report)
app.command()(pick)
app.command()(clusters)
app.command()(labels)
app.command()(train)
app.command()(export)
app.command()(selftest)
app.command()(serve)
app.add_typer(baseline, name="baseline")
app.add_typer(cache, name="cache")
