import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from segqa.data.mask import Image
from segqa.errors import CaseError, ModelError, ProposalsError
from segqa.models.lang_sam import LangSam
from segqa.models.protocol import Proposals


class Predictor:
    """Answers as `lang_sam.LangSAM` does, and misbehaves as it does; a picture's first pixel says how many boxes."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[int, int]]] = []
        self.prompts: list[str] = []
        self.precisions: list[bool] = []
        self.gdino = SimpleNamespace(predict=self._detect)

    def predict(
        self, images_pil: list[Pillow.Image], texts_prompt: list[str], box_threshold: float, text_threshold: float
    ) -> list[dict[str, Any]]:
        self.asked.append([picture.size for picture in images_pil])
        self.prompts += texts_prompt
        self.precisions.append(torch.is_autocast_enabled("cpu"))
        found = self._detect(images_pil, texts_prompt, box_threshold, text_threshold)
        print("Predicting masks")  # noqa: T201
        for result in found:
            assert len(result["boxes"])  # as in SAM 2's decoder: no boxes, no batch
        return [self._with_masks(*pair) for pair in zip(found, images_pil, strict=True)]

    @staticmethod
    def _detect(pictures: list[Pillow.Image], prompts: list[str], *_: float) -> list[dict[str, Any]]:
        counts = [int(np.asarray(picture)[0, 0, 0]) for picture in pictures]
        if 99 in counts:
            raise RuntimeError("out of memory")
        return [
            {
                "boxes": torch.arange(4.0).repeat(count, 1),
                "scores": torch.linspace(0.9, 0.5, count),
                "labels": ["person"] * count or [""],
            }
            for count in counts
        ]

    @staticmethod
    def _with_masks(found: dict[str, Any], picture: Pillow.Image) -> dict[str, Any]:
        count = len(found["boxes"])
        masks = np.zeros((count, picture.height, picture.width), np.float32)
        masks[:, 0, 0] = 1.0
        scores = np.squeeze(np.linspace(0.8, 0.6, count, dtype=np.float32))  # one score loses its axis
        return {**found, "masks": masks, "mask_scores": scores, "scores": found["scores"].numpy()}


def picture_of(boxes: int, shape: tuple[int, int] = (6, 8)) -> Image:
    return np.full((*shape, 3), boxes, np.uint8)


def counts_of(offered: list[Proposals]) -> list[int]:
    return [len(proposals) for proposals in offered]


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_there_are_as_many_proposals_as_boxes(count: int) -> None:
    (offered,) = LangSam(predictor=Predictor()).predict([picture_of(count)], ["person."])
    assert offered.masks.shape == (count, 6, 8)
    assert offered.masks.dtype == np.bool_
    assert offered.masks.sum() == count
    assert offered.box_scores == pytest.approx(np.linspace(0.9, 0.5, count))
    assert offered.mask_scores == pytest.approx(np.linspace(0.8, 0.6, count))
    assert offered.boxes.shape == (count, 4)


def test_an_image_without_a_detection_does_not_take_the_others_with_it() -> None:
    predictor = Predictor()
    images = [picture_of(count) for count in (2, 0, 1, 0, 3)]
    offered = LangSam(predictor=predictor).predict(images, ["person."] * 5)
    assert counts_of(offered) == [2, 0, 1, 0, 3]
    assert [len(batch) for batch in predictor.asked] == [5, 1, 1, 1, 1, 1]


def test_a_batch_without_trouble_stays_one() -> None:
    predictor = Predictor()
    LangSam(predictor=predictor).predict([picture_of(2), picture_of(1)], ["person."] * 2)
    assert len(predictor.asked) == 1


def test_images_of_different_sizes_never_share_a_batch_and_come_back_in_order() -> None:
    predictor = Predictor()
    shapes = [(6, 8), (9, 4), (6, 8), (9, 4)]
    images = [picture_of(count, shape) for count, shape in enumerate(shapes, start=1)]
    offered = LangSam(predictor=predictor).predict(images, ["person."] * 4)
    assert counts_of(offered) == [1, 2, 3, 4]
    assert [proposals.masks.shape[1:] for proposals in offered] == shapes
    assert all(len(set(batch)) == 1 for batch in predictor.asked)


def test_another_failure_is_not_taken_for_no_detection() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        LangSam(predictor=Predictor()).predict([picture_of(99)], ["person."])


def test_a_failure_that_nobody_can_explain_is_raised() -> None:
    predictor = Predictor()
    del predictor.gdino
    with pytest.raises(AssertionError):
        LangSam(predictor=predictor).predict([picture_of(0)], ["person."])


def test_an_answer_without_masks_for_its_boxes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "_with_masks", lambda *_: {"boxes": np.ones((2, 4)), "masks": np.ones((2, 3, 3))})
    with pytest.raises(ProposalsError, match=r"must answer 2 boxes with as many masks \(6, 8\), got \(2, 3, 3\)"):
        LangSam(predictor=Predictor()).predict([picture_of(2)], ["person."])


def test_an_answer_with_empty_lists_is_no_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    empty: dict[str, Any] = {"boxes": np.zeros((0, 4)), "scores": [], "masks": [], "mask_scores": []}
    monkeypatch.setattr(Predictor, "predict", lambda *_, **__: [empty])
    (offered,) = LangSam(predictor=Predictor()).predict([picture_of(0)], ["person."])
    assert offered.masks.shape == (0, 6, 8)


@pytest.mark.parametrize("prompt", ["", " ", "."])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(CaseError, match="prompt must name what to segment"):
        LangSam(predictor=Predictor()).predict([picture_of(1)], [prompt])


def test_unequal_counts_are_refused() -> None:
    with pytest.raises(CaseError, match="each image needs one prompt, got 1 image and 2 prompts"):
        LangSam(predictor=Predictor()).predict([picture_of(1)], ["person.", "dog."])


def test_the_prompt_is_made_what_the_detector_knows() -> None:
    predictor = Predictor()
    LangSam(predictor=predictor).predict([picture_of(1)], [" Person"])
    assert predictor.prompts == ["person."]


def test_it_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    LangSam(predictor=Predictor()).predict([picture_of(1), picture_of(0)], ["person."] * 2)
    assert capfd.readouterr().out == ""


def test_it_runs_in_full_precision_whatever_is_entered() -> None:
    predictor = Predictor()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        LangSam(predictor=predictor, device="cpu").predict([picture_of(1)], ["person."])
        assert torch.is_autocast_enabled("cpu")
    assert predictor.precisions == [False]


def test_a_predictor_of_the_users_has_no_fingerprint() -> None:
    assert not hasattr(LangSam(predictor=Predictor()), "fingerprint")


PACKAGE = '''
"""What lang_sam does to a process that imports it, on the CPU's autocast in place of CUDA's."""
import logging
import torch
from types import SimpleNamespace

SEED = 0
print("hello")
logging.getLogger().addHandler(logging.StreamHandler())
torch.autocast("cpu", dtype=torch.bfloat16).__enter__()
torch.backends.cuda.matmul.allow_tf32 = True


class LangSAM:
    def __init__(self, sam_type, device, **paths):
        print("loading")
        if sam_type == "sam3":
            raise KeyError(sam_type)
        torch.manual_seed(SEED)
        self.paths = paths
        self.autocast = torch.is_autocast_enabled("cpu")
        self.sam = SimpleNamespace(model=torch.nn.Linear(2, 2))
        self.gdino = SimpleNamespace(model=torch.nn.Linear(2, 3))
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    file = tmp_path / "site" / "lang_sam" / "__init__.py"
    file.parent.mkdir(parents=True)
    file.write_text(PACKAGE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield file
    sys.modules.pop("lang_sam", None)


@pytest.mark.usefixtures("package")
def test_importing_it_leaves_the_process_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    handlers = list(logging.root.handlers)
    LangSam(device="cpu")
    assert logging.root.handlers == handlers
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.backends.cuda.matmul.allow_tf32
    assert capfd.readouterr().out == ""


@pytest.mark.usefixtures("package")
def test_it_is_built_in_full_precision() -> None:
    assert not LangSam(device="cpu")._predictor.autocast


def test_a_missing_package_says_where_it_comes_from_and_what_does_without() -> None:
    with pytest.raises(ModelError) as said:
        LangSam()
    assert "git+https://github.com/luca-medeiros/lang-segment-anything" in str(said.value)
    assert 'backend = "transformers" does without it' in str(said.value)


@pytest.mark.usefixtures("package")
def test_what_cannot_be_built_is_said() -> None:
    with pytest.raises(ModelError, match=r"LangSAM cannot be built with \{'sam_type': 'sam3'\}: 'sam3'"):
        LangSam(sam_type="sam3", device="cpu")


@pytest.mark.usefixtures("package")
def test_folders_are_handed_on_only_where_given(tmp_path: Path) -> None:
    assert LangSam(device="cpu")._predictor.paths == {}
    local = LangSam(device="cpu", detector=tmp_path, detector_processor=tmp_path)
    assert local._predictor.paths == {
        "gdino_model_ckpt_path": str(tmp_path),
        "gdino_processor_ckpt_path": str(tmp_path),
    }


@pytest.mark.parametrize("one", ["detector", "detector_processor"])
def test_one_folder_of_the_detector_is_not_enough(tmp_path: Path, one: str) -> None:
    paths: dict[str, Any] = {one: tmp_path}
    with pytest.raises(ModelError, match=r"gets two, got one; give both detector and detector_processor"):
        LangSam(**paths)


def test_names_on_the_hub_are_refused_where_code_would_come_along() -> None:
    name = "somebody/grounding-dino-with-code"
    with pytest.raises(ModelError, match=f"detector must be a folder that is there, got '{name}'"):
        LangSam(detector=name, detector_processor=name)


def test_a_missing_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="sam_checkpoint must be a file that is there, got"):
        LangSam(sam_checkpoint=tmp_path / "sam.pt")


def test_the_fingerprint_changes_with_arguments_and_with_the_package(package: Path) -> None:
    first, again = LangSam(device="cpu"), LangSam(device="cpu")
    assert first.fingerprint == again.fingerprint
    assert LangSam(device="cpu", box_cutoff=0.2).fingerprint != first.fingerprint
    package.write_text(f"{PACKAGE}\n# another commit\n", encoding="utf-8")
    assert LangSam(device="cpu").fingerprint != first.fingerprint


@pytest.mark.usefixtures("package")
def test_the_fingerprint_changes_with_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    first = LangSam(device="cpu")
    monkeypatch.setattr("lang_sam.SEED", 1)
    assert LangSam(device="cpu").fingerprint != first.fingerprint
