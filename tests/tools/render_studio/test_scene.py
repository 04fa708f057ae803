"""Rendered scenes: what the renderer knows of them beside the files."""

from __future__ import annotations

import pytest

from segqa import open_studio
from tools.render_studio.mannequin import CAMERA
from tools.render_studio.scene import list_scene_names, render_mannequin_mask, render_scene

ONE_OF_EACH = [name for name in list_scene_names() if name.startswith(("Ballet_Ballet1", "HipHop_HipHop2"))]


def test_the_same_name_renders_the_same_bytes() -> None:
    name = list_scene_names()[0]
    first, second = render_scene(name), render_scene(name)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.target.tobytes() == second.target.tobytes()


def test_exactly_one_camera_sees_the_mannequin() -> None:
    seen = {name for name in ONE_OF_EACH if render_mannequin_mask(name).any()}
    assert seen == {name for name in ONE_OF_EACH if f"_{CAMERA}_" in name}


def test_the_mannequin_is_in_no_target() -> None:
    for case in (case for case in open_studio() if case.tags["camera"] == CAMERA):
        mannequin = render_mannequin_mask(case.id)
        assert mannequin.mean() > 0.02, case.id
        assert not (mannequin & case.target()).any(), case.id


@pytest.mark.parametrize("name", ["", "Jazz", "Jazz_Jazz1_C5_00270", "Jazz_Jazz1_C2_00271"])
def test_an_unknown_name_raises_with_what_was_expected_and_what_came(name: str) -> None:
    with pytest.raises(ValueError, match=rf"expected one of the 48 studio scenes, .* got '{name}'"):
        render_scene(name)
