"""A checkpoint is a folder with a network and its preprocessing, as the Hugging Face hub lays it out.

`config.json` says how to build the network, `model.safetensors` holds its weights,
`albumentations_config_eval.json` its preprocessing, and `README.md` is its model card. It is what
segmentation_models_pytorch and albumentations write with `save_pretrained`, too. Nothing in it is unpickled, and
nothing is fetched from anywhere.
"""

from __future__ import annotations

import json
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
from segqa.models import transforms
from segqa.models.transforms import Transform
from segqa.models.unet import UNet

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
CASES = "training_cases.json"
"""The ids of the cases that the weights have seen, so that an evaluation can tell; written by the training."""

FILES = (CARD, transforms.FILE, CONFIG, WEIGHTS)
"""All files, in the order in which they are replaced: the weights last."""

_PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
_USUAL_SIZE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        net: from `[N, 3, H, W]` to one logit a pixel, `[N, 1, H, W]`; in eval mode, on the CPU.
        preprocessing: from an RGB image `[H, W, 3]` to what the net takes.
        config: how the net was built.
        files: the files that decide what the net answers.
        notes: what had to be assumed.
    """

    net: nn.Module
    preprocessing: Transform
    config: Mapping[str, Any]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in a folder.

    One without a preprocessing (segmentation_models_pytorch alone writes none) is taken to want 256 × 256 pixels and
    ImageNet's normalisation, with a note.

    Raises:
        ModelError: a file is missing, damaged or does not fit the others; only safetensors are read.
    """
    _require_files(folder)
    config = _read_config(folder / CONFIG)
    net = _build(config, folder / CONFIG)
    _load_weights(net, folder)
    kept = folder / transforms.FILE
    files = [folder / WEIGHTS, folder / CONFIG]
    if kept.exists():
        return Checkpoint(net.eval(), transforms.read_preprocessing(kept), config, (*files, kept))
    assumed = f"{_USUAL_SIZE} × {_USUAL_SIZE} pixels and ImageNet's normalisation"
    note = f"the checkpoint has no {transforms.FILE}; taking {assumed}"
    return Checkpoint(net.eval(), transforms.preprocessing(_USUAL_SIZE), config, tuple(files), (note,))


def write_checkpoint(folder: Path, net: nn.Module, preprocessing: Transform, card: str) -> None:
    """Write a checkpoint; each file appears whole or not at all, the weights last.

    The configuration never asks for pretrained encoder weights: whoever builds the net needs no network for it.

    Args:
        folder: made if it is not there. Where it holds a checkpoint of the same net already, it is replaced.
        net: a `UNet` or a model of segmentation_models_pytorch.
        preprocessing: a `Compose`.
        card: the text of `README.md`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    parent = folder if folder.is_dir() else folder.parent
    with tempfile.TemporaryDirectory(dir=parent, prefix=".checkpoint-") as temporary:
        # one level deeper, since a temporary folder is closed to others
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
    """Upload a checkpoint as it is, with its preprocessing and its card; the URL of the commit.

    Args:
        folder: the checkpoint; it is read first, so that nothing broken is published.
        repo_id: such as `"somebody/some-model"`; made if it is not there.
        private: whether a new repository is.
        token: of the hub, if not the one that is logged in.
        api: what talks to the hub.
    """
    read_checkpoint(folder)
    hub = api or HfApi(token=token)
    hub.create_repo(repo_id, private=private, exist_ok=True)
    commit = hub.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=list(FILES))
    return str(commit.commit_url)


def sync(path: Path) -> None:
    """Have the system write a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(folder: Path, net: Any, preprocessing: Transform, card: str) -> None:
    folder.mkdir()
    # first: save_pretrained writes a card of its own where there is none
    (folder / CARD).write_text(card, encoding="utf-8")
    if isinstance(net, UNet):
        net.save_pretrained(folder)
    else:
        net.save_pretrained(folder, config={**net.config, "encoder_weights": None, "_model_class": type(net).__name__})
    preprocessing.save_pretrained(folder)
    # safetensors lets nobody but the owner read what it writes
    shutil.copymode(folder / CARD, folder / WEIGHTS)
    for name in FILES:
        sync(folder / name)
    sync(folder)


def _require_files(folder: Path) -> None:
    """Refuse a folder that has not what is read, saying what it has instead."""
    if not folder.is_dir():
        hint = f"; {_never(folder)}" if folder.suffix in _PICKLED else ""
        raise ModelError(f"no checkpoint at {folder}: expected a folder with {CONFIG} and {WEIGHTS}{hint}")
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        pickled = sorted(path for path in folder.iterdir() if path.suffix in _PICKLED)
        hint = f"; {_never(pickled[0])}" if pickled else ""
        raise ModelError(f"no {' and no '.join(missing)} in the checkpoint {folder}{hint}")


def _never(path: Path) -> str:
    return f"{path.name} is not read, since unpickling can run any code: save the weights as safetensors"


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("_model_class"), str):
        raise ModelError(f"{path} has no _model_class; expected what save_pretrained writes, or segqa train")
    return config


def _build(config: Mapping[str, Any], path: Path) -> nn.Module:
    """The network that a configuration describes, with random weights."""
    _require_one_map(config, path)
    name = config["_model_class"]
    arguments = {key: value for key, value in config.items() if not key.startswith("_")}
    try:
        if name == UNet.__name__:
            return UNet(**arguments)
        return _smp_class(name, path)(**arguments | {"encoder_weights": None})
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{path} does not describe a {name}: {error}") from error


def _require_one_map(config: Mapping[str, Any], path: Path) -> None:
    """Refuse networks that take or answer something else than an RGB image and one logit a pixel."""
    expected = {"in_channels": 3, "classes": 1, "activation": None, "aux_params": None}
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise ModelError(f"{path} has {key} = {config[key]!r}, expected {value!r}: one logit a pixel of RGB")
    encoder = str(config.get("encoder_name", ""))
    if ":" in encoder:
        raise ModelError(f"{path} has an encoder {encoder!r} that would be fetched; expected the name of a known one")


def _smp_class(name: str, path: Path) -> type[nn.Module]:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise ModelError(f"{path} needs segmentation_models_pytorch: pip install 'segqa[models]'") from error
    found: type[nn.Module] | None = smp.MODEL_ARCHITECTURES_MAPPING.get(name.lower())
    if found is None or found.__name__ != name:
        known = ", ".join([UNet.__name__, *(kind.__name__ for kind in smp.MODEL_ARCHITECTURES_MAPPING.values())])
        raise ModelError(f"{path} has the _model_class {name!r}; known: {known}")
    return found


def _load_weights(net: nn.Module, folder: Path) -> None:
    """Put the weights into the network, all of them and no other."""
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or cut off: {error}") from error
    try:
        net.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        difference = _difference(net.state_dict(), weights) or str(error)
        raise ModelError(f"{path} does not fit {folder / CONFIG}: {difference}") from error


def _difference(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """What keeps weights from fitting, with an example of each kind."""
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    parts = [
        f"{len(names)} tensors {what}, such as {names[0]}"
        for names, what in ((missing, "missing"), (unknown, "too many"))
        if names
    ]
    other = [name for name in wanted if name in found and wanted[name].shape != found[name].shape]
    if other:
        shapes = f"{tuple(found[other[0]].shape)}, not {tuple(wanted[other[0]].shape)}"
        parts.append(f"{len(other)} tensors of another shape, such as {other[0]} with {shapes}")
    return "; ".join(parts)
