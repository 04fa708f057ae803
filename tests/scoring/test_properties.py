import math

import cv2
import numpy as np
import pytest

from segqa.data.mask import Image, Mask
from segqa.scoring.properties import PROPERTIES, compute_properties, digest_pixels
from tests.conftest import bright_square


def grey(value: int, shape: tuple[int, int] = (40, 60)) -> Image:
    return np.full((*shape, 3), value, np.uint8)


def box(top: int, left: int, bottom: int, right: int, shape: tuple[int, int] = (40, 60)) -> Mask:
    mask = np.zeros(shape, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def test_every_property_but_the_models_is_measured() -> None:
    found = compute_properties(*bright_square(3))
    assert set(found) == PROPERTIES - {"proposals"}
    assert found["target_area"] == 144 / 2400
    assert found["image_size"] == 2400
    assert found["components"] == 1


def test_brightness_and_contrast_are_shares_of_white() -> None:
    flat = compute_properties(grey(51), box(5, 5, 9, 9))
    assert flat["brightness"] == pytest.approx(0.2)
    assert flat["contrast"] == 0
    half = grey(0)
    half[:20] = 255
    assert compute_properties(half, box(5, 5, 9, 9))["contrast"] == pytest.approx(0.5)


def test_a_blurred_picture_is_less_sharp() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(noise, (9, 9), 3), np.uint8)
    mask = box(5, 5, 9, 9)
    assert compute_properties(blurred, mask)["sharpness"] < compute_properties(noise, mask)["sharpness"] / 10


@pytest.mark.parametrize(
    ("mask", "ratio"),
    [(box(10, 10, 20, 20), 1), (box(10, 10, 14, 30), 5), (box(10, 5, 11, 45), 40), (box(3, 3, 4, 4), 1)],
    ids=["square", "oblong", "line", "pixel"],
)
def test_elongation_is_the_ratio_of_the_sides(mask: Mask, ratio: float) -> None:
    assert compute_properties(grey(9), mask)["elongation"] == pytest.approx(ratio)


def test_elongation_does_not_depend_on_the_direction() -> None:
    line = np.eye(40, dtype=np.bool_)
    assert compute_properties(grey(9, (40, 40)), line)["elongation"] == pytest.approx(
        compute_properties(grey(9, (40, 40)), line[:, ::-1].copy())["elongation"]
    )
    assert compute_properties(grey(9, (40, 40)), line)["elongation"] > 30


@pytest.mark.parametrize("mask", [box(0, 5, 9, 9), box(30, 5, 40, 9), box(5, 0, 9, 9), box(5, 50, 9, 60)])
def test_each_side_counts_as_border(mask: Mask) -> None:
    assert compute_properties(grey(9), mask)["border"] == 1
    assert compute_properties(grey(9), box(1, 1, 39, 59))["border"] == 0


def test_corners_that_touch_are_one_component() -> None:
    mask = box(5, 5, 9, 9) | box(9, 9, 12, 12)
    assert compute_properties(grey(9), mask)["components"] == 1
    assert compute_properties(grey(9), mask | box(20, 20, 21, 21))["components"] == 2


def test_colours_are_alike_or_not() -> None:
    image, mask = bright_square(3)
    assert compute_properties(image, mask)["colour_similarity"] == 0
    assert compute_properties(grey(77), mask)["colour_similarity"] == pytest.approx(1)


def test_what_is_not_defined_is_left_out() -> None:
    empty = compute_properties(grey(9), np.zeros((40, 60), np.bool_))
    assert empty["components"] == 0
    assert not {"elongation", "border", "colour_similarity"} & set(empty)
    full = compute_properties(grey(9), np.ones((40, 60), np.bool_))
    assert "colour_similarity" not in full
    assert not any(math.isnan(value) for value in {**empty, **full}.values())


def test_a_view_of_a_mask_measures_the_same() -> None:
    image, mask = bright_square(5)
    assert compute_properties(image, mask[:, ::-1][:, ::-1]) == compute_properties(image, mask)


@pytest.mark.parametrize("seed", range(5))
def test_components_are_those_that_numbering_the_pixels_finds(seed: int) -> None:
    """Islands in holes, corners that touch, and the frame, too."""
    blobs = np.random.default_rng(seed).random((8, 11)) < 0.5
    target = np.kron(blobs, np.ones((1 + seed % 2, 1 + seed % 3))).astype(np.bool_)
    numbered = cv2.connectedComponents(target.view(np.uint8), connectivity=8)[0] - 1
    assert compute_properties(np.zeros((*target.shape, 3), np.uint8), target)["components"] == numbered


def test_a_large_image_is_sampled_and_says_the_same() -> None:
    """Of four million pixels a hundredth is looked at; the object is small, and all of its box is."""
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    target = np.zeros((2000, 2000), np.bool_)
    target[700:760, 300:500] = True
    noise[target] //= 4
    inside, outside = (np.histogramdd(noise[part], 8, [(0, 256)] * 3)[0] for part in (target, ~target))
    shared = np.sqrt(inside / inside.sum() * outside / outside.sum()).sum()
    assert compute_properties(noise, target)["colour_similarity"] == pytest.approx(shared, abs=0.01)


def test_the_digest_of_pixels_has_a_half_for_the_image_and_one_for_the_target() -> None:
    image, target = bright_square(3)
    other_image, other_target = image.copy(), target.copy()
    other_image[0, 0, 0] ^= 1
    other_target[0, 0] ^= True
    digest = digest_pixels(image, target)
    assert len(digest) == 32
    assert digest == digest_pixels(np.asfortranarray(image), target.copy())
    changed_image, changed_target = digest_pixels(other_image, target), digest_pixels(image, other_target)
    assert changed_image[:16] != digest[:16]
    assert changed_image[16:] == digest[16:]
    assert changed_target[:16] == digest[:16]
    assert changed_target[16:] != digest[16:]


def test_pixels_of_another_shape_have_another_digest() -> None:
    flat, empty = grey(9, (4, 16)), np.zeros((4, 16), np.bool_)
    digest = digest_pixels(flat, empty)
    other = digest_pixels(flat.reshape(16, 4, 3), empty.reshape(16, 4))
    assert digest[:16] != other[:16]
    assert digest[16:] != other[16:]
