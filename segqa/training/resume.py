"""Save the state of a training after each epoch in one file, and resume from it bit by bit.

Chance needs no place in it: order, augmentation and dropout of an epoch follow from the recipe's seed and the epoch's
number.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from segqa.errors import ModelError, SettingsError
from segqa.models.checkpoint import sync
from segqa.training.config import TrainingConfig
from segqa.training.history import Epoch

FILE = "training_state.safetensors"
_HEADER = "segqa"
_CHANGEABLE = frozenset({"epochs", "patience"})


@dataclass(slots=True, eq=False)
class TrainingState:
    """A network in training.

    Attributes:
        recipe: how it is trained.
        data: a digest of the pictures that it is trained and validated on.
        net: the network.
        optimizer: Adam, with its moments.
        scaler: of the losses in mixed precision.
        history: the epochs that are done.
    """

    recipe: TrainingConfig
    data: str
    net: nn.Module
    optimizer: torch.optim.Adam
    scaler: torch.amp.GradScaler
    history: list[Epoch] = field(default_factory=list)


def write_state(path: Path, state: TrainingState) -> None:
    """Write the state; a reader sees the old or the new one, whatever happens in between."""
    header = {
        "recipe": asdict(state.recipe),
        "data": state.data,
        "scaler": state.scaler.state_dict(),
        "history": [asdict(epoch) for epoch in state.history],
    }
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".state-") as temporary:
        written = Path(temporary) / path.name
        save_file(_tensors(state), written, {_HEADER: json.dumps(header)})
        sync(written)
        written.replace(path)
    sync(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed training had begun to write."""
    for pattern in (".state-*", ".checkpoint-*"):
        for path in folder.glob(pattern):
            shutil.rmtree(path)


def restore(path: Path, state: TrainingState) -> None:
    """Bring a training that has just been set up to where the state in a file stands.

    Raises:
        SettingsError: that state is another recipe's.
        ModelError: it is damaged, or was trained on other data.
    """
    header, tensors = _read(path)
    _require_same(path, header, state)
    try:
        state.net.load_state_dict(_part(tensors, "net."), strict=True)
        state.optimizer.load_state_dict(_optimizer_state(tensors, state.optimizer))
        # empty where the epochs before were on the CPU
        if header["scaler"]:
            state.scaler.load_state_dict(header["scaler"])
        state.history = [Epoch(**epoch) for epoch in header["history"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} does not hold the state of this training: {error}") from error


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """The weights of the network and the moments of the optimizer under one roof."""
    tensors = {f"net.{name}": value for name, value in state.net.state_dict().items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": value for name, value in values.items()}
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _optimizer_state(tensors: Mapping[str, Tensor], optimizer: torch.optim.Adam) -> dict[str, Any]:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "adam.").items():
        index, _, moment = name.partition(".")
        moments.setdefault(int(index), {})[moment] = value
    return {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}; train anew into another folder") from error


def _require_same(path: Path, header: Mapping[str, Any], state: TrainingState) -> None:
    """Refuse to go on with another recipe or other data than begun with; more epochs are welcome."""
    for name, value in asdict(state.recipe).items():
        begun = header["recipe"].get(name)
        if name not in _CHANGEABLE and begun != value:
            raise SettingsError(f"{path.parent} was begun with {name} = {begun}, got {value}; resume with the same")
    if header["data"] != state.data:
        raise ModelError(f"{path.parent} was begun on other data; resume with the same, or train into another folder")
