"""The rendered scenes, whole."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from segqa.datasets.studio.mannequin import CAMERA
from segqa.datasets.studio.scene import Scene, mannequin_mask, render, scene_names

PATTERN = re.compile(r"(?P<action>[^_]+)_(?P<sequence>[^_]+)_(?P<camera>C\d+)_\d{5}")
ONE_A_SEQUENCE = scene_names()[::8]
ONE_OF_EACH = [name for name in scene_names() if name.startswith(("Ballet_Ballet1", "HipHop_HipHop2"))]


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    return {name: render(name) for name in scene_names()}


def test_there_are_48_sorted_unique_names() -> None:
    names = scene_names()
    assert len(set(names)) == 48
    assert list(names) == sorted(names)


def test_every_name_says_action_sequence_camera_and_frame() -> None:
    assert all(PATTERN.fullmatch(name) for name in scene_names())


def test_four_cameras_take_twelve_views_each() -> None:
    cameras = [name.split("_")[2] for name in scene_names()]
    assert {camera: cameras.count(camera) for camera in cameras} == {"C1": 12, "C2": 12, "C3": 12, "C4": 12}


def test_names_cost_no_drawing() -> None:
    start = time.perf_counter()
    for _ in range(100):
        scene_names()
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("name", ONE_A_SEQUENCE)
def test_the_same_name_renders_the_same_bytes(name: str, scenes: dict[str, Scene]) -> None:
    again = render(name)
    assert again.image.tobytes() == scenes[name].image.tobytes()
    assert again.target.tobytes() == scenes[name].target.tobytes()


def test_images_are_rgb_bytes_and_targets_are_masks_of_their_size(scenes: dict[str, Scene]) -> None:
    for scene in scenes.values():
        assert scene.image.shape == (512, 384, 3)
        assert scene.image.dtype == np.dtype(np.uint8)
        assert scene.target.shape == (512, 384)
        assert scene.target.dtype == np.dtype(np.bool_)


def test_no_two_scenes_are_alike(scenes: dict[str, Scene]) -> None:
    assert len({scene.image.tobytes() for scene in scenes.values()}) == 48
    assert len({scene.target.tobytes() for scene in scenes.values()}) == 48


def test_the_dancer_takes_a_sensible_part_of_the_picture(scenes: dict[str, Scene]) -> None:
    shares = [float(scene.target.mean()) for scene in scenes.values()]
    assert min(shares) > 0.04
    assert max(shares) < 0.25


def test_the_dancer_is_half_to_most_of_the_picture_high(scenes: dict[str, Scene]) -> None:
    for scene in scenes.values():
        rows = np.flatnonzero(scene.target.any(axis=1))
        assert 0.45 < (rows[-1] + 1 - rows[0]) / 512 < 0.9, scene.name


def test_the_dancer_is_wholly_in_the_picture(scenes: dict[str, Scene]) -> None:
    for scene in scenes.values():
        edges = (scene.target[0], scene.target[-1], scene.target[:, 0], scene.target[:, -1])
        assert not any(edge.any() for edge in edges), scene.name


def test_the_target_is_what_differs_from_the_same_room_without_dancer(scenes: dict[str, Scene]) -> None:
    pictures = np.stack([scene.image for name, scene in scenes.items() if "_C1_" in name]).astype(np.int32)
    usual = np.median(pictures, axis=0)
    scene = scenes["Jazz_Jazz1_C1_00090"]
    change = np.abs(scene.image - usual).max(axis=2)
    assert change[scene.target].mean() > 4 * change[~scene.target].mean()


def test_exactly_one_camera_sees_the_mannequin() -> None:
    seen = {name for name in ONE_OF_EACH if mannequin_mask(name).any()}
    assert seen == {name for name in ONE_OF_EACH if f"_{CAMERA}_" in name}


def test_the_mannequin_is_in_no_target(scenes: dict[str, Scene]) -> None:
    for name in (name for name in scene_names() if f"_{CAMERA}_" in name):
        dummy = mannequin_mask(name)
        assert dummy.mean() > 0.02, name
        assert not (dummy & scenes[name].target).any(), name


@pytest.mark.parametrize("name", ["", "Jazz", "Jazz_Jazz1_C5_00270", "Jazz_Jazz1_C2_00271"])
def test_an_unknown_name_raises_with_what_was_expected_and_what_came(name: str) -> None:
    with pytest.raises(ValueError, match=rf"expected one of the 48 studio scenes, .* got '{name}'"):
        render(name)
