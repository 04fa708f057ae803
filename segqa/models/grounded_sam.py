"""`langsam` with `transformers`: Grounding DINO finds boxes for the prompt, SAM 2 segments each box."""

from __future__ import annotations

import hashlib
import json
import logging
import textwrap
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segqa.data.mask import Image, Mask
from segqa.errors import CaseError, ModelError
from segqa.models.fingerprint import fingerprint_of
from segqa.models.log_levels import limit_logging
from segqa.models.object_state import compute_weights_digest
from segqa.models.protocol import Floats, Proposals
from segqa.models.torch_runtime import find_device
from segqa.support.git import refuse_pointers
from segqa.support.plurals import format_count

MaskChoice = Literal["single", "best"]

_BOXES_AT_ONCE = 16
_MODEL_TYPES = {"detector": ("grounding-dino",), "segmenter": ("sam2", "sam2_video")}


class GroundedSam:
    """An open-vocabulary detector (Grounding DINO) followed by a box-prompted segmenter (SAM 2).

    The box score is Grounding DINO's, the mask score is the IoU that SAM 2 predicts for its own mask. The proposals
    keep the detector's order; a box may extend beyond the image.

    For each box SAM 2 returns one mask meant for boxes and three for ambiguous prompts. `single` takes the one, and
    falls back to the best of the three only if it is unstable (SAM 2's own rule, also used by `lang_sam`); `best`
    always takes the one of the three with the highest predicted IoU.

    Args:
        detector: Grounding DINO, a name on the hub or a folder with `model.safetensors`, configuration and tokenizer.
        segmenter: SAM 2 or 2.1, likewise. A folder is never looked up on the hub.
        box_cutoff: boxes are kept if their score is above it.
        text_cutoff: words of the prompt label a box if their score is above it. It does not affect the proposals.
        mask_choice: `single` or `best`, see above.
        device: `auto` takes a GPU if CUDA has one, else the CPU; or a device name of torch.

    Raises:
        ModelError: weights are unavailable or do not fit, or an argument is invalid.
    """

    def __init__(
        self,
        *,
        detector: str | Path = "IDEA-Research/grounding-dino-tiny",
        segmenter: str | Path = "facebook/sam2.1-hiera-small",
        box_cutoff: float = 0.3,
        text_cutoff: float = 0.25,
        mask_choice: MaskChoice = "single",
        device: str = "auto",
    ) -> None:
        check_cutoffs(box_cutoff, text_cutoff)
        if mask_choice not in ("single", "best"):
            raise ModelError(f'langsam: mask_choice must be "single" or "best", got {mask_choice!r}')
        _require_transformers()
        self._device = find_device(device)
        self._detector, self._detector_processor = _load_detector(detector, self._device)
        self._segmenter, self._segmenter_processor = _load_segmenter(segmenter, self._device)
        self._box_cutoff, self._text_cutoff, self._mask_choice = box_cutoff, text_cutoff, mask_choice
        arguments = {
            "box_cutoff": box_cutoff,
            "text_cutoff": text_cutoff,
            "mask_choice": mask_choice,
            "device": self._device.type,
            "detector": _compute_digests(self._detector, self._detector_processor),
            "segmenter": _compute_digests(self._segmenter, self._segmenter_processor),
        }
        self.weights_bytes = count_weights_bytes(self._detector) + count_weights_bytes(self._segmenter)
        self.fingerprint = fingerprint_of(type(self), options=arguments, packages=["torch", "transformers"])

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        """Return the proposals for each image, in order, one proposal a box.

        Args:
            images: RGB uint8 `[H, W, 3]`, of any sizes.
            prompts: such as `"person."`; separate several things by dots. The last dot is optional, case is ignored.

        Raises:
            CaseError: a prompt is empty, an image is not RGB, or the numbers of images and prompts differ.
        """
        import torch

        asked = [normalize_prompt(prompt) for prompt in prompts]
        found: dict[int, Proposals] = {}
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            for alike in group_into_batches(images, asked):
                answers = self._propose([images[index] for index in alike], asked[alike[0]])
                found.update(zip(alike, answers, strict=True))
        return [found[index] for index in range(len(images))]

    def _propose(self, images: Sequence[Image], prompt: str) -> list[Proposals]:
        """Return the proposals for images of one size."""
        pictures = [Pillow.fromarray(image) for image in images]
        detected = self._detect(pictures, prompt)
        return [self._segment(picture, *found) for picture, found in zip(pictures, detected, strict=True)]

    def _detect(self, pictures: list[Pillow.Image], prompt: str) -> list[tuple[Floats, Floats]]:
        """Return for each image its boxes x0, y0, x1, y1 `[N, 4]` and their scores `[N]`."""
        processor = self._detector_processor
        inputs = processor(images=pictures, text=[prompt] * len(pictures), return_tensors="pt").to(self._device)
        answers = processor.post_process_grounded_object_detection(
            self._detector(**inputs),
            inputs.input_ids,
            threshold=self._box_cutoff,
            text_threshold=self._text_cutoff,
            target_sizes=[(picture.height, picture.width) for picture in pictures],
        )
        # do not count the boxes by the labels: without a box, they are ['']
        return [(_to_floats(answer["boxes"]).reshape(-1, 4), _to_floats(answer["scores"])) for answer in answers]

    def _segment(self, picture: Pillow.Image, boxes: Floats, box_scores: Floats) -> Proposals:
        """Return a mask and its score for each box; SAM 2 runs on one image at a time, and only if there is a box."""
        if not len(boxes):
            return Proposals.none((picture.height, picture.width))
        inputs = self._segmenter_processor(images=picture, return_tensors="pt").to(self._device)
        embeddings = self._segmenter.get_image_embeddings(inputs.pixel_values)
        parts = [
            self._predict_masks(embeddings, (picture.height, picture.width), boxes[start : start + _BOXES_AT_ONCE])
            for start in range(0, len(boxes), _BOXES_AT_ONCE)
        ]
        masks = np.concatenate([masks for masks, _ in parts])
        return Proposals(masks, np.concatenate([scores for _, scores in parts]), box_scores, boxes)

    def _predict_masks(self, embeddings: list[Any], size: tuple[int, int], boxes: Floats) -> tuple[Mask, Floats]:
        """Return a mask `[N, H, W]` and a predicted IoU `[N]` for each box."""
        processor = self._segmenter_processor
        inputs = processor(original_sizes=[list(size)], input_boxes=[boxes.tolist()], return_tensors="pt")
        answer = self._segmenter(
            image_embeddings=embeddings,
            input_boxes=inputs.input_boxes.to(self._device),
            multimask_output=self._mask_choice == "best",
        )
        logits, scores = answer.pred_masks[0], answer.iou_scores[0]
        chosen = scores.argmax(dim=1)
        # one at a time: at full image size, the logits of many boxes would fill the memory
        masks = [
            processor.post_process_masks([logits[None, box, index, None]], [list(size)])[0][0, 0].cpu().numpy()
            for box, index in enumerate(chosen.tolist())
        ]
        return np.stack(masks), _to_floats(scores.gather(1, chosen[:, None])[:, 0])


