"""Transforms: what happens to an image before a network sees it; the only module that imports albumentations."""

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
"""An albumentations `Compose`: called with `image=` and perhaps `mask=`, it answers a dictionary with the same keys."""

FILE = "albumentations_config_eval.json"
"""The name under which albumentations keeps a preprocessing beside the weights."""

_NO_UPDATES = "NO_ALBUMENTATIONS_UPDATE"
_FOR_TORCH = "albumentations.pytorch"


def build_resizing(size: int) -> Transform:
    """Image and mask scaled to a square of this side, the mask nearest."""
    return import_albumentations().Compose([_build_resize(size)])


def build_augmentation(flip: float) -> Transform:
    """What training does to a picture that has its size: flipped with this probability, and normalised."""
    library = import_albumentations()
    return library.Compose([library.HorizontalFlip(p=flip), library.Normalize()])


def build_normalization() -> Transform:
    """What validation does to a picture that has its size: ImageNet's mean and standard deviation."""
    library = import_albumentations()
    return library.Compose([library.Normalize()])


def build_preprocessing(size: int) -> Transform:
    """What is done to an image to predict it: scaled to a square and normalised; this is kept beside the weights."""
    return import_albumentations().Compose([_build_resize(size), import_albumentations().Normalize()])


def read_preprocessing(path: Path) -> Transform:
    """The preprocessing in a file that albumentations' `save_pretrained` or segqa has written.

    Raises:
        ModelError: it is not a preprocessing, or moves pixels other than by scaling the whole image: the mask would
            not come back to where it belongs.
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
    """The library, imported without asking the network for updates, and without importing torch.

    Its steps for torch are there when somebody asks for them.
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
    """Keep albumentations from importing torch, unless it is there: that takes longer than all else, for two steps."""
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
    """An attribute of albumentations that needs torch (PEP 562)."""
    if name == "pytorch" or name.startswith("ToTensor"):
        with suppress(ImportError):
            module = import_module(_FOR_TORCH)
            return module if name == "pytorch" else getattr(module, name)
    raise AttributeError(f"module 'albumentations' has no attribute {name!r}")


def _parse_json(text: str) -> Transform:
    library = import_albumentations()
    with warnings.catch_warnings(), nullcontext() if "ToTensor" in text else _hide_torch():
        # albumentations warns of an argument that it does not know, and goes on without it
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
