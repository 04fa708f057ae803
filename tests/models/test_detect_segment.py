from pathlib import Path

import numpy as np
import pytest

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.errors import ModelError
from segqa.models.detect_segment import DetectSegment
from segqa.models.pickers import mask_score, product, sequential_agreement
from segqa.models.protocol import Proposals
from segqa.scoring.metrics import iou


@pytest.fixture(scope="module")
def model(weights: Path) -> DetectSegment:
    return DetectSegment(detector=weights / "yolox_nano.onnx", segmenter=weights / "selfie_segmentation.tflite")


def test_a_missing_file_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no detector at .*d\.onnx; put a YOLOX detector as \.onnx there"):
        DetectSegment(detector=tmp_path / "d.onnx", segmenter=tmp_path / "s.tflite")


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="cannot read the detector"):
        DetectSegment(detector=tmp_path / "d.onnx", segmenter=tmp_path / "s.tflite")


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (700, 5), (64, 64)])
def test_any_image_is_answered(model: DetectSegment, shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 90, np.uint8)
    (offered,) = model.predict([image], ["person."])
    assert offered.masks.shape[1:] == shape
    assert (image == 90).all()


def test_the_fingerprint_changes_with_the_arguments(model: DetectSegment, weights: Path) -> None:
    other = DetectSegment(
        detector=weights / "yolox_nano.onnx", segmenter=weights / "selfie_segmentation.tflite", mask_cutoff=0.6
    )
    same = DetectSegment(detector=weights / "yolox_nano.onnx", segmenter=weights / "selfie_segmentation.tflite")
    assert same.fingerprint == model.fingerprint != other.fingerprint


def test_the_fingerprint_changes_with_the_weights(model: DetectSegment, weights: Path, tmp_path: Path) -> None:
    longer = tmp_path / "selfie.tflite"
    longer.write_bytes((weights / "selfie_segmentation.tflite").read_bytes() + b"\0")
    other = DetectSegment(detector=weights / "yolox_nano.onnx", segmenter=longer)
    assert other.fingerprint != model.fingerprint


def test_on_real_photos_picking_matters_as_published(model: DetectSegment, ccp: Path) -> None:
    """On these 40 of the 200 photos there are two in which the mask score alone picks a bystander."""
    data = open_folder(ccp)
    cases = Dataset.from_cases("some", data.cases[::4][:40]).cases
    offered = [model.predict([case.image()], [case.prompt])[0] for case in cases]
    targets = [case.target() for case in cases]

    def mean(picker: object) -> float:
        assert callable(picker)
        return float(np.mean([_iou(answer, picker(answer), t) for answer, t in zip(offered, targets, strict=True)]))

    assert mean(product) > 0.90
    assert mean(product) > mean(mask_score)
    assert mean(sequential_agreement) >= mean(mask_score)


def _iou(offered: Proposals, picked: int | None, target: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    return 0.0 if picked is None else iou(offered.masks[picked], target)
