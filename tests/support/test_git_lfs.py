"""A Git LFS pointer in the place of any file that is read is named, with the way to fetch the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from segqa.data.folder import open_folder
from segqa.errors import BaselineError, CaseError, ModelError
from segqa.gate.baseline import read_baseline
from segqa.gate.latency import read_speeds
from segqa.models.detect_segment import DetectSegment
from segqa.support.git import refuse_pointers

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FETCH = "is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"


@pytest.fixture
def pointer(tmp_path: Path) -> Callable[[str], Path]:
    """Make a pointer with a name."""

    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(POINTER, encoding="utf-8")
        return path

    return make


def test_a_pointer_in_place_of_an_image_or_a_mask_is_an_error_of_its_case(squares: Callable[[int], Path]) -> None:
    folder = squares(3)
    for name in ("images/A_000.png", "masks/A_002.png"):
        (folder / name).write_text(POINTER, encoding="utf-8")
    no_image, no_mask, _ = open_folder(folder)
    with pytest.raises(CaseError, match=f"A_000.png {FETCH}"):
        no_image.image()
    with pytest.raises(CaseError, match=f"A_002.png {FETCH}"):
        no_mask.target()


def test_a_pointer_in_place_of_a_baseline_or_its_speed_is_refused(pointer: Callable[[str], Path]) -> None:
    with pytest.raises(BaselineError, match=FETCH):
        read_baseline(pointer("unet.jsonl"))
    with pytest.raises(BaselineError, match=FETCH):
        read_speeds(pointer("unet.speed.json"))


def test_a_pointer_in_place_of_weights_is_refused(pointer: Callable[[str], Path], tmp_path: Path) -> None:
    from segqa.models.grounded_sam import GroundedSam
    from segqa.models.network import Network

    with pytest.raises(ModelError, match=FETCH):
        DetectSegment(detector=pointer("a.onnx"), segmenter=pointer("b.tflite"))
    (pointer("net/config.json")).write_text('{"_model_class": "UNet"}', encoding="utf-8")
    pointer("net/model.safetensors")
    with pytest.raises(ModelError, match=f"model.safetensors {FETCH}"):
        Network.load(tmp_path / "net", name="unet", family="unet")
    with pytest.raises(ModelError, match=f"model.safetensors {FETCH}"):
        GroundedSam(detector=tmp_path / "net")


def test_files_that_are_no_pointers_are_left_to_their_readers(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"version ")
    refuse_pointers([tmp_path / "a.onnx", tmp_path / "lost.onnx", tmp_path], ModelError)
