"""Limbs laid on a relief, and their light."""

from __future__ import annotations

import numpy as np

from tools.render_studio.light import Light, shade
from tools.render_studio.relief import HOLE, Cloth, Limb, Spot, lay_limb, make_bands, make_blank_relief

RED, BLUE = Cloth((200, 0, 0)), Cloth((0, 0, 200))
X, Z = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])


def _ball(x: float, z: float, cloth: Cloth = RED) -> Limb:
    place = np.array([x, 40.0, z])
    return Limb(place, place + np.array([0.0, 0.25, 0.0]), X, Z, ((0, 20, 20, 0), (1, 20, 20, 0)), (cloth,))


def _post(paint_end: float, caps: tuple[float, float] = (1.0, 1.0)) -> Limb:
    start, end = np.array([40.0, 20.0, 0.0]), np.array([40.0, 60.0, 0.0])
    return Limb(start, end, X, Z, ((0, 10, 10, 0), (1, 10, 10, 0)), (RED, BLUE), make_bands(paint_end), caps=caps)


def test_a_ball_covers_a_disc() -> None:
    relief = make_blank_relief(80, 80)
    lay_limb(relief, _ball(40, 0))
    area = int((relief.height > -100).sum())
    assert abs(area - np.pi * 20 * 20) < 30


def test_a_balls_normals_point_away_from_its_middle() -> None:
    relief = make_blank_relief(80, 80)
    lay_limb(relief, _ball(40, 0))
    assert relief.normal[2, 40, 40] > 0.99
    assert relief.normal[0, 40, 56] > 0.7
    assert relief.normal[1, 24, 40] < -0.7


def test_the_nearer_limb_hides_the_farther_in_either_order() -> None:
    balls = [_ball(40, 0, RED), _ball(40, 30, BLUE)]
    for order in (balls, balls[::-1]):
        relief = make_blank_relief(80, 80)
        for ball in order:
            lay_limb(relief, ball)
        assert relief.colour[:, 40, 40].tolist() == [0, 0, 200]


def test_bands_change_the_cloth_along_the_limb() -> None:
    relief = make_blank_relief(80, 80)
    lay_limb(relief, _post(0.5))
    assert relief.colour[:, 30, 40].tolist() == [200, 0, 0]
    assert relief.colour[:, 50, 40].tolist() == [0, 0, 200]


def test_a_flat_cap_ends_the_limb_where_its_axis_ends() -> None:
    relief = make_blank_relief(80, 80)
    lay_limb(relief, _post(0.5, caps=(1.0, 0.0)))
    assert relief.height[12, 40] > -100
    assert relief.height[63, 40] < -100


def test_a_hole_shows_what_is_behind() -> None:
    def holed(spot: Spot) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return np.full(spot.along.shape, HOLE, np.uint8)

    relief = make_blank_relief(80, 80)
    lay_limb(relief, _ball(40, 0))
    start, end = np.array([40.0, 30.0, 50.0]), np.array([40.0, 50.0, 50.0])
    lay_limb(relief, Limb(start, end, X, Z, ((0, 9, 9, 0), (1, 9, 9, 0)), (BLUE,), holed))
    assert relief.colour[:, 40, 40].tolist() == [200, 0, 0]


def test_a_limb_outside_the_image_leaves_nothing() -> None:
    relief = make_blank_relief(80, 80)
    lay_limb(relief, _ball(500, 0))
    assert (relief.height < -100).all()


def test_the_side_to_the_lamp_is_brighter() -> None:
    relief = make_blank_relief(80, 80)
    lay_limb(relief, _ball(40, 0))
    cutout = shade(relief, Light(key=(-1, 0, 0.5)))
    assert cutout.colour[20, 13, 0] > cutout.colour[20, 27, 0]


def test_an_empty_relief_covers_nothing() -> None:
    assert not shade(make_blank_relief(80, 80), Light()).coverage.any()
