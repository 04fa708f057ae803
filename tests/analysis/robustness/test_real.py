"""Real photos and a real model: what feeding it BGR does, and whether it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import segqa
from segqa.analysis.robustness.perturbations import find_perturbation
from segqa.analysis.robustness.result import Robustness
from segqa.data.mask import Image
from segqa.models.detect_segment import DetectSegment
from segqa.models.protocol import Proposals

pytest.importorskip("albumentations")


class FedBgr(DetectSegment):
    """The same networks, given red where they expect blue."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return super().predict([np.ascontiguousarray(image[:, :, ::-1]) for image in images], prompts)


def measure_swap(kind: type[DetectSegment], weights: Path, ccp: Path) -> Robustness:
    model = kind(detector=weights / "yolox_nano.onnx", segmenter=weights / "selfie_segmentation.tflite")
    return segqa.measure_robustness(model, ccp, cases=50, changes=[find_perturbation("channel_swap")])


@pytest.mark.slow
def test_that_a_model_is_fed_bgr_shows_on_fifty_photos(weights: Path, ccp: Path) -> None:
    right, wrong = (measure_swap(kind, weights, ccp) for kind in (DetectSegment, FedBgr))
    assert wrong.compute_proven_gain("channel_swap") > 0.002
    assert right.compute_proven_gain("channel_swap") < -0.01
    # what one makes of the swapped images is what the other makes of the photos
    assert float(wrong.select("channel_swap").iou) == pytest.approx(right.select("channel_swap").before)
    assert wrong.select("channel_swap").agreement == pytest.approx(right.select("channel_swap").agreement)
