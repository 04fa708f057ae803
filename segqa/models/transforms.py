"""Image preprocessing and augmentation with albumentations; the only module that imports it."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import cv2

from segqa.errors import ModelError

Transform: TypeAlias = Any
"""An albumentations `Compose`: takes `image=` and optionally `mask=`, and returns a dictionary with the same keys."""

FILE = "albumentations_config_eval.json"
"""The file name under which albumentations stores a preprocessing beside the weights."""

_NO_UPDATES = "NO_ALBUMENTATIONS_UPDATE"
_FOR_TORCH = "albumentations.pytorch"


def build_resizing(size: int) -> Transform:
    """Return a transform that scales image and mask to a square of this side, the mask by nearest neighbour."""
    return import_albumentations().Compose([_build_resize(size)])


def build_augmentation(flip: float) -> Transform:
    """Return the training transform for resized images: flip with this probability, then normalise."""
    library = import_albumentations()
    return library.Compose([library.HorizontalFlip(p=flip), library.Normalize()])


def build_normalization() -> Transform:
    """Return the validation transform for resized images: normalise by ImageNet's mean and standard deviation."""
    library = import_albumentations()
    return library.Compose([library.Normalize()])


def build_preprocessing(size: int) -> Transform:
    """Return the inference transform, which is stored beside the weights: scale to a square, then normalise."""
    return import_albumentations().Compose([_build_resize(size), import_albumentations().Normalize()])


def read_preprocessing(path: Path) -> Transform:
    """Read a preprocessing file that albumentations' `save_pretrained` or segqa has written.

    Raises:
        ModelError: it is not a preprocessing, or moves pixels other than by scaling the whole image: the mask could
            not be mapped back.
    """
    try:
        transform = _parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except (UserWarning, KeyError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ModelError(f"{path} is damaged, or no preprocessing that albumentations can read: {reason}") from error
    _require_scaling_only(path, transform)
    return transform


def import_albumentations() -> ModuleType:
    """Import albumentations without its online update check and without importing torch.

    Its torch transforms are loaded on first access.
    """
    if "albumentations" in sys.modules:
        return sys.modules["albumentations"]
    with _skip_update_check(), _hide_torch():
        library = import_module("albumentations")
    vars(library).setdefault("__getattr__", _get_torch_attribute)
    return library


@contextmanager
def _skip_update_check() -> Iterator[None]:
    before = os.environ.get(_NO_UPDATES)
    os.environ[_NO_UPDATES] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_UPDATES]
        else:
            os.environ[_NO_UPDATES] = before


@contextmanager
def _hide_torch() -> Iterator[None]:
    """Keep albumentations from importing torch if nobody else has: the import is slow and serves two transforms."""
    if "torch" in sys.modules:
        yield
        return
    whole: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None keeps a module from being found
    whole[_FOR_TORCH] = None
    try:
        yield
    finally:
        del whole[_FOR_TORCH]


def _get_torch_attribute(name: str) -> Any:
    """Load a torch transform of albumentations on first access (PEP 562)."""
    if name == "pytorch" or name.startswith("ToTensor"):
        with suppress(ImportError):
            module = import_module(_FOR_TORCH)
            return module if name == "pytorch" else getattr(module, name)
    raise AttributeError(f"module 'albumentations' has no attribute {name!r}")


def _parse_json(text: str) -> Transform:
    library = import_albumentations()
    with warnings.catch_warnings(), nullcontext() if "ToTensor" in text else _hide_torch():
        # albumentations ignores an unknown argument with a warning
        warnings.simplefilter("error", UserWarning)
        return library.from_dict(json.loads(text))


def _build_resize(size: int) -> Transform:
    # INTER_NEAREST_EXACT samples at pixel centres; the default for masks shifts by half a pixel
    return import_albumentations().Resize(size, size, mask_interpolation=cv2.INTER_NEAREST_EXACT)


def _require_scaling_only(path: Path, transform: Transform) -> None:
    library = import_albumentations()
    if not isinstance(transform, library.Compose):
        raise ModelError(f"{path} must hold a Compose, got {type(transform).__name__}")
    for step in transform.transforms:
        scales, colours = isinstance(step, library.Resize), isinstance(step, library.ImageOnlyTransform)
        if not (scales or colours or type(step).__name__ == "ToTensorV2"):
            came = type(step).__name__
            raise ModelError(f"{path} has a step {came}; expected Resize and steps that leave every pixel at its place")
