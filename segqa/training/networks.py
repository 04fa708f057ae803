"""Build the networks that a configuration can name, with pretrained encoder weights."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from segqa.errors import ModelError, SettingsError
from segqa.models.log_levels import limit_logging
from segqa.models.unet import UNet
from segqa.settings.checks import nearest
from segqa.training.config import TrainingConfig


def build_network(recipe: TrainingConfig, *, pretrained: bool = True) -> nn.Module:
    """The network of a recipe; its random weights depend on the recipe's seed alone.

    Args:
        recipe: says which.
        pretrained: whether to fetch the encoder's weights, if the recipe wants any; a resumed training has its own.

    Raises:
        SettingsError: there is no such architecture or encoder.
        ModelError: the encoder's weights cannot be fetched.
    """
    torch.manual_seed(recipe.seed)
    if recipe.model == "unet":
        return UNet(recipe.width)
    return _smp_net(recipe, recipe.encoder_weights if pretrained else None)


def _smp_net(recipe: TrainingConfig, weights: str | None) -> nn.Module:
    smp = _library()
    architectures = {kind.__name__: kind for kind in smp.MODEL_ARCHITECTURES_MAPPING.values()}
    if recipe.arch not in architectures:
        raise SettingsError(f"no architecture {recipe.arch!r}; {nearest(recipe.arch, architectures)}")
    if not recipe.encoder.startswith("tu-") and recipe.encoder not in smp.encoders.get_encoder_names():
        hint = nearest(recipe.encoder, smp.encoders.get_encoder_names())
        raise SettingsError(f"no encoder {recipe.encoder!r}; {hint}")
    try:
        with limit_logging("huggingface_hub", logging.ERROR):
            net: nn.Module = architectures[recipe.arch](recipe.encoder, encoder_weights=weights, classes=1)
    except OSError as error:
        raise ModelError(
            f"cannot fetch the {weights} weights of {recipe.encoder} from the hub (no connection, and no copy in its "
            f"cache); connect once, or train from random weights with --encoder-weights none"
        ) from error
    except (KeyError, ValueError, RuntimeError, NotImplementedError) as error:
        raise SettingsError(f"cannot build {recipe.arch} with {recipe.encoder} and {weights}: {error}") from error
    return net


def _library() -> Any:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise ModelError("resnet34 needs segmentation_models_pytorch: pip install 'segqa[models]'") from error
    return smp
