"""The configuration of a training: everything but the data that decides its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segqa.data.subsets import HELD_OUT, SEED
from segqa.errors import SettingsError
from segqa.settings.checks import nearest

MODELS = ("unet", "resnet34")
"""What can be trained."""

_EPOCHS = {"unet": 25, "resnet34": 20}
_OWN = {"width": "unet", "arch": "resnet34", "encoder": "resnet34", "encoder_weights": "resnet34"}
_STRIDE, _SMALLEST = 32, 64


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        model: `"unet"`, or `"resnet34"` for a network of segmentation_models_pytorch.
        epochs: how often every training case is seen.
        size: images and masks are scaled to a square of this side, in pixels.
        flip: the probability of a horizontal flip.
        batch_size: cases a step.
        learning_rate: of Adam.
        width: of the `UNet`.
        arch: the architecture, by its name in segmentation_models_pytorch.
        encoder: the encoder, likewise.
        encoder_weights: `"imagenet"` or another pretrained set, fetched when training begins; `None` is random.
        held_out: the share of the cases that is validated on, and not trained on.
        split_seed: decides which.
        seed: of the weights, the order of the cases, the augmentation and the dropout.
        limit: train on so many of the cases, and validate on at most as many.
        patience: stop after so many epochs without a better validation IoU; `None` never does.

    Raises:
        SettingsError: a value that makes no sense.
    """

    model: str
    epochs: int
    size: int = 256
    flip: float = 0.5
    batch_size: int = 16
    learning_rate: float = 1e-4
    width: int = 64
    arch: str = "Unet"
    encoder: str = "resnet34"
    encoder_weights: str | None = "imagenet"
    held_out: float = HELD_OUT
    split_seed: int = SEED
    seed: int = 0
    limit: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise SettingsError(f"cannot train {self.model!r}; {nearest(self.model, MODELS)}")
        for name in ("epochs", "batch_size", "width", "limit", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{_option(name)} must be 1 or more, got {value}")
        if self.size % _STRIDE or self.size < _SMALLEST:
            raise SettingsError(f"--size must be a multiple of {_STRIDE}, at least {_SMALLEST}, got {self.size}")
        if not self.learning_rate > 0:
            raise SettingsError(f"--learning-rate must be above 0, got {self.learning_rate:g}")
        if self.seed < 0:
            raise SettingsError(f"--seed must be 0 or more, got {self.seed}")


def build_config(model: str, **options: Any) -> TrainingConfig:
    """The recipe for a model, with what the options say instead of the defaults; `None` is not said.

    Raises:
        SettingsError: a value makes no sense, or an option is another model's.

    >>> build_config("resnet34", encoder_weights="none").epochs
    20
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if model in MODELS and _OWN.get(name, model) != model:
            raise SettingsError(f"{_option(name)} belongs to {_OWN[name]}, not to {model}")
    if given.get("encoder_weights") == "none":
        given["encoder_weights"] = None
    return TrainingConfig(model, **{"epochs": _EPOCHS.get(model, 1), **given})


def _option(name: str) -> str:
    """How a field is called on the command line."""
    return f"--{name.replace('_', '-')}"
