import io

import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.report.drawing import FALSE_NEGATIVE, FALSE_POSITIVE, draw_strip, error_map

GREY = np.full((60, 90, 3), 120, np.uint8)


def test_wrong_pixels_are_vermilion_and_lost_ones_blue() -> None:
    prediction, target = np.zeros((2, 60, 90), np.bool_)
    prediction[10:50, 5:30], target[10:50, 60:85] = True, True
    painted = error_map(GREY, prediction, target).astype(int)
    wrong, lost = painted[12:48, 8:27].reshape(-1, 3), painted[14:46, 64:81].reshape(-1, 3)
    for pixels, colour in ((wrong, FALSE_POSITIVE), (lost, FALSE_NEGATIVE)):
        flat = np.median(pixels, axis=0)
        assert np.abs(flat - (0.45 * 120 + 0.55 * np.array(colour))).max() <= 2


def test_both_errors_are_hatched_so_that_they_show_on_their_own_colour() -> None:
    prediction = np.zeros((60, 90), np.bool_)
    prediction[10:50, 5:85] = True
    for colour, masks in (
        (FALSE_POSITIVE, (prediction, ~prediction & False)),
        (FALSE_NEGATIVE, (~prediction & False, prediction)),
    ):
        same = np.full((60, 90, 3), colour, np.uint8)
        inner = error_map(same, *masks)[15:45, 10:80].reshape(-1, 3)
        assert len(np.unique(inner, axis=0)) > 1


def test_what_is_rightly_background_stays_as_it_is() -> None:
    nothing = np.zeros((60, 90), np.bool_)
    assert np.array_equal(error_map(GREY, nothing, nothing), GREY)


def test_drawing_does_not_change_the_photo() -> None:
    photo, everything = GREY.copy(), np.ones((60, 90), np.bool_)
    error_map(photo, everything, ~everything)
    assert np.array_equal(photo, GREY)


@pytest.mark.parametrize(
    ("shape", "strip"),
    [
        pytest.param((600, 400), (300, 4 * 200 + 18), id="scaled to the height"),
        pytest.param((60, 90), (60, 4 * 90 + 18), id="never enlarged"),
        pytest.param((100, 4000), (10, 4 * 400 + 18), id="scaled to the width"),
        pytest.param((1, 1), (1, 4 + 18), id="one pixel"),
        pytest.param((4000, 1), (300, 4 + 18), id="a line"),
    ],
)
def test_a_strip_has_four_panes(shape: tuple[int, int], strip: tuple[int, int]) -> None:
    image, mask = np.zeros((*shape, 3), np.uint8), np.ones(shape, np.bool_)
    drawn = draw_strip(image, mask, mask)
    assert drawn.shape == (*strip, 3)
    Pillow.fromarray(drawn).save(io.BytesIO(), "WEBP")
