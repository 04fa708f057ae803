from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segqa.analysis.data_audit.image_hash import (
    MAX_DISTANCE,
    MIN_CORRELATION,
    ImageHash,
    compute_image_hash,
    find_near_duplicates,
)
from segqa.data.mask import Image
from tests.analysis.data_audit.sound import make_image


def hash_image(image: Image) -> ImageHash:
    return compute_image_hash(b"", image)


def brighten(image: Image) -> Image:
    lighter: Image = np.clip(image * 0.7 + 40, 0, 255).astype(np.uint8)
    return lighter


def test_an_imprint_is_the_thumbnail_row_by_row() -> None:
    grey = np.arange(72, dtype=np.uint8).reshape(8, 9) * 3
    image = np.kron(grey, np.ones((4, 5), np.uint8))[:, :, None].repeat(3, axis=2)
    assert compute_image_hash(b"x", image) == ImageHash(b"x", (45, 32), grey.tobytes())


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda image: image, id="as it is"),
        pytest.param(lambda image: image[::2, ::2], id="half the size"),
        pytest.param(brighten, id="brighter"),
        pytest.param(lambda image: image[1:-1, 1:-1], id="cropped"),
    ],
)
def test_a_changed_copy_is_a_twin(changed: Callable[[Image], Image]) -> None:
    copy = hash_image(np.ascontiguousarray(changed(make_image(0))))
    (twin,) = find_near_duplicates([hash_image(make_image(1)), hash_image(make_image(0)), copy])
    assert (twin.index, twin.other) == (2, 1)
    assert twin.distance <= MAX_DISTANCE


@pytest.mark.parametrize("grey", [0, 7, 255])
def test_flat_pictures_are_like_none(grey: int) -> None:
    flat = np.full((40, 40, 3), grey, np.uint8)
    assert not list(find_near_duplicates([hash_image(flat), hash_image(flat), hash_image(make_image(0))]))


def test_dark_pictures_with_a_light_somewhere_are_no_twins() -> None:
    # their hashes differ in two to four bits of 64
    images = []
    for place in range(4):
        image = np.zeros((80, 90, 3), np.uint8)
        image[place * 20 : place * 20 + 10, place * 20 : place * 20 + 10] = 250
        images.append(hash_image(image))
    assert not list(find_near_duplicates(images))


def test_without_images_there_are_no_twins() -> None:
    assert not list(find_near_duplicates([]))
    assert not list(find_near_duplicates([hash_image(make_image(0))], []))


def compute_distance(first: ImageHash, second: ImageHash) -> int:
    """Bit by bit."""
    distance = 0
    for place in range(72):
        if place % 9:
            bits = [each.thumbnail[place] > each.thumbnail[place - 1] for each in (first, second)]
            distance += bits[0] != bits[1]
    return distance


def compute_correlation(first: ImageHash, second: ImageHash) -> float:
    return float(np.corrcoef([list(first.thumbnail), list(second.thumbnail)])[0, 1])


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([1, 7, 1 << 22]))
def test_the_search_finds_what_comparing_each_pair_finds(seed: int, within: bool, cells: int) -> None:
    generator = np.random.default_rng(seed)
    seeds = generator.integers(0, 256, (3, 72))
    changed = seeds[generator.integers(0, 3, 14)] + generator.normal(0, 14, (14, 72))
    images = [ImageHash(b"", (9, 8), np.clip(each, 0, 255).astype(np.uint8).tobytes()) for each in changed]
    first, second = (images, None) if within else (images[:9], images[9:])
    expected = []
    for index, imprint in enumerate(first):
        others = images[:index] if second is None else second
        near = [
            (compute_distance(imprint, other), place)
            for place, other in enumerate(others)
            if compute_distance(imprint, other) <= MAX_DISTANCE
            and compute_correlation(imprint, other) >= MIN_CORRELATION
        ]
        expected += [(index, min(near)[1], min(near)[0])] if near else []
    found = [(twin.index, twin.other, twin.distance) for twin in find_near_duplicates(first, second, cells=cells)]
    assert found == expected
