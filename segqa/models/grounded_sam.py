"""`langsam`: Grounding DINO finds boxes for the prompt, SAM 2 segments what is in each; both as in `transformers`."""

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
    """A detector that reads, and a segmenter that takes boxes.

    The box score is Grounding DINO's, the mask score is the IoU that SAM 2 predicts for its own mask. The proposals
    stand in the detector's order; a box may reach over the image's edge.

    SAM 2 answers a box with one mask meant for boxes and three for doubtful prompts. `single` takes the one and leaves
    it for the best of the three only where it is unstable (SAM 2's own rule, and what `lang_sam` does); `best` always
    takes the one of the three with the highest predicted IoU.

    Args:
        detector: Grounding DINO, a name on the hub or a folder with `model.safetensors`, configuration and tokenizer.
        segmenter: SAM 2 or 2.1, likewise. A folder is never looked up in the network.
        box_cutoff: boxes whose score is not above it are left out.
        text_cutoff: words of the prompt whose score is not above it do not name a box. No proposal depends on it.
        mask_choice: `single` or `best`, see above.
        device: `auto` takes a GPU that CUDA knows, else the CPU; or as torch names it.

    Raises:
        ModelError: weights cannot be had, do not fit, or an argument makes no sense.
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
        """Proposals for each image, in order, as many as boxes were found.

        Args:
            images: RGB uint8 `[H, W, 3]`, of any sizes.
            prompts: `"person."`; several things are separated by dots. The last dot may be missing, case is ignored.

        Raises:
            CaseError: a prompt is empty, an image is not RGB, or there are not as many of one as of the other.
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
        """Proposals for images of one size."""
        pictures = [Pillow.fromarray(image) for image in images]
        detected = self._detect(pictures, prompt)
        return [self._segment(picture, *found) for picture, found in zip(pictures, detected, strict=True)]

    def _detect(self, pictures: list[Pillow.Image], prompt: str) -> list[tuple[Floats, Floats]]:
        """For each picture its boxes x0, y0, x1, y1 `[N, 4]` and their scores `[N]`."""
        processor = self._detector_processor
        inputs = processor(images=pictures, text=[prompt] * len(pictures), return_tensors="pt").to(self._device)
        answers = processor.post_process_grounded_object_detection(
            self._detector(**inputs),
            inputs.input_ids,
            threshold=self._box_cutoff,
            text_threshold=self._text_cutoff,
            target_sizes=[(picture.height, picture.width) for picture in pictures],
        )
        # the labels say nothing about how many boxes there are: where there are none, they are ['']
        return [(_to_floats(answer["boxes"]).reshape(-1, 4), _to_floats(answer["scores"])) for answer in answers]

    def _segment(self, picture: Pillow.Image, boxes: Floats, box_scores: Floats) -> Proposals:
        """A mask and its score for each box; SAM 2 is asked for one picture at a time, and for none without a box."""
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
        """A mask `[N, H, W]` and a predicted IoU `[N]` for each box."""
        processor = self._segmenter_processor
        inputs = processor(original_sizes=[list(size)], input_boxes=[boxes.tolist()], return_tensors="pt")
        answer = self._segmenter(
            image_embeddings=embeddings,
            input_boxes=inputs.input_boxes.to(self._device),
            multimask_output=self._mask_choice == "best",
        )
        logits, scores = answer.pred_masks[0], answer.iou_scores[0]
        chosen = scores.argmax(dim=1)
        # one at a time: at a photo's full size the logits of many boxes would fill the memory
        masks = [
            processor.post_process_masks([logits[None, box, index, None]], [list(size)])[0][0, 0].cpu().numpy()
            for box, index in enumerate(chosen.tolist())
        ]
        return np.stack(masks), _to_floats(scores.gather(1, chosen[:, None])[:, 0])


def normalize_prompt(prompt: str) -> str:
    """The prompt as Grounding DINO was trained on: lower-case, ending with a dot.

    Without a dot `transformers` takes the prompts of a batch for one prompt's parts and merges them.

    Raises:
        CaseError: nothing is asked for.

    >>> normalize_prompt(" Person")
    'person.'
    """
    words = prompt.strip().lower()
    if not words.strip(". "):
        raise CaseError(f'prompt must name what to segment, such as "person.", got {prompt!r}')
    return words if words.endswith(".") else f"{words}."


