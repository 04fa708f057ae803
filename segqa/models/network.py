"""`Network`: a semantic segmentation network as a model, with preprocessing and masks at the image's own size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np

from segqa.data.mask import Image
from segqa.errors import ModelError
from segqa.models import transforms
from segqa.models.checkpoint_files import Family, read_preprocessing, read_training_cases, require_family, require_files
from segqa.models.fingerprint import fingerprint_of
from segqa.models.protocol import Proposals
from segqa.models.runtime import Maps, Precision, Runtime

RuntimeName: TypeAlias = Literal["torch", "onnx"]

_LIBRARIES = ("albumentations", "opencv-python-headless")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A preprocessed image.

    Attributes:
        pixels: float32 `[h, w, 3]`.
        size: the image's own `(height, width)`.
    """

    pixels: Maps
    size: tuple[int, int]


class Network:
    """A checkpoint's network with preprocessing, resizing of the probabilities and a mask cutoff.

    The mask score is the mean probability inside the mask, 0 if the mask is empty.

    Args:
        folder: the checkpoint's folder.
        runtime: runs the network.
        mask_cutoff: pixels with a higher probability are object.

    Raises:
        ModelError: the cutoff is not a probability.
    """

    def __init__(self, folder: Path, runtime: Runtime, *, mask_cutoff: float = 0.5) -> None:
        if not 0 <= mask_cutoff < 1:
            raise ModelError(f"mask_cutoff must be from 0 to below 1, got {mask_cutoff}")
        self._runtime = runtime
        self._preprocessing, self.notes = read_preprocessing(folder)
        self._mask_cutoff = mask_cutoff
        self.trained_on = read_training_cases(folder)
        self.weights_bytes = runtime.files[0].stat().st_size
        kept = [path for path in [folder / transforms.FILE] if path.exists()]
        self.fingerprint = fingerprint_of(
            type(self),
            type(runtime),
            *runtime.files,
            *kept,
            options={"mask_cutoff": mask_cutoff, **runtime.arguments},
            packages=[*_LIBRARIES, *runtime.libraries],
        )

    @classmethod
    def load(
        cls,
        checkpoint: str | Path | None,
        *,
        name: str,
        family: Family | None = None,
        device: str = "auto",
        mask_cutoff: float = 0.5,
        runtime: RuntimeName = "torch",
        precision: Precision = "float32",
        compiled: bool = False,
    ) -> Network:
        """Load the network in a checkpoint's folder.

        Args:
            checkpoint: the checkpoint's folder.
            name: the model's name, for messages: `"unet"`.
            family: the required kind of network: segqa's own U-Net, one of segmentation_models_pytorch, or either.
            device: a device name of the runtime.
            mask_cutoff: see the class.
            runtime: torch, or ONNX Runtime for the file that `segqa export` has written.
            precision: `"float32"`; torch also supports `"float16"`, onnx `"int8"`.
            compiled: use `torch.compile`.

        Raises:
            ModelError: there is no checkpoint (the message says how to get one), or it is damaged or of another family.
        """
        if checkpoint is None or not Path(checkpoint).exists():
            raise ModelError(_describe_missing_checkpoint(name, checkpoint))
        folder = Path(checkpoint)
        try:
            require_files(folder)
            require_family(folder, family)
            runs = _open_runtime(folder, runtime, device=device, precision=precision, compiled=compiled)
            return cls(folder, runs, mask_cutoff=mask_cutoff)
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        """Return one proposal for each image.

        Args:
            images: RGB uint8 `[H, W, 3]`.
            prompts: ignored, since the network segments one fixed class.
        """
        return self.predict_prepared([self.prepare(image, "") for image in images], prompts)

    def prepare(self, image: Image, prompt: str) -> Prepared:
        """Preprocess an image; evaluations call it in another thread while the network runs on the previous batch."""
        del prompt
        prepared = self._preprocessing(image=image)["image"]
        # with ToTensorV2 among its steps, the result is a tensor with the channels first
        pixels = prepared if isinstance(prepared, np.ndarray) else prepared.numpy().transpose(1, 2, 0)
        height, width = image.shape[:2]
        return Prepared(pixels.astype(np.float32, copy=False), (height, width))

    def predict_prepared(self, prepared: Sequence[Prepared], prompts: Sequence[str]) -> list[Proposals]:
        """Return the answers of `predict` for images that `prepare` has preprocessed."""
        del prompts
        if len({one.pixels.shape for one in prepared}) == 1:
            answers = list(self._compute_probabilities(np.stack([one.pixels for one in prepared])))
        else:
            answers = [self._compute_probabilities(one.pixels[None])[0] for one in prepared]
        return [self._propose(answer, one.size) for answer, one in zip(answers, prepared, strict=True)]

    def _compute_probabilities(self, batch: Maps) -> Maps:
        """Return the probability of each pixel, `[N, h, w]`, for prepared images `[N, h, w, 3]`."""
        height, width = batch.shape[1:3]
        stride = self._runtime.stride
        padding = ((0, 0), (0, -height % stride), (0, -width % stride), (0, 0))
        fitting = np.pad(batch, padding, mode="edge") if height % stride or width % stride else batch
        return self._runtime.compute_probabilities(fitting)[:, :height, :width]

    def _propose(self, probability: Maps, size: tuple[int, int]) -> Proposals:
        resized = cv2.resize(probability, size[::-1], interpolation=cv2.INTER_LINEAR)
        mask = resized > self._mask_cutoff
        return Proposals.single(mask, float(resized[mask].mean(dtype=np.float64)) if mask.any() else 0.0)


def _open_runtime(folder: Path, name: RuntimeName, *, device: str, precision: Precision, compiled: bool) -> Runtime:
    """Open the runtime for a checkpoint's network; torch is imported only for the torch runtime."""
    if name == "torch":
        # effective only before torch is imported: waiting threads would otherwise spin and keep cores busy
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        from segqa.models.torch_runtime import TorchRuntime

        return TorchRuntime(folder, device=device, precision=precision, compiled=compiled)
    if name != "onnx":
        raise ModelError(f'runtime must be "torch" or "onnx", got {name!r}')
    if compiled:
        raise ModelError("compiled is for torch; ONNX Runtime has no use for it")
    from segqa.models.onnx_runtime import OnnxRuntime, get_onnx_path

    return OnnxRuntime(folder, get_onnx_path(folder, precision), device=device)


def _describe_missing_checkpoint(name: str, checkpoint: str | Path | None) -> str:
    """Return the error message for a missing checkpoint."""
    came = "no checkpoint given" if checkpoint is None else f"no checkpoint at {checkpoint}"
    return (
        f"{name}: {came}; train one (segqa train {name} --dataset DIR --out DIR) and name it: "
        f'--segqa-checkpoint DIR, or checkpoint = "DIR" in [tool.segqa.models.{name}]'
    )
