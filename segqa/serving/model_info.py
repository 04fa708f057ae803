"""A card says of a server which model it has, what it does where a request does not say, and what it takes on."""

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
    """What `/model` answers.

    Attributes:
        name: of the model.
        fingerprint: changes whenever its answers could; null where it has none.
        fingerprint_computed: whether `segqa.fingerprint_of` has made it; else somebody has written it by hand.
        versions: of segqa, Python and the libraries that have been loaded.
        pickers: what a request may name.
        pick: the picker where it names none.
        prompt: what to segment where it does not say.
        batch_size: so many images a call of the model, at most.
        limits: of what is taken on.
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
    """The card of a model that has been set up.

    Raises:
        ModelError: it cannot be asked.
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
