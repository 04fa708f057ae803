"""`langsam` by the `lang-sam` package: an adapter that converts its answers and contains its side effects."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image as Pillow

from segqa.data.mask import Image
from segqa.errors import ModelError, ProposalsError
from segqa.models.fingerprint import fingerprint_of
from segqa.models.grounded_sam import check_cutoffs, format_first_line, group_into_batches, normalize_prompt
from segqa.models.object_state import compute_weights_digest
from segqa.models.protocol import Floats, Proposals
from segqa.models.torch_runtime import find_device
from segqa.support.git import refuse_pointers
from segqa.support.plurals import format_count

REPOSITORY = "https://github.com/luca-medeiros/lang-segment-anything"

_Answer = Mapping[str, Any]


class LangSam:
    """`lang_sam.LangSAM` as a model; images of one size share a batch.

    Args:
        sam_type: SAM 2's size, as `lang_sam.SAM_MODELS` names it.
        sam_checkpoint: SAM 2's weights, a file; downloaded by `lang_sam` if omitted.
        detector: a folder with Grounding DINO's weights; `lang_sam` downloads Grounding DINO (base) if omitted.
        detector_processor: a folder with its tokenizer and preprocessing, often the same one. `lang_sam` runs any code
            that either folder contains, so name only folders that you trust.
        box_cutoff: boxes are kept if their score is above it.
        text_cutoff: words of the prompt label a box if their score is above it.
        device: `auto` takes a GPU if CUDA has one, else the CPU; or a device name of torch.
        predictor: an existing `LangSAM`, in place of the first four. Its weights are unknown, so the model has no
            fingerprint, and its proposals are not cached across runs.

    Raises:
        ModelError: the package or a path is missing, or `LangSAM` cannot be built.
    """

    fingerprint: str

    def __init__(
        self,
        *,
        sam_type: str = "sam2.1_hiera_small",
        sam_checkpoint: str | Path | None = None,
        detector: str | Path | None = None,
        detector_processor: str | Path | None = None,
        box_cutoff: float = 0.3,
        text_cutoff: float = 0.25,
        device: str = "auto",
        predictor: Any = None,
    ) -> None:
        check_cutoffs(box_cutoff, text_cutoff)
        paths = _check_paths(sam_checkpoint, detector, detector_processor)
        self._box_cutoff, self._text_cutoff = box_cutoff, text_cutoff
        if predictor is not None:
            self._predictor, self._device = predictor, find_device(device)
            return
        module = _import_lang_sam()
        self._device = find_device(device)
        self._predictor = _build(module, self._device, {"sam_type": sam_type, **paths})
        arguments = {"sam_type": sam_type, **paths, "box_cutoff": box_cutoff, "text_cutoff": text_cutoff}
        self.fingerprint = _compute_fingerprint(
            self, self._predictor, module, {**arguments, "device": self._device.type}
        )

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        """Return the proposals for each image, in order, one proposal a box.

        Args:
            images: RGB uint8 `[H, W, 3]`, of any sizes.
            prompts: such as `"person."`; separate several things by dots.

        Raises:
            CaseError: a prompt is empty, an image is not RGB, or the numbers of images and prompts differ.
            ProposalsError: `lang_sam` returned something other than masks.
        """
        asked = [normalize_prompt(prompt) for prompt in prompts]
        found: dict[int, Proposals] = {}
        with _contain_side_effects(self._device.type):
            for alike in group_into_batches(images, asked):
                pictures = [Pillow.fromarray(images[index]) for index in alike]
                found.update(zip(alike, self._propose(pictures, asked[alike[0]]), strict=True))
        return [found[index] for index in range(len(images))]

    def _propose(self, pictures: list[Pillow.Image], prompt: str) -> list[Proposals]:
        """Return the proposals for images of one size; on failure retry one by one, since one bad image fails all."""
        try:
            answers = self._ask(pictures, prompt)
        except Exception:  # the exception type depends on the versions of three packages, so ask the detector instead
            if len(pictures) > 1:
                return [proposals for picture in pictures for proposals in self._propose([picture], prompt)]
            if not self._has_no_box(pictures[0], prompt):
                raise
            return [Proposals.none(_get_shape(pictures[0]))]
        return [_to_proposals(answer, _get_shape(picture)) for answer, picture in zip(answers, pictures, strict=True)]

    def _ask(self, pictures: list[Pillow.Image], prompt: str) -> Sequence[_Answer]:
        answers: Sequence[_Answer] = self._predictor.predict(
            pictures, [prompt] * len(pictures), box_threshold=self._box_cutoff, text_threshold=self._text_cutoff
        )
        if len(answers) != len(pictures):
            raise ProposalsError(
                f"lang_sam must answer each image, got {format_count(len(answers), 'answer')} to {len(pictures)}"
            )
        return answers

    def _has_no_box(self, picture: Pillow.Image, prompt: str) -> bool:
        """Return whether the detector finds no box: the only failure that means "no proposals", whatever was raised."""
        detector = getattr(self._predictor, "gdino", None)
        if detector is None:
            return False
        (found,) = detector.predict([picture], [prompt], self._box_cutoff, self._text_cutoff)
        return len(found["boxes"]) == 0


def _get_shape(picture: Pillow.Image) -> tuple[int, int]:
    return picture.height, picture.width


def _to_proposals(answer: _Answer, shape: tuple[int, int]) -> Proposals:
    """Convert one answer of `lang_sam`: without a box its arrays are lists, with one box they lack an axis."""
    boxes = _to_floats(answer["boxes"]).reshape(-1, 4)
    if not len(boxes):
        return Proposals.none(shape)
    masks = _to_array(answer["masks"])
    if masks.size != len(boxes) * shape[0] * shape[1]:
        raise ProposalsError(
            f"lang_sam must answer {format_count(len(boxes), 'box', 'boxes')} with as many masks {shape}, got "
            f"{masks.shape}"
        )
    scores = _to_floats(answer["mask_scores"]).reshape(-1)
    return Proposals(masks.reshape(-1, *shape) > 0, scores, _to_floats(answer["scores"]).reshape(-1), boxes)


def _to_array(values: Any) -> Any:
    """Return an array from a list, an array or a tensor on any device."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def _to_floats(values: Any) -> Floats:
    return np.asarray(_to_array(values), dtype=np.float64)


