"""`Network`: a segmentation network as a model; any image goes in, the mask has the image's size."""

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
    """An image as the network takes it.

    Attributes:
        pixels: float32 `[h, w, 3]`.
        size: the image's own `(height, width)`.
    """

    pixels: Maps
    size: tuple[int, int]


class Network:
    """A checkpoint's network: preprocessed, run, scaled back, cut.

    The mask score is the mean probability inside the mask, 0 where the mask is empty.

    Args:
        folder: the checkpoint.
        runtime: runs its network.
        mask_cutoff: object is where the probability is above it.

    Raises:
        ModelError: the cutoff is none.
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
        """The network in a checkpoint's folder.

        Args:
            checkpoint: the folder.
            name: of the model, for messages: `"unet"`.
            family: which kind of network it must be: segqa's own U-Net, one of segmentation_models_pytorch, or either.
            device: as the runtime takes it.
            mask_cutoff: as the class takes it.
            runtime: what runs it: torch, or ONNX Runtime what `segqa export` has written.
            precision: `"float32"`; torch also takes `"float16"`, onnx `"int8"`.
            compiled: by `torch.compile`.

        Raises:
            ModelError: there is no checkpoint, with how to come by one; or it is damaged, or of the other family.
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
        """One proposal for each image.

        Args:
            images: RGB uint8 `[H, W, 3]`.
            prompts: not looked at: the network knows what it was trained for.
        """
        return self.predict_prepared([self.prepare(image, "") for image in images], prompts)

    def prepare(self, image: Image, prompt: str) -> Prepared:
        """An image as the network takes it; evaluations call it while the network is busy with what came before."""
        del prompt
        prepared = self._preprocessing(image=image)["image"]
        # ToTensorV2 among its steps answers with a tensor that has the channels first
        pixels = prepared if isinstance(prepared, np.ndarray) else prepared.numpy().transpose(1, 2, 0)
        height, width = image.shape[:2]
        return Prepared(pixels.astype(np.float32, copy=False), (height, width))

    def predict_prepared(self, prepared: Sequence[Prepared], prompts: Sequence[str]) -> list[Proposals]:
        """What `predict` answers, for images that `prepare` has been given."""
        del prompts
        if len({one.pixels.shape for one in prepared}) == 1:
            answers = list(self._compute_probabilities(np.stack([one.pixels for one in prepared])))
        else:
            answers = [self._compute_probabilities(one.pixels[None])[0] for one in prepared]
        return [self._propose(answer, one.size) for answer, one in zip(answers, prepared, strict=True)]

    def _compute_probabilities(self, batch: Maps) -> Maps:
        """The probability of each pixel, `[N, h, w]`, for prepared images `[N, h, w, 3]`."""
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
    """What runs a checkpoint's network; torch is loaded only for its own."""
    if name == "torch":
        # heeded where torch has not been imported yet: its threads would keep cores busy while they wait
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
    """What to say where there is no checkpoint."""
    came = "no checkpoint given" if checkpoint is None else f"no checkpoint at {checkpoint}"
    return (
        f"{name}: {came}; train one (segqa train {name} --dataset DIR --out DIR) and name it: "
        f'--segqa-checkpoint DIR, or checkpoint = "DIR" in [tool.segqa.models.{name}]'
    )
