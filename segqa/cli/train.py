"""Command `segqa train`: train a network on a data set and keep the best checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segqa.cli.open_data import open_dataset
from segqa.data.dataset import Dataset
from segqa.data.storage import expand_home
from segqa.errors import ModelError, UsageError
from segqa.training.config import TrainingConfig, build_config

_SMP = "resnet34 only: "


def train(
    model: Annotated[str, typer.Argument(metavar="unet|resnet34", help="What to train.")],
    dataset: Annotated[str, typer.Option(help="A folder with images/ and masks/, or studio.")],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Where the checkpoint goes: a folder that is not there yet.", parser=expand_home
        ),
    ],
    epochs: Annotated[int | None, typer.Option(help="25 for unet, 20 for resnet34.")] = None,
    size: Annotated[int, typer.Option(help="Side of the square that images are scaled to.")] = 256,
    batch_size: Annotated[int, typer.Option(help="Cases a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = 1e-4,
    width: Annotated[int | None, typer.Option(help="unet only: channels of its first level; 64.")] = None,
    arch: Annotated[str | None, typer.Option(help=f"{_SMP}the architecture in smp; Unet.")] = None,
    encoder: Annotated[str | None, typer.Option(help=f"{_SMP}the encoder in smp; resnet34.")] = None,
    encoder_weights: Annotated[str | None, typer.Option(help=f"{_SMP}imagenet (fetched) or none.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many cases of the data set's training part.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without a better IoU.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order, augmentation and dropout.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch and OpenCV on the CPU.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.")] = False,
) -> None:
    """Train a network on the cases that the split leaves for it; the others validate it."""
    try:
        recipe = build_config(
            model,
            epochs=epochs,
            size=size,
            batch_size=batch_size,
            learning_rate=learning_rate,
            width=width,
            arch=arch,
            encoder=encoder,
            encoder_weights=encoder_weights,
            limit=limit,
            patience=patience,
            seed=seed,
        )
        _train(recipe, open_dataset(dataset), out, device, threads, resume=resume)
    except UsageError as error:
        typer.echo(f"segqa: {error}", err=True)
        raise typer.Exit(4) from None
    options = f"--segqa-model={model} --segqa-checkpoint={out} --segqa-dataset={dataset} --segqa-held-out"
    typer.echo(f"\nNow: pytest suites {options}")


def _train(
    recipe: TrainingConfig, dataset: Dataset, out: Path, device: str, threads: int | None, *, resume: bool
) -> None:
    """Train the network, then print the folder and scores of the best checkpoint."""
    try:
        from segqa.training.history import best
        from segqa.training.train import train as run
    except ImportError as error:
        raise ModelError(f"training needs {error.name}: pip install 'segqa[models]'") from error
    top = best(run(recipe, dataset, out, device=device, threads=threads, resume=resume))
    if top is not None:
        typer.echo(f"best: epoch {top.epoch}, validation IoU {top.validation_iou:.4f} at {recipe.size} px, in {out}")