def normalize_prompt(prompt: str) -> str:
    """Return the prompt in the form that Grounding DINO was trained on: lower-case, ending with a dot.

    Without the dots, `transformers` merges the prompts of a batch into one.

    Raises:
        CaseError: the prompt is empty.

    >>> normalize_prompt(" Person")
    'person.'
    """
    words = prompt.strip().lower()
    if not words.strip(". "):
        raise CaseError(f'prompt must name what to segment, such as "person.", got {prompt!r}')
    return words if words.endswith(".") else f"{words}."


def group_into_batches(images: Sequence[Image], prompts: Sequence[str]) -> list[list[int]]:
    """Return the indices of the images that may share a batch: those with equal size and prompt.

    Images of different sizes would be padded, and padding changes Grounding DINO's scores by up to 0.25.

    Raises:
        CaseError: an image is not RGB, or the numbers of images and prompts differ.
    """
    if len(images) != len(prompts):
        raise CaseError(
            f"each image needs one prompt, got {format_count(len(images), 'image')} and "
            f"{format_count(len(prompts), 'prompt')}"
        )
    alike: dict[tuple[tuple[int, ...], str], list[int]] = {}
    for index, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
        _require_rgb(image)
        alike.setdefault((image.shape, prompt), []).append(index)
    return list(alike.values())


def _require_rgb(image: NDArray[Any]) -> None:
    """Refuse grey and RGBA images: they would fail deep inside, or be misread if a side is 1 or 3 pixels long."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise CaseError(f"image must be RGB, uint8 of shape (height, width, 3), got {image.dtype} of {image.shape}")


def check_cutoffs(box_cutoff: float, text_cutoff: float) -> None:
    """Refuse cutoffs that are not probabilities.

    Raises:
        ModelError: one is not between 0 and 1.
    """
    given: dict[str, Any] = {"box_cutoff": box_cutoff, "text_cutoff": text_cutoff}
    for name, value in given.items():
        if not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ModelError(f"langsam: {name} must be a number between 0 and 1, got {value!r}")


def count_weights_bytes(network: Any) -> int:
    """Return the size of a torch module's parameters and buffers, in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def format_first_line(error: BaseException) -> str:
    """Return the first line of an error message, shortened."""
    return textwrap.shorten((str(error).strip() or type(error).__name__).splitlines()[0], 200, placeholder="…")


def _require_transformers() -> None:
    try:
        for name in ("torch", "torchvision", "transformers"):
            import_module(name)
    except ImportError as error:
        raise ModelError(f'langsam: {format_first_line(error)}; pip install "segqa[langsam]"') from error


