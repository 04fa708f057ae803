"""The images and masks of the data set that ships with segqa."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from segqa import Case, Dataset, open_studio
from segqa.data import image_io
from segqa.data.mask import Image, Mask

NAME = re.compile(r"[^_]+_[^_]+_C\d+_\d{5}")


@dataclass(frozen=True)
class Pixels:
    image: Image
    target: Mask


@pytest.fixture(scope="module")
def studio() -> Dataset:
    return open_studio()


@pytest.fixture(scope="module")
def pixels(studio: Dataset) -> dict[str, Pixels]:
    return {case.id: Pixels(case.image(), case.target()) for case in studio}


def test_the_folder_holds_48_images_and_their_masks_and_nothing_else(studio: Dataset) -> None:
    assert (studio.name, len(studio), studio.notes) == ("studio", 48, ())


def test_every_name_says_action_sequence_camera_and_frame(studio: Dataset) -> None:
    assert all(NAME.fullmatch(case_id) for case_id in studio.ids)


def test_names_are_tags(studio: Dataset) -> None:
    tags = studio.select_ids(["Jazz_Jazz1_C1_00090"])["Jazz_Jazz1_C1_00090"].tags
    assert tags == {"action": "Jazz", "sequence": "Jazz1", "camera": "C1"}


def test_four_cameras_take_twelve_views_each(studio: Dataset) -> None:
    assert Counter(case.tags["camera"] for case in studio) == {"C1": 12, "C2": 12, "C3": 12, "C4": 12}


def test_opening_reads_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(image_io, "open_path", read.append)
    assert isinstance(next(iter(open_studio())), Case)
    assert read == []


def test_masks_are_binary(studio: Dataset) -> None:
    assert studio.reading is not None
    assert studio.reading.rules.notes == ()


def test_images_are_rgb_bytes_and_targets_are_masks_of_their_size(pixels: dict[str, Pixels]) -> None:
    for scene in pixels.values():
        assert scene.image.shape == (512, 384, 3)
        assert scene.image.dtype == np.dtype(np.uint8)
        assert scene.target.shape == (512, 384)
        assert scene.target.dtype == np.dtype(np.bool_)


def test_no_two_scenes_are_alike(pixels: dict[str, Pixels]) -> None:
    assert len({scene.image.tobytes() for scene in pixels.values()}) == 48
    assert len({scene.target.tobytes() for scene in pixels.values()}) == 48


def test_the_dancer_takes_a_sensible_part_of_the_image(pixels: dict[str, Pixels]) -> None:
    shares = [float(scene.target.mean()) for scene in pixels.values()]
    assert min(shares) > 0.04
    assert max(shares) < 0.25


def test_the_dancer_is_half_to_most_of_the_image_high(pixels: dict[str, Pixels]) -> None:
    for name, scene in pixels.items():
        rows = np.flatnonzero(scene.target.any(axis=1))
        assert 0.45 < (rows[-1] + 1 - rows[0]) / 512 < 0.9, name


def test_the_dancer_is_wholly_in_the_image(pixels: dict[str, Pixels]) -> None:
    for name, scene in pixels.items():
        edges = (scene.target[0], scene.target[-1], scene.target[:, 0], scene.target[:, -1])
        assert not any(edge.any() for edge in edges), name


def test_the_target_is_what_differs_from_the_same_room_without_dancer(pixels: dict[str, Pixels]) -> None:
    images = np.stack([scene.image for name, scene in pixels.items() if "_C1_" in name]).astype(np.int32)
    usual = np.median(images, axis=0)
    scene = pixels["Jazz_Jazz1_C1_00090"]
    change = np.abs(scene.image - usual).max(axis=2)
    assert change[scene.target].mean() > 4 * change[~scene.target].mean()
