"""`Network`: a segmentation network in torch as a model; any image goes in, the mask has the image's size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from segqa.errors import ModelError
from segqa.mask import Image
from segqa.models.checkpoint import CASES, Checkpoint, read_checkpoint
from segqa.models.device import find_device
from segqa.models.fingerprint import fingerprint
from segqa.models.unet import UNet
from segqa.proposals import Proposals

Family: TypeAlias = Literal["unet", "smp"]

_LIBRARIES = ("torch", "albumentations", "opencv-python-headless")
_SMP_LIBRARIES = ("segmentation-models-pytorch", "timm")


class Network:
    """A checkpoint's network: preprocessed, run, scaled back, cut.

    The mask score is the mean probability inside the mask, 0 where the mask is empty.

    Args:
        checkpoint: the network and its preprocessing.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, …; `"auto"` is a GPU where there is one.
        mask_cutoff: object is where the probability is above it.

    Raises:
        ModelError: there is no such device, or the cutoff is none.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str = "auto", mask_cutoff: float = 0.5) -> None:
        if not 0 <= mask_cutoff < 1:
            raise ModelError(f"mask_cutoff must be from 0 to below 1, got {mask_cutoff}")
        self._device = find_device(device)
        self._net = checkpoint.net.to(self._device).eval()
        self._preprocessing = checkpoint.preprocessing
        self._mask_cutoff = mask_cutoff
        libraries = _LIBRARIES if isinstance(self._net, UNet) else (*_LIBRARIES, *_SMP_LIBRARIES)
        arguments = {"mask_cutoff": mask_cutoff, "device": self._device.type}
        self.notes = checkpoint.notes
        self.trained_on = _trained_on(checkpoint.files[0].with_name(CASES))
        self.weights_bytes = checkpoint.files[0].stat().st_size
        self.fingerprint = fingerprint(self, arguments, weights=checkpoint.files, libraries=libraries)

    @classmethod
    def load(
        cls,
        checkpoint: str | Path | None,
        *,
        name: str,
        family: Family | None = None,
        device: str = "auto",
        mask_cutoff: float = 0.5,
    ) -> Network:
        """The network in a checkpoint's folder.

        Args:
            checkpoint: the folder.
            name: of the model, for messages: `"unet"`.
            family: which kind of network it must be: segqa's own U-Net, one of segmentation_models_pytorch, or either.
            device: as the class takes it.
            mask_cutoff: as the class takes it.

        Raises:
            ModelError: there is no checkpoint, with how to come by one; or it is damaged, or of the other family.
        """
        if checkpoint is None or not Path(checkpoint).exists():
            raise ModelError(_missing(name, checkpoint))
        try:
            read = read_checkpoint(Path(checkpoint))
            _require_family(read, family, Path(checkpoint))
            return cls(read, device=device, mask_cutoff=mask_cutoff)
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        """One proposal for each image.

        Args:
            images: RGB uint8 `[H, W, 3]`.
            prompts: not looked at: the network knows what it was trained for.
        """
        del prompts
        prepared = [self._prepare(image) for image in images]
        if len({one.shape for one in prepared}) == 1:
            answers = list(self._probabilities(torch.stack(prepared)))
        else:
            answers = [self._probabilities(one[None])[0] for one in prepared]
        return [self._propose(answer, image.shape[:2]) for answer, image in zip(answers, images, strict=True)]

    def _prepare(self, image: Image) -> Tensor:
        """An image as the network takes it, float32 `[3, h, w]`."""
        prepared = self._preprocessing(image=image)["image"]
        if isinstance(prepared, Tensor):
            return prepared.float()
        return torch.from_numpy(np.ascontiguousarray(prepared.transpose(2, 0, 1), dtype=np.float32))

    def _probabilities(self, batch: Tensor) -> NDArray[np.float32]:
        """The probability of each pixel, `[N, h, w]`, for prepared images `[N, 3, h, w]`."""
        height, width = batch.shape[-2:]
        stride = _stride(self._net)
        padding = (0, -width % stride, 0, -height % stride)
        # some libraries turn autocast on for the whole process when they are imported
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            logits = self._net(functional.pad(batch.to(self._device), padding, mode="replicate"))
            probabilities = torch.sigmoid(logits.float())[:, 0, :height, :width].cpu().numpy()
        return np.asarray(probabilities, dtype=np.float32)

    def _propose(self, probability: NDArray[np.float32], shape: tuple[int, ...]) -> Proposals:
        size = (shape[1], shape[0])
        resized = cv2.resize(probability, size, interpolation=cv2.INTER_LINEAR)
        mask = resized > self._mask_cutoff
        return Proposals.single(mask, float(resized[mask].mean(dtype=np.float64)) if mask.any() else 0.0)


def _trained_on(path: Path) -> frozenset[str]:
    """The ids of the cases that a network was trained on; none where nobody has kept them."""
    return frozenset(json.loads(path.read_text(encoding="utf-8"))["trained_on"]) if path.is_file() else frozenset()


def _require_family(checkpoint: Checkpoint, family: Family | None, folder: Path) -> None:
    """Refuse to evaluate one network under the name of another."""
    found: Family = "unet" if isinstance(checkpoint.net, UNet) else "smp"
    if family is not None and found != family:
        kinds = {"unet": "segqa's U-Net", "smp": "a network of segmentation_models_pytorch"}
        raise ModelError(f"{folder} holds {kinds[found]}, expected {kinds[family]}")


def _missing(name: str, checkpoint: str | Path | None) -> str:
    """What to say where there is no checkpoint."""
    came = "no checkpoint given" if checkpoint is None else f"no checkpoint at {checkpoint}"
    return (
        f"{name}: {came}; train one (segqa train {name} --dataset DIR --out DIR) and name it: "
        f'--segqa-checkpoint DIR, or checkpoint = "DIR" in [tool.segqa.models.{name}]'
    )


def _stride(net: nn.Module) -> int:
    """What the sides of a network's input must be divisible by."""
    encoder: Any = getattr(net, "encoder", None)
    return int(encoder.output_stride) if getattr(net, "requires_divisible_input_shape", False) else 1
