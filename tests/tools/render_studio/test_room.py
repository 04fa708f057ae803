"""The four rooms, their furniture and textures."""

from __future__ import annotations

import numpy as np
import pytest

from tools.render_studio import furniture
from tools.render_studio.room import ROOMS, draw_room
from tools.render_studio.texture import make_fold_slopes, make_grain, make_noise, repeat_tile


@pytest.mark.parametrize("camera", sorted(ROOMS))
def test_a_room_fills_its_image(camera: str) -> None:
    view = draw_room(camera)
    assert view.shape == (512, 384, 3)
    assert view.dtype == np.dtype(np.uint8)
    assert view.std() > 15


def test_the_rooms_differ() -> None:
    views = [draw_room(camera).astype(np.int32) for camera in ROOMS]
    assert all(np.abs(one - other).mean() > 15 for i, one in enumerate(views) for other in views[:i])


def test_furniture_on_a_layer_covers_only_itself() -> None:
    layer = np.zeros((200, 200, 4), np.uint8)
    furniture.draw_chair(layer, (60, 180), 150, (200, 40, 40))
    covered = layer[..., 3] > 0
    assert 0.05 < covered.mean() < 0.6
    assert not layer[~covered].any()


def test_noise_repeats_without_a_seam() -> None:
    tile = make_noise(3, 6, 6).astype(np.int32)
    inner = np.abs(np.diff(tile, axis=1)).max()
    assert np.abs(tile[:, 0] - tile[:, -1]).max() <= inner + 1


def test_noise_spans_the_whole_range() -> None:
    assert (int(make_noise(3, 6, 6).min()), int(make_noise(3, 6, 6).max())) == (0, 255)


def test_grain_is_centred_on_nothing() -> None:
    assert abs(float(make_grain().mean())) < 0.1


def test_slopes_of_a_repeating_tile_add_up_to_nothing() -> None:
    assert np.abs(make_fold_slopes().mean(axis=(1, 2))).max() < 1e-4


def test_a_tile_is_cut_to_size() -> None:
    assert repeat_tile(make_noise(3, 6, 6), 300, 70).shape == (300, 70)
