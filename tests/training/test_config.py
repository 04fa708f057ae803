from typing import Any

import pytest

from segqa.errors import SettingsError
from segqa.training.config import build_config


def test_the_defaults_are_the_story_s() -> None:
    recipe = build_config("unet", width=None)
    assert (recipe.epochs, recipe.size, recipe.flip, recipe.batch_size) == (25, 256, 0.5, 16)
    assert (recipe.learning_rate, recipe.width, recipe.held_out, recipe.split_seed) == (1e-4, 64, 0.2, 42)
    assert build_config("resnet34").epochs == 20
    assert build_config("resnet34").encoder_weights == "imagenet"
    assert build_config("resnet34", encoder_weights="none").encoder_weights is None


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("unet34", {}, r"cannot train 'unet34'; did you mean 'unet'"),
        ("unet", {"epochs": 0}, "--epochs must be 1 or more, got 0"),
        ("unet", {"batch_size": -1}, "--batch-size must be 1 or more"),
        ("unet", {"size": 100}, "--size must be a multiple of 32, at least 64, got 100"),
        ("unet", {"learning_rate": float("nan")}, "--learning-rate must be above 0"),
        ("unet", {"seed": -1}, "--seed must be 0 or more"),
        ("unet", {"encoder": "resnet18"}, "--encoder belongs to resnet34, not to unet"),
        ("resnet34", {"width": 8}, "--width belongs to unet, not to resnet34"),
    ],
)
def test_what_makes_no_sense_is_refused(model: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        build_config(model, **options)
