"""The renderer still makes the files that segqa ships. Pixels are compared: another encoder may write other bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from segqa import open_folder, open_studio
from tools.render_studio.files import write_scenes
from tools.render_studio.scene import list_scene_names, render_scene

EVERY_CAMERA_AND_SEQUENCE = list_scene_names()[::7]


def assert_ships(names: Sequence[str], folder: Path) -> None:
    write_scenes(folder, names)
    shipped = open_studio().select_ids(names)
    made = open_folder(folder)
    assert list(made.ids) == sorted(names)
    for case in made:
        np.testing.assert_array_equal(case.image(), shipped[case.id].image(), case.id)
        np.testing.assert_array_equal(case.target(), shipped[case.id].target(), case.id)


def test_some_scenes_of_every_camera_and_sequence_are_as_shipped(tmp_path: Path) -> None:
    assert len({name.split("_")[2] for name in EVERY_CAMERA_AND_SEQUENCE}) == 4
    assert len({name.split("_")[1] for name in EVERY_CAMERA_AND_SEQUENCE}) == 6
    assert_ships(EVERY_CAMERA_AND_SEQUENCE, tmp_path)


@pytest.mark.slow
def test_all_scenes_are_as_shipped(tmp_path: Path) -> None:
    assert list_scene_names() == tuple(open_studio().ids)
    assert_ships(list_scene_names(), tmp_path)


def test_a_mask_file_keeps_the_rendered_target_and_a_jpeg_nearly_the_image() -> None:
    scene = render_scene("Jazz_Jazz1_C2_00270")
    case = open_studio().select_ids([scene.name])[scene.name]
    np.testing.assert_array_equal(case.target(), scene.target)
    assert np.abs(case.image().astype(np.int32) - scene.image).mean() < 3
