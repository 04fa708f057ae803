import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from segqa.data.mask import Image
from segqa.errors import CaseError, ModelError
from segqa.models.grounded_sam import GroundedSam, MaskChoice, normalize_prompt
from segqa.models.protocol import Proposals
from tests.models.tiny_models import save_tiny_grounding_dino, save_tiny_sam2, save_tiny_sam2_video


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_grounding_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sam2(tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="module")
def all_boxes(dino: Path, sam: Path) -> GroundedSam:
    """Offers each of the 30 boxes, whatever its score."""
    return GroundedSam(detector=dino, segmenter=sam, box_cutoff=0.0)


@pytest.fixture(scope="module")
def some_boxes(dino: Path, sam: Path, all_boxes: GroundedSam) -> GroundedSam:
    """Offers about half of them."""
    (offered,) = all_boxes.predict([noise(40, 60)], ["person."])
    return GroundedSam(detector=dino, segmenter=sam, box_cutoff=float(np.median(offered.box_scores)))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def assert_same(one: Proposals, other: Proposals) -> None:
    assert np.array_equal(one.masks, other.masks)
    assert np.allclose(one.box_scores, other.box_scores, atol=1e-5)
    assert np.allclose(one.mask_scores, other.mask_scores, atol=1e-5)
    assert np.allclose(one.boxes, other.boxes, atol=1e-3)


@pytest.mark.parametrize("count", [0, 1, 2, 17, 30])
def test_there_are_as_many_proposals_as_boxes(dino: Path, sam: Path, all_boxes: GroundedSam, count: int) -> None:
    image = noise(40, 60)
    (every,) = all_boxes.predict([image], ["person."])
    ranked = np.sort(every.box_scores)[::-1]
    cutoff = 1.0 if count == 0 else float(np.append(ranked, 0.0)[count - 1 : count + 1].mean())
    (offered,) = GroundedSam(detector=dino, segmenter=sam, box_cutoff=cutoff).predict([image], ["person."])
    assert offered.masks.shape == (count, 40, 60)
    assert sorted(offered.box_scores, reverse=True) == pytest.approx(ranked[:count].tolist())


def test_the_proposals_are_what_proposals_are(all_boxes: GroundedSam) -> None:
    (offered,) = all_boxes.predict([noise(40, 60)], ["person."])
    assert ((offered.box_scores > 0) & (offered.box_scores <= 1)).all()
    assert ((offered.mask_scores > 0) & (offered.mask_scores < 1)).all()
    assert (offered.boxes[:, :2] < offered.boxes[:, 2:]).all()
    assert 0 < offered.masks.mean() < 1


def test_the_image_and_the_prompt_matter(all_boxes: GroundedSam) -> None:
    images = [noise(40, 60), noise(40, 60), noise(40, 60, seed=1)]
    first, other_prompt, other_image = all_boxes.predict(images, ["person.", "a red dress.", "person."])
    assert not np.allclose(first.box_scores, other_prompt.box_scores, atol=1e-3)
    assert not np.allclose(first.box_scores, other_image.box_scores, atol=1e-3)


def test_the_same_answer_comes_twice(dino: Path, sam: Path, all_boxes: GroundedSam) -> None:
    again = GroundedSam(detector=dino, segmenter=sam, box_cutoff=0.0)
    answers = [model.predict([noise(40, 60)], ["person."])[0] for model in (all_boxes, all_boxes, again)]
    for answer in answers[1:]:
        for name in ("masks", "mask_scores", "box_scores", "boxes"):
            assert np.array_equal(getattr(answer, name), getattr(answers[0], name))


def test_a_batch_of_any_sizes_and_prompts_is_answered_in_order_as_one_by_one(some_boxes: GroundedSam) -> None:
    sizes = [(40, 60), (64, 64), (40, 60), (90, 30), (40, 60), (64, 64)]
    prompts = ["person", "person", "mannequin", "person", "person", "a red dress"]
    images = [noise(*size, seed=index) for index, size in enumerate(sizes)]
    together = some_boxes.predict(images, prompts)
    alone = [some_boxes.predict([image], [prompt])[0] for image, prompt in zip(images, prompts, strict=True)]
    assert len({len(offered) for offered in together}) > 1
    for one, other in zip(together, alone, strict=True):
        assert_same(one, other)


def test_nothing_asked_is_nothing_answered(all_boxes: GroundedSam) -> None:
    assert all_boxes.predict([], []) == []