def group_into_batches(images: Sequence[Image], prompts: Sequence[str]) -> list[list[int]]:
    """The indices of the images that may share a batch: those of one size and one prompt.

    Images of different sizes would be padded, and Grounding DINO's scores move with the padding, by up to 0.25.

    Raises:
        CaseError: an image is not RGB, or there are not as many prompts as images.
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
    """Grey and RGBA images would fail deep inside, or be misread where a side is 1 or 3 pixels long."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise CaseError(f"image must be RGB, uint8 of shape (height, width, 3), got {image.dtype} of {image.shape}")


def check_cutoffs(box_cutoff: float, text_cutoff: float) -> None:
    """Refuse cutoffs that are no probabilities.

    Raises:
        ModelError: one is not between 0 and 1.
    """
    given: dict[str, Any] = {"box_cutoff": box_cutoff, "text_cutoff": text_cutoff}
    for name, value in given.items():
        if not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ModelError(f"langsam: {name} must be a number between 0 and 1, got {value!r}")


def count_weights_bytes(network: Any) -> int:
    """The bytes of a torch module's parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def format_first_line(error: BaseException) -> str:
    """What an error says, in one line of bearable length."""
    return textwrap.shorten((str(error).strip() or type(error).__name__).splitlines()[0], 200, placeholder="…")


def _require_transformers() -> None:
    try:
        for name in ("torch", "torchvision", "transformers"):
            import_module(name)
    except ImportError as error:
        raise ModelError(f'langsam: {format_first_line(error)}; pip install "segqa[langsam]"') from error


def _load_detector(name: str | Path, device: Any) -> tuple[Any, Any]:
    """Grounding DINO and what prepares its input."""
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    return _load("detector", name, GroundingDinoForObjectDetection, GroundingDinoProcessor, device)


def _load_segmenter(name: str | Path, device: Any) -> tuple[Any, Any]:
    """SAM 2 and what prepares its input."""
    from transformers import Sam2Model, Sam2Processor

    return _load("segmenter", name, Sam2Model, Sam2Processor, device)


def _load(role: str, name: str | Path, network: Any, processor: Any, device: Any) -> tuple[Any, Any]:
    """A network with its weights, ready to answer, and its processor.

    Only safetensors are read: the older format would be unpickled, which runs what it holds.
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
    """Refuse another model's folder before a network of the wrong kind is built and filled at random."""
    if config.get("model_type") not in known:
        raise ValueError(f"config.json must have the model_type {' or '.join(known)}, got {config.get('model_type')}")


def _read(name: str | Path, network: Any, processor: Any, *, local: bool) -> tuple[Any, Any, Any]:
    """A network, what of it was not in the file (`transformers` fills it at random and goes on), and its processor."""
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
    """Whether the tokenizer, if any, is BERT's: without its file `transformers` makes up one that knows no word."""
    tokenizer = getattr(processor, "tokenizer", None)
    return tokenizer is None or tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]", "."]) == [101, 102, 1012]


def resolve_name_or_folder(name: str, folder: Path) -> str | Path:
    """What to load for a name that somebody wrote: the folder that it means to them, or the model of that name.

    Args:
        name: as it was written.
        folder: the same as an absolute path.

    >>> resolve_name_or_folder("facebook/sam2.1-hiera-small", Path("/nowhere/facebook/sam2.1-hiera-small"))
    'facebook/sam2.1-hiera-small'
    """
    return name if _is_hub_name(name) and not folder.is_dir() else folder


def _is_hub_name(name: str) -> bool:
    """Names there have two parts: `facebook/sam2.1-hiera-small`."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and "\\" not in name


def _is_local(role: str, name: str | Path) -> bool:
    """Whether a name is a folder; what can only be one, and is not there, is refused before the network is asked."""
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
    """All that decides a network's answers: weights, configuration, and how pictures and prompts are prepared.

    Not where it was loaded from: the same model is the same on another machine.
    """
    tokenizer = getattr(processor, "tokenizer", None)
    words = "" if tokenizer is None else tokenizer.backend_tokenizer.to_str()
    texts = [json.dumps(_drop_origin(network.config.to_dict()), sort_keys=True, default=str)]
    texts += [processor.image_processor.to_json_string(), words]
    return [compute_weights_digest(network), *(hashlib.sha256(text.encode()).hexdigest() for text in texts)]


def _drop_origin(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without where it comes from and which version wrote it."""
    dropped = ("_name_or_path", "transformers_version")
    kept = {key: value for key, value in config.items() if key not in dropped}
    return {key: _drop_origin(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _to_floats(tensor: Any) -> Floats:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)
