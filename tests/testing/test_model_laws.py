from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segqa.data.mask import Image
from segqa.demo.hog_grabcut import HogGrabCut
from segqa.models.detect_segment import DetectSegment
from segqa.models.network import Network
from segqa.models.protocol import Proposals
from segqa.testing import BrokenLawError, broken, check_model, model_laws
from tests.conftest import SHARED

PICTURE = SHARED / "data" / "ccp" / "images"


class Bright:
    """Right in every way."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [self.answer(image) for image in images]

    def answer(self, image: Image) -> Proposals:
        return Proposals.single(image[:, :, 0] > 100, 0.5)


def test_a_model_that_is_right_keeps_all_laws() -> None:
    check_model(Bright())


def test_ours_keep_them(exported_unet: Path) -> None:
    check_model(HogGrabCut())
    check_model(Network.load(exported_unet, name="unet", device="cpu"))
    check_model(Network.load(exported_unet, name="unet", runtime="onnx", device="cpu"))


def test_a_detector_and_a_segmenter_keep_them(weights: Path) -> None:
    check_model(DetectSegment(detector=weights / "yolox_nano.onnx", segmenter=weights / "selfie_segmentation.tflite"))


class Transposed(Bright):
    def answer(self, image: Image) -> Proposals:
        return Proposals.single((image[:, :, 0] > 100).T.copy())


class Cropped(Bright):
    def answer(self, image: Image) -> Proposals:
        return Proposals.single(image[:-1, :, 0] > 100)


class Unsure(Bright):
    def answer(self, image: Image) -> Proposals:
        return Proposals.single(image[:, :, 0] > 100, float("nan"))


class Endless(Bright):
    def answer(self, image: Image) -> Proposals:
        return Proposals.single(image[:, :, 0] > 100, float("inf"))


class Painting(Bright):
    def answer(self, image: Image) -> Proposals:
        mask = image[:, :, 0] > 100
        image[mask] = 0
        return Proposals.single(mask, 0.5)


class Dicing(Bright):
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def answer(self, image: Image) -> Proposals:
        return Proposals.single(self.rng.random(image.shape[:2]) > 0.5, 0.5)


class BatchNormed(Bright):
    """Looks at the whole batch, as a network left in training mode does."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        cutoff = np.mean([image.mean() for image in images]) if images else 0
        return [Proposals.single(image[:, :, 0] > cutoff + 10, 0.5) for image in images]


class FirstOnly(Bright):
    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return super().predict(images[:1], prompts)


class NeedsOne(Bright):
    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        _ = images[0]
        return super().predict(images, prompts)


class NeedsSize(Bright):
    def answer(self, image: Image) -> Proposals:
        if min(image.shape[:2]) < 8:
            raise ValueError("too small")
        return super().answer(image)


class NeedsColour(Bright):
    def answer(self, image: Image) -> Proposals:
        saturation = image.max(axis=2).astype(int) - image.min(axis=2)
        return Proposals.single(saturation > saturation.max() / 2, 1 / float(saturation.max() > 0))


ALL = "one answer an image, masks at its size, scores known"


@pytest.mark.parametrize(
    ("model", "law", "said"),
    [
        (Transposed, ALL, r"an image of 64 × 96: masks of shape \(64, 96\), expected \(96, 64\)"),
        (Cropped, ALL, r"masks of shape \(95, 64\)"),
        (Unsure, ALL, "mask_scores has a NaN"),
        (Endless, ALL, "mask_scores inf is not finite"),
        (Painting, "images are left unchanged", "image 0 has been changed"),
        (Painting, "a read-only image is answered", "ValueError: assignment destination is read-only"),
        (Dicing, "the same image gives the same answer", "pixels differ"),
        (BatchNormed, "a batch answers as one by one", r"image \d of 4, alone and in the batch: \d+ pixels differ"),
        (FirstOnly, "a batch answers as one by one", "came 1 answers for 4 images"),
        (NeedsOne, "no image gives no answer", "predict raised IndexError"),
        (NeedsSize, "an image of one pixel is answered", "predict raised ValueError: too small"),
        (NeedsColour, "a grey image is answered", "predict raised ZeroDivisionError"),
    ],
)
def test_a_model_that_goes_wrong_is_found(model: Callable[[], Any], law: str, said: str) -> None:
    with pytest.raises(BrokenLawError, match=said):
        model_laws(model())[law]()


def test_only_what_is_wrong_is_found() -> None:
    assert list(broken(model_laws(NeedsOne()))) == ["no image gives no answer"]
    check_model(NeedsOne(), leave_out=["no image gives no answer"])


def test_real_images_can_be_given() -> None:
    class Remembers(Bright):
        seen: set[tuple[int, ...]] = set()  # noqa: RUF012

        def answer(self, image: Image) -> Proposals:
            self.seen.add(image.shape)
            return super().answer(image)

    check_model(Remembers(), images=[np.zeros((17, 23, 3), np.uint8)])
    assert (17, 23, 3) in Remembers.seen
    assert (96, 64, 3) not in Remembers.seen