def _check_paths(
    sam_checkpoint: str | Path | None, detector: str | Path | None, processor: str | Path | None
) -> dict[str, str]:
    """Return the given paths by `LangSAM`'s names for them.

    A missing path is refused, since `lang_sam` would take it for a name on the hub and run the code that comes with it.
    If only one of the detector's two paths is given, `lang_sam` would silently ignore it and download the model.
    """
    if (detector is None) != (processor is None):
        raise ModelError(
            "langsam: lang_sam loads Grounding DINO from folders only if it gets two, got one; "
            "give both detector and detector_processor (it may be the same folder), or neither to fetch it"
        )
    for name, path in (("detector", detector), ("detector_processor", processor)):
        if path is not None and not Path(path).is_dir():
            raise ModelError(f"langsam: {name} must be a folder that is there, got {str(path)!r}")
    if sam_checkpoint is not None and not Path(sam_checkpoint).is_file():
        raise ModelError(f"langsam: sam_checkpoint must be a file that is there, got {str(sam_checkpoint)!r}")
    refuse_pointers([Path(sam_checkpoint)] if sam_checkpoint else [], ModelError)
    names = ("sam_ckpt_path", "gdino_model_ckpt_path", "gdino_processor_ckpt_path")
    paths = zip(names, (sam_checkpoint, detector, processor), strict=True)
    return {name: str(path) for name, path in paths if path is not None}


def _import_lang_sam() -> ModuleType:
    """Import the package and undo its side effects on the process.

    On CUDA the import enters a bfloat16 autocast and never leaves it. Autocast is local to a thread, so the import runs
    in a temporary thread and no later model is affected. It also allows TF32 in matrix products for the whole process.
    """
    try:
        with _contain_side_effects(), _preserve_tf32(), ThreadPoolExecutor(1) as thread:
            return thread.submit(import_module, "lang_sam").result()
    except ImportError as error:
        raise ModelError(
            f"langsam: backend lang_sam needs a package that is not on the package index ({format_first_line(error)}): "
            f'pip install "lang-sam @ git+{REPOSITORY}"; backend = "transformers" does without it'
        ) from error


def _build(module: ModuleType, device: Any, arguments: Mapping[str, str]) -> Any:
    try:
        with _contain_side_effects(device.type):
            return module.LangSAM(device=device, **arguments)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(
            f"langsam: LangSAM cannot be built with {dict(arguments)}: {format_first_line(error)}"
        ) from error


@contextlib.contextmanager
def _contain_side_effects(device_type: str = "") -> Iterator[None]:
    """Contain the side effects of `lang_sam`: prints, handlers on the root logger, autocast on a device."""
    handlers = list(logging.root.handlers)
    try:
        with contextlib.redirect_stdout(io.StringIO()), _disable_autocast(device_type):
            yield
    finally:
        for handler in [handler for handler in logging.root.handlers if handler not in handlers]:
            logging.root.removeHandler(handler)


def _disable_autocast(device_type: str) -> contextlib.AbstractContextManager[Any]:
    if not device_type:
        return contextlib.nullcontext()
    import torch

    return torch.autocast(device_type, enabled=False)


@contextlib.contextmanager
def _preserve_tf32() -> Iterator[None]:
    """Restore torch's two switches for TF32 on exit."""
    import torch

    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        yield
    finally:
        for switch, allowed in zip(switches, before, strict=True):
            switch.allow_tf32 = allowed


def _compute_fingerprint(model: LangSam, predictor: Any, module: ModuleType, arguments: Mapping[str, Any]) -> str:
    """Compute a fingerprint that covers the package by its files, since its version number hardly ever changes."""
    digests = [compute_weights_digest(predictor.gdino.model), compute_weights_digest(predictor.sam.model)]
    code = sorted(Path(str(module.__file__)).parent.rglob("*.py"))
    options = {**arguments, "weights": digests}
    return fingerprint_of(type(model), code, options=options, packages=["torch", "transformers"])