def test_neither_case_nor_the_last_dot_matters(all_boxes: GroundedSam) -> None:
    first, *others = all_boxes.predict([noise(40, 60)] * 3, ["a red dress.", "A red DRESS", " a red dress "])
    for other in others:
        assert_same(other, first)


@pytest.mark.parametrize("prompt", ["", "  ", ".", " . ."])
def test_an_empty_prompt_is_refused(all_boxes: GroundedSam, prompt: str) -> None:
    with pytest.raises(CaseError, match=r'prompt must name what to segment, such as "person\.", got'):
        all_boxes.predict([noise(40, 60)], [prompt])


def test_prompts_of_several_parts_keep_their_dots() -> None:
    assert normalize_prompt("A cat. a Dog") == "a cat. a dog."


def test_a_prompt_longer_than_the_detector_reads_is_cut(all_boxes: GroundedSam) -> None:
    (offered,) = all_boxes.predict([noise(40, 60)], ["a red dress " * 18])
    assert len(offered) == 30


def test_each_image_needs_a_prompt(all_boxes: GroundedSam) -> None:
    with pytest.raises(CaseError, match="each image needs one prompt, got 2 images and 1 prompt"):
        all_boxes.predict([noise(40, 60)] * 2, ["person."])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["grey", "grey with an axis", "rgba", "channels first", "floats", "empty"],
)
def test_only_rgb_images_are_taken(all_boxes: GroundedSam, image: Any) -> None:
    with pytest.raises(CaseError, match=r"image must be RGB, uint8 of shape \(height, width, 3\), got"):
        all_boxes.predict([image], ["person."])


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 3), (3, 100), (100, 3), (1200, 1600)])
def test_any_size_is_answered_at_its_own(some_boxes: GroundedSam, shape: tuple[int, int]) -> None:
    image = noise(*shape)
    before = image.copy()
    image.setflags(write=False)
    (offered,) = some_boxes.predict([image], ["person."])
    assert offered.masks.shape[1:] == shape
    assert np.array_equal(image, before)


@pytest.mark.parametrize("choice", ["single", "best"])
def test_the_masks_are_those_of_one_plain_call(dino: Path, sam: Path, choice: MaskChoice) -> None:
    model = GroundedSam(detector=dino, segmenter=sam, box_cutoff=0.0, mask_choice=choice)
    image = noise(40, 60)
    (offered,) = model.predict([image], ["person."])
    inputs = model._segmenter_processor(images=image, input_boxes=[offered.boxes.tolist()], return_tensors="pt")
    sizes = inputs.pop("original_sizes")
    with torch.inference_mode():
        plain = model._segmenter(**inputs, multimask_output=choice == "best")
    scores, chosen = plain.iou_scores[0].max(dim=1)
    masks = model._segmenter_processor.post_process_masks(plain.pred_masks, sizes)[0][torch.arange(30), chosen]
    assert offered.mask_scores == pytest.approx(scores.numpy(), abs=1e-5)
    assert np.array_equal(offered.masks, masks.numpy())


def test_the_choice_of_masks_is_part_of_the_fingerprint(dino: Path, sam: Path, all_boxes: GroundedSam) -> None:
    best = GroundedSam(detector=dino, segmenter=sam, box_cutoff=0.0, mask_choice="best")
    assert best.fingerprint != all_boxes.fingerprint


def test_an_autocast_around_it_does_not_reach_in_and_none_stays(all_boxes: GroundedSam) -> None:
    (plain,) = all_boxes.predict([noise(40, 60)], ["person."])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (inside,) = all_boxes.predict([noise(40, 60)], ["person."])
    assert np.array_equal(plain.box_scores, inside.box_scores)
    assert not torch.is_autocast_enabled("cpu")
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_a_checkpoint_for_videos_segments_pictures(dino: Path, tmp_path: Path) -> None:
    model = GroundedSam(detector=dino, segmenter=save_tiny_sam2_video(tmp_path), box_cutoff=0.0)
    assert len(model.predict([noise(40, 60)], ["person."])[0]) == 30


def test_the_tiny_models_are_tiny(dino: Path, sam: Path) -> None:
    for folder in (dino, sam):
        assert sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values()) < 500_000