def _load_detector(name: str | Path, device: Any) -> tuple[Any, Any]:
    """Load Grounding DINO and its processor."""
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    return _load("detector", name, GroundingDinoForObjectDetection, GroundingDinoProcessor, device)


def _load_segmenter(name: str | Path, device: Any) -> tuple[Any, Any]:
    """Load SAM 2 and its processor."""
    from transformers import Sam2Model, Sam2Processor

    return _load("segmenter", name, Sam2Model, Sam2Processor, device)


def _load(role: str, name: str | Path, network: Any, processor: Any, device: Any) -> tuple[Any, Any]:
    """Load a network with its weights, ready for inference, and its processor.

    Only safetensors are read: loading the older pickle format can run arbitrary code.
    """
    from safetensors import SafetensorError

    refuse_pointers(sorted(Path(name).glob("*")), ModelError)
    try:
        with limit_logging("transformers", logging.CRITICAL):
            local = _is_local(role, name)
            _require_type(network.config_class.get_config_dict(name, local_files_only=local)[0], _MODEL_TYPES[role])
            model, report, prepare = _read(name, network, processor, local=local)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
        raise _build_load_error(role, name, format_first_line(error)) from error
    wrong = report["missing_keys"] | {key for key, *_ in report["mismatched_keys"]}
    if wrong:
        raise _build_load_error(
            role,
            name,
            f"{format_count(len(wrong), 'weight is', 'weights are')} missing or of another shape, such as {min(wrong)}",
        )
    if not _has_bert_vocabulary(prepare):
        raise _build_load_error(role, name, "its tokenizer (tokenizer.json) is missing or not BERT's")
    return model.eval().requires_grad_(requires_grad=False).to(device), prepare


def _require_type(config: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a folder of another architecture before a wrong network is built and initialised at random."""
    if config.get("model_type") not in known:
        raise ValueError(f"config.json must have the model_type {' or '.join(known)}, got {config.get('model_type')}")


def _read(name: str | Path, network: Any, processor: Any, *, local: bool) -> tuple[Any, Any, Any]:
    """Return a network, the names of its missing weights (`transformers` fills them at random), and its processor."""
    import torch

    model, report = network.from_pretrained(
        name,
        local_files_only=local,
        use_safetensors=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    return model, report, processor.from_pretrained(name, local_files_only=local)


def _has_bert_vocabulary(processor: Any) -> bool:
    """Return whether the tokenizer, if any, has BERT's vocabulary: without it `transformers` makes up an empty one."""
    tokenizer = getattr(processor, "tokenizer", None)
    return tokenizer is None or tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]", "."]) == [101, 102, 1012]


def resolve_name_or_folder(name: str, folder: Path) -> str | Path:
    """Resolve a name that the user wrote to a local folder or to a model on the hub.

    Args:
        name: the name as written.
        folder: the same name as an absolute path.

    >>> resolve_name_or_folder("facebook/sam2.1-hiera-small", Path("/nowhere/facebook/sam2.1-hiera-small"))
    'facebook/sam2.1-hiera-small'
    """
    return name if _is_hub_name(name) and not folder.is_dir() else folder


def _is_hub_name(name: str) -> bool:
    """Return whether a name has the two parts of a hub name: `facebook/sam2.1-hiera-small`."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and "\\" not in name


def _is_local(role: str, name: str | Path) -> bool:
    """Return whether a name is a folder; refuse a path that does not exist before any network access."""
    if Path(name).is_dir():
        return True
    if isinstance(name, Path) or not _is_hub_name(name):
        raise _build_load_error(role, name, "there is no such folder")
    return False


def _build_load_error(role: str, name: str | Path, why: str) -> ModelError:
    kind = "Grounding DINO" if role == "detector" else "SAM 2"
    return ModelError(
        f"langsam: no {role} ({kind}) from {name}: {why}; "
        f'a local folder with its files can be given: [tool.segqa.models.langsam] {role} = "…"'
    )


def _compute_digests(network: Any, processor: Any) -> list[str]:
    """Return digests of all that determines a network's answers: weights, configuration and preprocessing.

    The location is left out: the same model has the same digest on another machine.
    """
    tokenizer = getattr(processor, "tokenizer", None)
    words = "" if tokenizer is None else tokenizer.backend_tokenizer.to_str()
    texts = [json.dumps(_drop_origin(network.config.to_dict()), sort_keys=True, default=str)]
    texts += [processor.image_processor.to_json_string(), words]
    return [compute_weights_digest(network), *(hashlib.sha256(text.encode()).hexdigest() for text in texts)]


def _drop_origin(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without its origin and the version that wrote it."""
    dropped = ("_name_or_path", "transformers_version")
    kept = {key: value for key, value in config.items() if key not in dropped}
    return {key: _drop_origin(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _to_floats(tensor: Any) -> Floats:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)
