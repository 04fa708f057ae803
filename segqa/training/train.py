"""Train a network by a configuration on a data set; keep the best checkpoint and the history."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from segqa.data.dataset import Dataset
from segqa.data.subsets import split
from segqa.errors import ModelError, SettingsError
from segqa.inference.prefetch import read_ahead
from segqa.models import transforms
from segqa.models.checkpoint import write_checkpoint
from segqa.models.checkpoint_files import CASES
from segqa.models.torch_runtime import find_device
from segqa.runs.store import write_whole
from segqa.scoring.metrics import iou
from segqa.training import resume as states
from segqa.training.config import TrainingConfig
from segqa.training.data import Indices, TrainingImages, iterate_batches, read_images
from segqa.training.history import Epoch, best, to_csv, to_svg
from segqa.training.model_card import Provenance, model_card
from segqa.training.networks import build_network
from segqa.training.resume import TrainingState, restore, write_state

_AHEAD = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    """What stays the same from epoch to epoch."""

    recipe: TrainingConfig
    training: TrainingImages
    validation: TrainingImages
    device: torch.device
    provenance: Provenance
    out: Path


def train(
    recipe: TrainingConfig,
    dataset: Dataset,
    out: Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    resume: bool = False,
) -> list[Epoch]:
    """Train a network, and keep the checkpoint with the highest validation IoU in `out`.

    Beside it come `history.csv`, `history.svg` and the state from which `resume` goes on. On the CPU, and with the same
    number of threads, a resumed training ends with the same bytes as an undisturbed one. The global generators and the
    numbers of threads are as before when it returns.

    Args:
        recipe: how.
        dataset: split as the recipe says.
        out: a folder that is not there or empty; made.
        device: as for `segqa.models.network.Network`.
        threads: of torch and OpenCV; by default as they are.
        resume: go on with what `out` holds, if it holds a training.

    Returns:
        All epochs, those before a resumption, too.

    Raises:
        UsageError: something does not fit: the folder, the data, the device, the weights to begin with.
    """
    _open_folder(out, resume=resume)
    where = find_device(device)
    with _threads(threads), _own_chance(where):
        return _train(recipe, dataset, out, where)


def _train(recipe: TrainingConfig, dataset: Dataset, out: Path, device: torch.device) -> list[Epoch]:
    resumed = (out / states.FILE).exists()
    # before the pictures: what cannot be built should not take long to say so
    net = build_network(recipe, pretrained=not resumed).to(device)
    setting = _load_images(recipe, dataset, out, device)
    optimizer = torch.optim.Adam(net.parameters(), lr=recipe.learning_rate)
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
    state = TrainingState(recipe, setting.provenance.digest, net, optimizer, scaler)
    if resumed:
        restore(out / states.FILE, state)
        _publish(setting, state)
    _run(setting, state)
    return state.history


def _run(setting: _Setting, state: TrainingState) -> None:
    """All epochs that are left."""
    recipe = setting.recipe
    with tqdm(total=recipe.epochs, initial=len(state.history), desc="epochs", unit="epoch", disable=None) as bar:
        while len(state.history) < recipe.epochs and not _is_exhausted(state.history, recipe.patience):
            state.history.append(_epoch(setting, state, len(state.history) + 1))
            write_state(setting.out / states.FILE, state)
            _publish(setting, state)
            bar.update()
            tqdm.write(_line(state.history, recipe.epochs))


def _load_images(recipe: TrainingConfig, dataset: Dataset, out: Path, device: torch.device) -> _Setting:
    """The pictures of both parts of the split, read."""
    parts = split(dataset, held_out=recipe.held_out, seed=recipe.split_seed)
    if recipe.limit is not None:
        # after the split: a case that is held out is never trained on, whatever the limit
        parts = parts[0].limit(recipe.limit), parts[1].limit(recipe.limit)
    training = read_images(parts[0], recipe.size, title="reading training cases")
    validation = read_images(parts[1], recipe.size, title="reading cases held out")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    digest = f"{training.digest}-{validation.digest}"
    provenance = Provenance(dataset.name, training.ids, validation.ids, digest, name)
    return _Setting(recipe, training, validation, device, provenance, out)


def _epoch(setting: _Setting, state: TrainingState, number: int) -> Epoch:
    """Learn from every training case once, then look at those held out."""
    torch.manual_seed(_derive_seed(setting.recipe.seed, number))
    loss = _learn(setting, state, number)
    if not math.isfinite(loss):
        raise ModelError(f"training diverged in epoch {number}: the loss is {loss}; lower the --learning-rate")
    return Epoch(number, loss, *_validate(setting, state.net))


def _learn(setting: _Setting, state: TrainingState, number: int) -> float:
    """The mean loss over the training cases, after a step of the optimizer for each batch."""
    recipe, pictures = setting.recipe, setting.training
    augment = transforms.build_augmentation(recipe.flip)
    batches = list(iterate_batches(len(pictures), recipe.batch_size, recipe.seed, number))

    def load(chosen: tuple[Indices, Indices]) -> tuple[Tensor, Tensor]:
        return pictures.batch(chosen[0], augment, chosen[1])

    state.net.train()
    total = torch.zeros((), dtype=torch.float64, device=setting.device)
    with read_ahead(batches, load, depth=lambda: _AHEAD) as loaded:
        for images, masks in tqdm(loaded, f"epoch {number}", len(batches), leave=False, unit="batch", disable=None):
            total += _step(state, images.to(setting.device), masks.to(setting.device)) * len(images)
    return float(total) / len(pictures)


def _step(state: TrainingState, images: Tensor, masks: Tensor) -> Tensor:
    """One step of the optimizer; the mean loss of the batch."""
    with torch.autocast(images.device.type, enabled=state.scaler.is_enabled()):
        loss = functional.binary_cross_entropy_with_logits(state.net(images), masks)
    state.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(state.scaler.scale(loss))
    state.scaler.step(state.optimizer)
    state.scaler.update()
    return loss.detach()


def _validate(setting: _Setting, net: nn.Module) -> tuple[float, float]:
    """The mean loss and the mean IoU over the cases held out."""
    pictures, size = setting.validation, setting.recipe.batch_size
    normalise = transforms.build_normalization()
    losses, ious = [], []
    net.eval()
    for start in tqdm(range(0, len(pictures), size), "validation", leave=False, unit="batch", disable=None):
        chosen = np.arange(start, min(start + size, len(pictures)))
        images, masks = pictures.batch(chosen, normalise)
        logits = _logits(net, images.to(setting.device)).cpu()
        losses.append(float(functional.binary_cross_entropy_with_logits(logits, masks)) * len(chosen))
        predicted = (logits > 0)[:, 0].numpy()
        ious += [iou(mask, pictures.masks[index]) for mask, index in zip(predicted, chosen, strict=True)]
    return math.fsum(losses) / len(pictures), math.fsum(ious) / len(pictures)


def _logits(net: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode(), torch.autocast(images.device.type, enabled=images.device.type == "cuda"):
        answer: Tensor = net(images)
    return answer.float()


def _publish(setting: _Setting, state: TrainingState) -> None:
    """Write the history, and the checkpoint if the last epoch was the best; the same again after a resumption."""
    recipe, top = setting.recipe, best(state.history)
    if top is not None and top is state.history[-1]:
        card = model_card(recipe, setting.provenance, top)
        write_checkpoint(setting.out, state.net, transforms.build_preprocessing(recipe.size), card)
    seen = {"dataset": setting.provenance.dataset, "trained_on": list(setting.provenance.trained_on)}
    write_whole(setting.out / CASES, json.dumps(seen, indent=1) + "\n")
    write_whole(setting.out / "history.csv", to_csv(state.history))
    write_whole(setting.out / "history.svg", to_svg(state.history, f"training of {recipe.model}"))


def _line(history: list[Epoch], epochs: int) -> str:
    """An epoch for a log."""
    last = history[-1]
    losses = f"loss {last.train_loss:.4f}  validation loss {last.validation_loss:.4f}"
    mark = "  best" if best(history) is last else ""
    return f"epoch {last.epoch}/{epochs}  {losses}  validation IoU {last.validation_iou:.4f}{mark}"


def _is_exhausted(history: list[Epoch], patience: int | None) -> bool:
    """Whether the last so many epochs brought nothing better."""
    top = best(history)
    return patience is not None and top is not None and history[-1].epoch - top.epoch >= patience


def _derive_seed(seed: int, epoch: int) -> int:
    """A seed for the dropout of an epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _open_folder(out: Path, *, resume: bool) -> None:
    """Make the folder; refuse to write over what is there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--out must be a folder that can be made, got {out}: {error.strerror}") from error
    if resume:
        states.remove_leftovers(out)
    begun, empty = (out / states.FILE).exists(), not any(out.iterdir())
    if resume and not begun and not empty:
        raise SettingsError(f"nothing to resume in {out}: it has no {states.FILE}")
    if not resume and not empty:
        hint = "; --resume goes on with it" if begun else ""
        raise SettingsError(f"{out} is not empty; give a folder that is not there yet{hint}")


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """With so many threads in torch and OpenCV, and as many as before afterwards."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    if count is not None:
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


@contextmanager
def _own_chance(device: torch.device) -> Iterator[None]:
    """With torch's generators restored afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        yield
