"""Describe the served model: its name, versions, defaults and limits."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from segqa.errors import ModelError
from segqa.models.fingerprint import is_computed
from segqa.models.pickers import PICKERS
from segqa.serving.limits import Limits

_LIBRARIES = {"numpy": "numpy", "cv2": "opencv-python-headless", "PIL": "pillow", "torch": "torch"}


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The JSON of `/model`.

    Attributes:
        name: name of the model.
        fingerprint: changes whenever the answers of the model could change; null without one.
        fingerprint_computed: whether segqa computed the fingerprint; otherwise it is written by hand.
        versions: versions of segqa, Python and the loaded libraries.
        pickers: the available pickers.
        pick: the default picker.
        prompt: the default prompt.
        batch_size: maximum number of images in a call of the model.
        limits: the limits of the server.
    """

    name: str
    fingerprint: str | None
    fingerprint_computed: bool
    versions: dict[str, str]
    pickers: tuple[str, ...]
    pick: str
    prompt: str
    batch_size: int
    limits: Limits


def describe_model(name: str, model: Any, *, pick: str, prompt: str, batch_size: int, limits: Limits) -> ModelInfo:
    """Describe a model.

    Raises:
        ModelError: the model has no method `predict`.
    """
    if not callable(getattr(model, "predict", None)):
        raise ModelError(f"a model must have predict(images, prompts), got {type(model).__name__}")
    fingerprint = getattr(model, "fingerprint", None)
    return ModelInfo(
        name=name,
        fingerprint=fingerprint,
        fingerprint_computed=is_computed(model),
        versions=_read_versions(),
        pickers=tuple(PICKERS),
        pick=pick,
        prompt=prompt,
        batch_size=batch_size,
        limits=limits,
    )


def _read_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for distribution in ("segqa", *(name for module, name in _LIBRARIES.items() if module in sys.modules)):
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:  # OpenCV comes under several names; segqa may not be installed
            found[distribution] = "unknown"
    return found
