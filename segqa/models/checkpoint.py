"""Checkpoint reading, writing and upload with PyTorch: a folder with a network and its preprocessing.

See `segqa.models.checkpoint_files` for the layout. Reading never unpickles and never downloads.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from segqa.errors import ModelError
from segqa.models.checkpoint_files import (
    CARD,
    CONFIG,
    FILES,
    UNET,
    WEIGHTS,
    read_config,
    read_preprocessing,
    require_files,
)
from segqa.models.transforms import Transform
from segqa.models.unet import UNet
from segqa.support.plurals import format_count


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The contents of a checkpoint.

    Attributes:
        net: maps `[N, 3, H, W]` to one logit a pixel, `[N, 1, H, W]`; in eval mode, on the CPU.
        preprocessing: maps an RGB image `[H, W, 3]` to the input of the net.
        config: the configuration that the net was built from.
        notes: the assumptions that had to be made.
    """

    net: nn.Module
    preprocessing: Transform
    config: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint in a folder.

    Raises:
        ModelError: a file is missing, damaged or does not fit the others. Only safetensors files are read.
    """
    require_files(folder)
    config = read_config(folder)
    net = _build(config, folder / CONFIG)
    _load_weights(net, folder)
    preprocessing, notes = read_preprocessing(folder)
    return Checkpoint(net.eval(), preprocessing, config, notes)


def write_checkpoint(folder: Path, net: nn.Module, preprocessing: Transform, card: str) -> None:
    """Write a checkpoint. Each file is written atomically, the weights last.

    The configuration never asks for pretrained encoder weights, so building the net needs no network access.

    Args:
        folder: created if it does not exist. An existing checkpoint of the same net is replaced.
        net: a `UNet` or a model of segmentation_models_pytorch.
        preprocessing: an albumentations `Compose`.
        card: the model card, the text of `README.md`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    parent = folder if folder.is_dir() else folder.parent
    with tempfile.TemporaryDirectory(dir=parent, prefix=".checkpoint-") as temporary:
        # one level deeper, since a temporary folder is readable by its owner only
        written = Path(temporary) / "checkpoint"
        _write(written, net, preprocessing, card)
        if folder.is_dir():
            for name in FILES:
                (written / name).replace(folder / name)
        else:
            written.rename(folder)


def push_to_hub(
    folder: Path, repo_id: str, *, private: bool = False, token: str | None = None, api: HfApi | None = None
) -> str:
    """Upload a checkpoint with its preprocessing and model card, and return the URL of the commit.

    Args:
        folder: the checkpoint. It is read first, so that no broken one is published.
        repo_id: such as `"somebody/some-model"`; created if it does not exist.
        private: make a new repository private.
        token: the hub's access token; the one that is logged in by default.
        api: the client of the hub.
    """
    read_checkpoint(folder)
    hub = api or HfApi(token=token)
    hub.create_repo(repo_id, private=private, exist_ok=True)
    commit = hub.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=list(FILES))
    return str(commit.commit_url)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(folder: Path, net: Any, preprocessing: Transform, card: str) -> None:
    folder.mkdir()
    # first, since save_pretrained writes a card of its own if there is none
    (folder / CARD).write_text(card, encoding="utf-8")
    if isinstance(net, UNet):
        net.save_pretrained(folder)
    else:
        net.save_pretrained(folder, config={**net.config, "encoder_weights": None, "_model_class": type(net).__name__})
    preprocessing.save_pretrained(folder)
    # safetensors creates files that only the owner can read
    shutil.copymode(folder / CARD, folder / WEIGHTS)
    for name in FILES:
        sync(folder / name)
    sync(folder)


def _build(config: Mapping[str, Any], path: Path) -> nn.Module:
    """Build the network that a configuration describes, with random weights."""
    _require_one_map(config, path)
    name = config["_model_class"]
    arguments = {key: value for key, value in config.items() if not key.startswith("_")}
    try:
        if name == UNET:
            return UNet(**arguments)
        return _find_smp_class(name, path)(**arguments | {"encoder_weights": None})
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{path} does not describe a {name}: {error}") from error


def _require_one_map(config: Mapping[str, Any], path: Path) -> None:
    """Refuse networks that do not map an RGB image to one logit a pixel."""
    expected = {"in_channels": 3, "classes": 1, "activation": None, "aux_params": None}
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise ModelError(f"{path} has {key} = {config[key]!r}, expected {value!r}: one logit a pixel of RGB")
    encoder = str(config.get("encoder_name", ""))
    if ":" in encoder:
        raise ModelError(f"{path} has an encoder {encoder!r} that would be fetched; expected the name of a known one")


def _find_smp_class(name: str, path: Path) -> type[nn.Module]:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise ModelError(f"{path} needs segmentation_models_pytorch: pip install 'segqa[models]'") from error
    found: type[nn.Module] | None = smp.MODEL_ARCHITECTURES_MAPPING.get(name.lower())
    if found is None or found.__name__ != name:
        known = ", ".join([UNET, *(kind.__name__ for kind in smp.MODEL_ARCHITECTURES_MAPPING.values())])
        raise ModelError(f"{path} has the _model_class {name!r}; known: {known}")
    return found


def _load_weights(net: nn.Module, folder: Path) -> None:
    """Load the weights into the network; missing and unexpected weights are errors."""
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or cut off: {error}") from error
    try:
        net.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        difference = _describe_difference(net.state_dict(), weights) or str(error)
        raise ModelError(f"{path} does not fit {folder / CONFIG}: {difference}") from error


def _describe_difference(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Describe why the weights do not fit, with an example of each kind of difference."""
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    parts = [
        f"{format_count(len(names), 'tensor')} {what}, such as {names[0]}"
        for names, what in ((missing, "missing"), (unknown, "too many"))
        if names
    ]
    other = [name for name in wanted if name in found and wanted[name].shape != found[name].shape]
    if other:
        shapes = f"{tuple(found[other[0]].shape)}, not {tuple(wanted[other[0]].shape)}"
        parts.append(f"{format_count(len(other), 'tensor')} of another shape, such as {other[0]} with {shapes}")
    return "; ".join(parts)
