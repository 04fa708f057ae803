"""`TorchRuntime`: run a checkpoint's network with PyTorch on the CPU or a GPU."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segqa.errors import ModelError
from segqa.models.checkpoint import read_checkpoint
from segqa.models.checkpoint_files import CONFIG, WEIGHTS
from segqa.models.runtime import Maps, Precision
from segqa.models.unet import UNet

LEAST_IOU = 0.99
"""Minimum agreement of a float16 or compiled network with the original network."""


class TorchRuntime:
    """A checkpoint's network in PyTorch, with the channels-last memory format.

    A faster variant (float16, compiled) runs next to the original network until the first batch in which the original
    finds an object. If their masks differ, the variant is refused.

    Args:
        folder: the checkpoint.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, …; `"auto"` is a GPU if there is one.
        precision: `"float32"`, or `"float16"`, which is for GPUs: it is slower on a CPU.
        compiled: use `torch.compile`; the first batch then takes a minute, and so does each new batch size.

    Raises:
        ModelError: the device is unavailable, or the checkpoint cannot be read.
    """

    def __init__(
        self, folder: Path, *, device: str = "auto", precision: Precision = "float32", compiled: bool = False
    ) -> None:
        if precision not in {"float32", "float16"}:
            raise ModelError(f"torch runs float32 and float16, got {precision!r}")
        self._device = find_device(device)
        net = read_checkpoint(folder).net.eval().to(self._device).to(memory_format=torch.channels_last)
        self._net = net
        self._fast: Any = torch.compile(net) if compiled else net
        self._half = precision == "float16"
        self._is_checked = not (self._half or compiled)
        self.stride = _find_stride(net)
        self.arguments = {"device": self._device.type, "precision": precision, "compiled": compiled}
        self.files = (folder / WEIGHTS, folder / CONFIG)
        smp = () if isinstance(net, UNet) else ("segmentation-models-pytorch", "timm")
        self.libraries = ("torch", *smp)

    def compute_probabilities(self, batch: Maps) -> Maps:
        """Return the probability of each pixel, `[N, h, w]`, for prepared images `[N, h, w, 3]`."""
        # a permuted view: the channels stay last in memory and become the second axis for torch
        images = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            found = self._run(self._fast, images, half=self._half)
            if not self._is_checked:
                self._check(found, self._run(self._net, images, half=False))
        return found

    def _run(self, net: nn.Module, images: Tensor, *, half: bool) -> Maps:
        with _set_precision(self._device, half=half):
            logits = net(images)
        return np.asarray(torch.sigmoid(logits.float())[:, 0].cpu().numpy(), dtype=np.float32)

    def _check(self, found: Maps, wanted: Maps) -> None:
        """Refuse answers that differ from the original network's; without an object in those, nothing can be said."""
        ours, theirs = found > 0.5, wanted > 0.5
        if not theirs.any():
            return
        agreement = np.count_nonzero(ours & theirs) / np.count_nonzero(ours | theirs)
        if agreement < LEAST_IOU:
            how = "float16" if self._half else "the compiled network"
            raise ModelError(
                f"{how} gives other masks than the network itself: IoU {agreement:.4f}, expected {LEAST_IOU} or more; "
                "run it without"
            )
        self._is_checked = True


def _set_precision(device: torch.device, *, half: bool) -> AbstractContextManager[Any]:
    """Return a context with half precision, or with autocast off, since some libraries enable it on import."""
    return torch.autocast(device.type, dtype=torch.float16 if half else None, enabled=half)


def _find_stride(net: nn.Module) -> int:
    """Return the number by which the sides of a network's input must be divisible."""
    encoder: Any = getattr(net, "encoder", None)
    return int(encoder.output_stride) if getattr(net, "requires_divisible_input_shape", False) else 1


def find_device(name: str) -> Any:
    """Return the `torch.device` of a name; `auto` is a GPU if CUDA has one, else the CPU.

    Raises:
        ModelError: the name is invalid, or the device is unavailable.
    """
    import torch

    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise ModelError(f"device must be auto, cpu or a GPU that torch has here, got {name!r}: {why}") from error
    return device
