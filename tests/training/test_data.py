from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segqa.data.folder import open_folder
from segqa.errors import DatasetError
from segqa.models import transforms
from segqa.training.data import iterate_batches, read_images
from tests.conftest import bright_square, write_case


def test_every_case_is_in_an_epoch_once() -> None:
    batches = [chosen.tolist() for chosen, _ in iterate_batches(10, 4, seed=1, epoch=1)]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(index for batch in batches for index in batch) == list(range(10))


def test_order_and_augmentation_follow_from_seed_and_epoch() -> None:
    def drawn(seed: int, epoch: int) -> list[object]:
        return [(chosen.tolist(), seeds.tolist()) for chosen, seeds in iterate_batches(10, 4, seed, epoch)]

    assert drawn(1, 2) == drawn(1, 2)
    assert len({repr(drawn(seed, epoch)) for seed, epoch in ((1, 1), (1, 2), (2, 1))}) == 3


def test_half_of_the_pictures_are_flipped_with_their_masks(squares: Callable[[int], Path]) -> None:
    pictures = read_images(open_folder(squares(1)), 64, title="")
    images, masks = pictures.batch(np.zeros(60, np.int64), transforms.build_augmentation(0.5), np.arange(60))
    flipped = [bool((mask.numpy()[0] != pictures.masks[0]).any()) for mask in masks]
    assert 15 < sum(flipped) < 45
    for image, mask in zip(images, masks, strict=True):
        assert image[0][mask[0] > 0].min() > image[0][mask[0] == 0].max()


def test_pictures_are_normalised_as_imagenet_s(squares: Callable[[int], Path]) -> None:
    pictures = read_images(open_folder(squares(1)), 64, title="")
    images, _ = pictures.batch(np.array([0]), transforms.build_normalization())
    expected = (pictures.images[0] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert images[0].permute(1, 2, 0).numpy() == pytest.approx(expected, abs=1e-5)


def test_the_digest_changes_with_a_pixel(squares: Callable[[int], Path]) -> None:
    folder = squares(2)
    before = read_images(open_folder(folder), 64, title="").digest
    image, mask = bright_square(0)
    image[0, 0] = 255
    write_case(folder, "A_000", image, mask)
    assert read_images(open_folder(folder), 64, title="").digest != before


def test_an_unreadable_case_is_named(squares: Callable[[int], Path]) -> None:
    folder = squares(2)
    (folder / "masks" / "B_001.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"cannot train on case 'B_001': B_001\.png is empty"):
        read_images(open_folder(folder), 64, title="")


def test_a_mask_of_another_size_is_named(squares: Callable[[int], Path]) -> None:
    folder = squares(1)
    write_case(folder, "A_000", bright_square(0)[0], bright_square(0, (41, 60))[1])
    with pytest.raises(DatasetError, match=r"case 'A_000': .* same size, got mask \(41, 60\), image \(40, 60\)"):
        read_images(open_folder(folder), 64, title="")
