"""The device that a network runs on."""

from __future__ import annotations

from typing import Any

from segqa.errors import ModelError


def find_device(name: str) -> Any:
    """The `torch.device` of a name; `auto` is a GPU if CUDA knows one, else the CPU.

    Raises:
        ModelError: torch does not know it, or does not have it here.
    """
    import torch

    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise ModelError(f"device must be auto, cpu or a GPU that torch has here, got {name!r}: {why}") from error
    return device
