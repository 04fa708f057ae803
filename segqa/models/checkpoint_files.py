"""Files of a checkpoint folder, in the layout of the Hugging Face hub; needs no torch.

`config.json` describes how to build the network, `model.safetensors` holds its weights,
`albumentations_config_eval.json` its preprocessing, and `README.md` is the model card. segmentation_models_pytorch and
albumentations write the same files with `save_pretrained`. `segqa export` adds the same network as `model.onnx`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, TypeAlias

from segqa.errors import ModelError
from segqa.models import transforms
from segqa.models.transforms import Transform
from segqa.support.git import refuse_pointers

Family: TypeAlias = Literal["unet", "smp"]
"""The network's family: segqa's own U-Net, or a network of segmentation_models_pytorch."""

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
CASES = "training_cases.json"
"""The ids of the training cases, written by the training, so that an evaluation can detect leakage."""

FILES = (CARD, transforms.FILE, CONFIG, WEIGHTS)
"""All files of a trained network, in the order in which they are replaced: the weights last."""

UNET = "UNet"
"""The name of segqa's own network in `config.json`."""

_PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
_USUAL_SIZE = 256


def require_files(folder: Path) -> None:
    """Refuse a folder that lacks a required file; the error points out a pickle file that is there instead."""
    if not folder.is_dir():
        hint = f"; {_explain_pickle_refusal(folder)}" if folder.suffix in _PICKLED else ""
        raise ModelError(f"no checkpoint at {folder}: expected a folder with {CONFIG} and {WEIGHTS}{hint}")
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        pickled = sorted(path for path in folder.iterdir() if path.suffix in _PICKLED)
        hint = f"; {_explain_pickle_refusal(pickled[0])}" if pickled else ""
        raise ModelError(f"no {' and no '.join(missing)} in the checkpoint {folder}{hint}")
    refuse_pointers([folder / name for name in FILES], ModelError)


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json`, which describes how to build the network."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("_model_class"), str):
        raise ModelError(f"{path} has no _model_class; expected what save_pretrained writes, or segqa train")
    return config


def require_family(folder: Path, family: Family | None) -> None:
    """Refuse a checkpoint of another family than the requested one."""
    found: Family = "unet" if read_config(folder)["_model_class"] == UNET else "smp"
    if family is not None and found != family:
        kinds = {"unet": "segqa's U-Net", "smp": "a network of segmentation_models_pytorch"}
        raise ModelError(f"{folder} holds {kinds[found]}, expected {kinds[family]}")


def read_preprocessing(folder: Path) -> tuple[Transform, tuple[str, ...]]:
    """Read the preprocessing, from an RGB image `[H, W, 3]` to the network's input, and the assumptions made.

    A checkpoint without a preprocessing (segmentation_models_pytorch alone writes none) is assumed to need 256 × 256
    pixels and ImageNet's normalisation.
    """
    kept = folder / transforms.FILE
    if kept.exists():
        return transforms.read_preprocessing(kept), ()
    assumed = f"{_USUAL_SIZE} × {_USUAL_SIZE} pixels and ImageNet's normalisation"
    return transforms.build_preprocessing(_USUAL_SIZE), (f"the checkpoint has no {transforms.FILE}; taking {assumed}",)


def read_training_cases(folder: Path) -> frozenset[str]:
    """Return the ids of the cases that a network was trained on; empty if they were not recorded."""
    path = folder / CASES
    return frozenset(json.loads(path.read_text(encoding="utf-8"))["trained_on"]) if path.is_file() else frozenset()


def compute_network_digest(folder: Path) -> str:
    """Return a hex digest that changes whenever the weights or the configuration of the network do."""
    digests = [hashlib.sha256((folder / name).read_bytes()).digest() for name in (CONFIG, WEIGHTS)]
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _explain_pickle_refusal(path: Path) -> str:
    return f"{path.name} is not read, since unpickling can run any code: save the weights as safetensors"