def test_the_fingerprint_is_of_what_is_loaded_not_of_where_from(
    dino: Path, sam: Path, tmp_path: Path, all_boxes: GroundedSam
) -> None:
    elsewhere = shutil.copytree(dino, tmp_path / "copy")
    assert GroundedSam(detector=elsewhere, segmenter=sam, box_cutoff=0.0).fingerprint == all_boxes.fingerprint


@pytest.mark.parametrize("name", ["box_cutoff", "text_cutoff"])
def test_the_fingerprint_changes_with_the_arguments(dino: Path, sam: Path, all_boxes: GroundedSam, name: str) -> None:
    arguments: dict[str, Any] = {"detector": dino, "segmenter": sam, "box_cutoff": 0.0, name: 0.1}
    assert GroundedSam(**arguments).fingerprint != all_boxes.fingerprint


def test_the_fingerprint_changes_with_the_weights_and_the_preparation(dino: Path, sam: Path, tmp_path: Path) -> None:
    other_sam = save_tiny_sam2(tmp_path / "sam", seed=1)
    other_dino = shutil.copytree(dino, tmp_path / "dino")
    file = other_dino / "processor_config.json"
    file.write_text(file.read_text(encoding="utf-8").replace("128", "120"), encoding="utf-8")
    pairs = [(dino, sam), (dino, other_sam), (other_dino, sam)]
    assert len({GroundedSam(detector=one, segmenter=other).fingerprint for one, other in pairs}) == 3


@pytest.mark.parametrize("name", ["nowhere", "./a/b", "/nowhere/at/all", "~/dino", Path("a/b")])
def test_a_folder_that_is_not_there_is_said_without_asking_the_network(sam: Path, name: str | Path) -> None:
    with pytest.raises(
        ModelError, match=r'no detector \(Grounding DINO\) from .*no such folder.*langsam\] detector = "…"'
    ):
        GroundedSam(detector=name, segmenter=sam)


def test_weights_that_cannot_be_fetched_are_said_in_one_line(dino: Path) -> None:
    with pytest.raises(
        ModelError, match=r'no segmenter \(SAM 2\) from nobody/nothing: .*langsam\] segmenter = "…"'
    ) as said:
        GroundedSam(detector=dino, segmenter="nobody/nothing")
    assert len(str(said.value).splitlines()) == 1


def test_the_models_are_not_mistaken_for_each_other(dino: Path, sam: Path) -> None:
    with pytest.raises(ModelError, match="must have the model_type sam2 or sam2_video, got grounding-dino"):
        GroundedSam(detector=dino, segmenter=dino)
    with pytest.raises(ModelError, match="must have the model_type grounding-dino, got sam2"):
        GroundedSam(detector=sam, segmenter=sam)


@pytest.mark.parametrize("part", ["model.safetensors", "config.json", "processor_config.json", "tokenizer.json"])
@pytest.mark.parametrize("share", [0.0, 0.5], ids=["missing", "truncated"])
def test_a_damaged_folder_is_refused(dino: Path, sam: Path, tmp_path: Path, part: str, share: float) -> None:
    damaged = shutil.copytree(dino, tmp_path / "damaged")
    content = (damaged / part).read_bytes()
    (damaged / part).unlink()
    if share:
        (damaged / part).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"no detector \(Grounding DINO\) from .*damaged: "):
        GroundedSam(detector=damaged, segmenter=sam)


def test_a_missing_weight_is_not_made_up(dino: Path, sam: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(dino, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    del weights["model.text_projection.weight"]
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weight is missing or of another shape, such as model\.text"):
        GroundedSam(detector=damaged, segmenter=sam)


def test_pickled_weights_are_not_read(dino: Path, sam: Path, tmp_path: Path) -> None:
    pickled = shutil.copytree(dino, tmp_path / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no file named model\.safetensors"):
        GroundedSam(detector=pickled, segmenter=sam)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"box_cutoff": 1.5}, "box_cutoff must be a number between 0 and 1, got 1.5"),
        ({"text_cutoff": float("nan")}, "text_cutoff must be a number between 0 and 1, got nan"),
        ({"box_cutoff": "0.3"}, "box_cutoff must be a number between 0 and 1, got '0.3'"),
        ({"mask_choice": "all"}, 'mask_choice must be "single" or "best", got \'all\''),
        ({"device": "abacus"}, "device must be auto, cpu or a GPU that torch has here, got 'abacus'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(dino: Path, sam: Path, arguments: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        GroundedSam(detector=dino, segmenter=sam, **arguments)
