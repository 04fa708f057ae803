"""Write the model card, the README of a checkpoint: how it was trained, on what data, and its scores."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from segqa.support.git import WorkTree
from segqa.support.plurals import format_count
from segqa.training.config import TrainingConfig
from segqa.training.history import Epoch

_PACKAGES = ("segqa", "torch", "segmentation-models-pytorch", "albumentations", "opencv-python-headless", "numpy")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a network comes from.

    Attributes:
        dataset: the data set's name.
        trained_on: the ids of the training cases.
        validated_on: the ids of the cases held out.
        digest: of their pictures, as hex.
        device: `"cpu"` or the GPU's name.
    """

    dataset: str
    trained_on: tuple[str, ...]
    validated_on: tuple[str, ...]
    digest: str
    device: str


def model_card(recipe: TrainingConfig, provenance: Provenance, epoch: Epoch) -> str:
    """The card in Markdown, with the hub's header."""
    trained, validated = (format_count(len(ids), "case") for ids in (provenance.trained_on, provenance.validated_on))
    data = {
        "data set": provenance.dataset,
        "trained on": f"{trained} (ids {_ids_digest(provenance.trained_on)})",
        "validated on": f"{validated} held out (ids {_ids_digest(provenance.validated_on)})",
        "split": f"{recipe.held_out:g} held out, seed {recipe.split_seed}, of the sorted ids",
        "digest": provenance.digest,
    }
    figures = {
        "epoch": f"{epoch.epoch} of {recipe.epochs}",
        "validation IoU": f"{epoch.validation_iou:.4f} (mean over cases, at {recipe.size} × {recipe.size})",
        "validation loss": f"{epoch.validation_loss:.4f}",
        "training loss": f"{epoch.train_loss:.4f}",
    }
    made = {**_versions(), "python": platform.python_version(), "device": provenance.device, "commit": _commit()}
    parts = [_header(recipe), f"# {recipe.model}, trained by segqa", _usage(recipe.model)]
    tables = {"Recipe": _describe_config(recipe), "Training data": data, "Metrics": figures, "Made with": made}
    return "\n\n".join([*parts, *(_table(title, rows) for title, rows in tables.items())]) + "\n"


def _header(recipe: TrainingConfig) -> str:
    library = "segqa" if recipe.model == "unet" else "segmentation-models-pytorch"
    tags = ["semantic-segmentation", "pytorch", "segqa"]
    lines = [f"library_name: {library}", "pipeline_tag: image-segmentation", "tags:", *(f"- {tag}" for tag in tags)]
    return "\n".join(["---", *lines, "---"])


def _usage(model: str) -> str:
    load = "segqa.models.checkpoint.read_checkpoint" if model == "unet" else "smp.from_pretrained"
    command = f"pytest suites --segqa-model={model} --segqa-checkpoint=DIR --segqa-held-out"
    return f"Evaluate it with `{command}`; load the network with `{load}`."


def _describe_config(recipe: TrainingConfig) -> dict[str, Any]:
    """What of the recipe matters to its model, and what is the same for all."""
    other = {"arch", "encoder", "encoder_weights"} if recipe.model == "unet" else {"width"}
    fixed = {"optimizer": "Adam", "loss": "binary cross-entropy with logits", "normalisation": "ImageNet's"}
    return {name: value for name, value in asdict(recipe).items() if name not in other} | fixed


def _table(title: str, rows: Mapping[str, Any]) -> str:
    lines = [f"| {name.replace('_', ' ')} | {'none' if value is None else value} |" for name, value in rows.items()]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *lines])


def _ids_digest(ids: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """Return the commit of the work tree that the training runs in; `"unknown"` outside of git."""
    tree = WorkTree()
    head = tree.find_head()
    return f"{head}{'-dirty' if tree.read_changes() else ''}" if head else "unknown"
