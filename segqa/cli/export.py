"""Command `segqa export`: export a trained network to another format and check its masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from segqa.cli.open_data import open_dataset
from segqa.data.storage import expand_home
from segqa.errors import ModelError, UsageError
from segqa.models.runtime import Precision
from segqa.support.plurals import format_count


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The folder of a trained network; the file goes there, too.", parser=expand_home
        ),
    ],
    dataset: Annotated[str, typer.Option(help="Cases to check it on: a folder with images/ and masks/, or studio.")],
    to: Annotated[Literal["onnx"], typer.Option(help="The form.")] = "onnx",
    precision: Annotated[
        Literal["float32", "int8"], typer.Option(help="int8 is faster, and another model.")
    ] = "float32",
    limit: Annotated[int, typer.Option(min=2, help="So many cases, of a seeded shuffle.")] = 64,
    min_iou: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Mean IoU with torch's masks, at least; 0.999, with int8 0.98."),
    ] = None,
) -> None:
    """Export a network; it is kept only if its masks are those that torch gives."""
    del to  # only one format so far
    try:
        _export(checkpoint, dataset, precision, limit, min_iou)
    except UsageError as error:
        typer.echo(f"segqa: {error}", err=True)
        raise typer.Exit(4) from None


def _export(checkpoint: Path, dataset: str, precision: Precision, limit: int, least_iou: float | None) -> None:
    """Export the network, then print its agreement with torch and its usage."""
    try:
        from segqa.training.onnx_export import export_onnx
    except ImportError as error:
        raise ModelError(f"exporting needs {error.name}: pip install 'segqa[onnx]'") from error
    cases = list(open_dataset(dataset).limit(limit))
    path, found = export_onnx(checkpoint, cases, precision=precision, least_iou=least_iou)
    typer.echo(
        f"{path}, {path.stat().st_size / 1e6:.1f} MB\n"
        f"{format_count(found.cases, 'case')}: IoU with torch's masks {found.mean:.4f}, least {found.least:.4f}; "
        f"against the targets {found.exported_iou:.4f}, torch's {found.torch_iou:.4f}"
    )
