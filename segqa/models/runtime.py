"""The protocol of a network runtime: prepared images in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Maps: TypeAlias = NDArray[np.float32]
Precision: TypeAlias = Literal["float32", "float16", "int8"]


class Runtime(Protocol):
    """A backend that runs a network for `Network`.

    Attributes:
        stride: the sides of its input must be divisible by it.
        arguments: the arguments that affect the answers, in JSON's types.
        files: the files that it has read.
        libraries: the installed distributions whose version affects the answers.
    """

    @property
    def stride(self) -> int: ...  # noqa: D102
    @property
    def arguments(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def files(self) -> tuple[Path, ...]: ...  # noqa: D102
    @property
    def libraries(self) -> tuple[str, ...]: ...  # noqa: D102

    def compute_probabilities(self, batch: Maps) -> Maps:
        """Return the probability of each pixel, `[N, h, w]`, for prepared images `[N, h, w, 3]`."""
        ...
