"""Digest the numbers of torch's tensors and networks, wherever they are."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from typing import Any


def weights_digest(network: Any) -> str:
    """A hex digest of a torch module's parameters and buffers: names, types, shapes and bytes, sorted by name."""
    return _digest(network.state_dict())


def content_of(value: object) -> str | None:
    """Return a digest of a tensor, or of all parameters and buffers of a network; None for what is neither."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "nn"):
        return None
    if isinstance(value, torch.Tensor):
        return _digest({"": value})
    if isinstance(value, torch.nn.Module):
        # also the buffers that a checkpoint leaves out; and what it consists of
        held = {**dict(value.named_parameters()), **dict(value.named_buffers())}
        return f"{_digest(held)} {hashlib.sha256(repr(value).encode()).hexdigest()}"
    return None


def _digest(tensors: Mapping[str, Any]) -> str:
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
