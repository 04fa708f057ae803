"""Choose the batch size: fixed, or adapted to memory and speed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Literal, TypeAlias

BatchSetting: TypeAlias = int | Literal["auto"]

FIRST, LARGEST = 8, 256
"""With `auto`: where it begins, and where it ends even if more would fit."""

_FULL = 0.9
_WORTH = 0.95

Memory: TypeAlias = Callable[[], tuple[int, int] | None]
"""The bytes that a GPU has given at most so far, and all it has; None where none is in use."""


def gpu_memory() -> tuple[int, int] | None:
    """What torch has taken of its current GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.max_memory_reserved():
        return None
    return torch.cuda.max_memory_reserved(), torch.cuda.mem_get_info()[1]


class BatchSize:
    """How many images a `predict` call gets.

    With `"auto"` it is doubled on a GPU for as long as twice the memory is there and an image gets cheaper by it; on a
    CPU it stays, since larger batches are no faster there. Where memory does not suffice it is halved, whatever was
    set, and does not grow again.

    Args:
        setting: a number, or `"auto"`.
        memory: what is known of the memory of the GPU.
    """

    def __init__(self, setting: BatchSetting, memory: Memory = gpu_memory) -> None:
        self.current = FIRST if setting == "auto" else setting
        self._grows = setting == "auto"
        self._memory = memory
        self._best: float | None = None
        self._is_warm = False

    def record_success(self, images: int, seconds: float) -> None:
        """A call for so many images took so long: the next one may ask for more."""
        if not self._grows or images < self.current:
            return
        if not self._is_warm:
            # the first call of a size allocates and tunes, so it says nothing about time
            self._is_warm = True
            return
        each = seconds / images
        if self._best is not None and each > self._best * _WORTH:
            self._grows = False
            self.current //= 2
            return
        memory = self._memory()
        if memory is None or 2 * memory[0] > _FULL * memory[1] or 2 * self.current > LARGEST:
            self._grows = False
            return
        self._best, self._is_warm = each, False
        self.current *= 2

    def record_failure(self, images: int) -> None:
        """A call for so many images needed more memory than there is."""
        self._grows = False
        self.current = min(self.current, max(1, images // 2))
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a library says that there is not enough memory, on a GPU or at all."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in said or "failed to allocate memory" in said)
