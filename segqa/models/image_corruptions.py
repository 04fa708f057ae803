"""Image corruptions for robustness tests (blur, noise, JPEG, brightness, …), built from albumentations transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from segqa.data.mask import Image
from segqa.models.transforms import Transform, import_albumentations

_Shape: TypeAlias = tuple[int, int]
_Step: TypeAlias = Callable[[ModuleType, float, _Shape], Any]


def find_library_version() -> str | None:
    """Return the version of albumentations without importing it; None if it is not installed."""
    try:
        return version("albumentations")
    except PackageNotFoundError:
        return None


def build_corruption(name: str, amount: float, shape: _Shape, seed: int) -> Transform:
    """Build the corruption of a name for images of one size; equal arguments give equal results.

    Args:
        name: one of `CORRUPTIONS`.
        amount: its strength, see `segqa.analysis.robustness.perturbations`.
        shape: `(height, width)` of the images.
        seed: for the random corruptions.
    """
    library = import_albumentations()
    return library.Compose([CORRUPTIONS[name](library, amount, shape)], seed=seed)


def apply_corruption(transform: Transform, image: Image) -> Image:
    """Return a corrupted image."""
    return np.ascontiguousarray(transform(image=image)["image"], dtype=np.uint8)


def _build_brightness(library: ModuleType, amount: float, _shape: _Shape) -> Any:
    return library.RandomBrightnessContrast(brightness_limit=(amount, amount), contrast_limit=(0, 0), p=1)


def _build_gamma(library: ModuleType, amount: float, _shape: _Shape) -> Any:
    return library.RandomGamma(gamma_limit=(100 * amount, 100 * amount), p=1)


def _build_contrast(library: ModuleType, amount: float, _shape: _Shape) -> Any:
    # around the mean: RandomBrightnessContrast would also darken the image
    same = (1, 1)
    return library.ColorJitter(brightness=same, contrast=(amount, amount), saturation=same, hue=(0, 0), p=1)


def _build_saturation(library: ModuleType, amount: float, _shape: _Shape) -> Any:
    same = (1, 1)
    return library.ColorJitter(brightness=same, contrast=same, saturation=(amount, amount), hue=(0, 0), p=1)


def _build_jpeg(library: ModuleType, amount: float, _shape: _Shape) -> Any:
    return library.ImageCompression(compression_type="jpeg", quality_range=(int(amount), int(amount)), p=1)


def _build_blur(library: ModuleType, amount: float, shape: _Shape) -> Any:
    sigma = amount * float(np.hypot(*shape))
    return library.GaussianBlur(blur_limit=0, sigma_limit=(sigma, sigma), p=1)


def _build_noise(library: ModuleType, amount: float, _shape: _Shape) -> Any:
    return library.GaussNoise(std_range=(amount, amount), mean_range=(0, 0), per_channel=True, p=1)


CORRUPTIONS: Mapping[str, _Step] = MappingProxyType(
    {
        "brightness": _build_brightness,
        "gamma": _build_gamma,
        "contrast": _build_contrast,
        "grayscale": _build_saturation,
        "jpeg": _build_jpeg,
        "blur": _build_blur,
        "noise": _build_noise,
    }
)
"""The builder of each corruption, by name."""
