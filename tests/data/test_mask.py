import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segqa.data.mask import as_mask, pack_masks, resize_nearest, unpack_masks
from segqa.errors import MaskError


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_zeros_and_ones_of_any_type_are_a_mask(dtype: type) -> None:
    mask = as_mask(np.array([[0, 1], [1, 0]], dtype=dtype))
    assert mask.dtype == np.bool_
    assert mask.tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("value", [1, 255])
def test_an_array_of_one_value_is_a_mask(value: int) -> None:
    assert as_mask(np.full((2, 3), value)).all()
    assert not as_mask(np.zeros((2, 3))).any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param(np.zeros((3, 4, 4)), r"2-D .* got shape \(3, 4, 4\)", id="three dimensions"),
        pytest.param(np.zeros(4), r"2-D .* got shape \(4,\)", id="one dimension"),
        pytest.param([[0.0, np.nan]], "NaN", id="NaN"),
        pytest.param([[0.0, np.inf]], "got inf", id="infinite"),
        pytest.param([[0, 128]], "got 128", id="grey"),
        pytest.param([[0, 1, 255]], "both 1 and 255", id="two scales"),
        pytest.param([[0, -1]], "got -1", id="negative"),
        pytest.param([[0, 2]], "got 2", id="class numbers"),
        pytest.param([[0.5, 1.0]], r"got 0\.5; apply a cutoff", id="probabilities"),
        pytest.param([["a"]], "dtype", id="text"),
    ],
)
def test_what_is_not_a_mask_is_refused(values: object, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        as_mask(values)  # type: ignore[arg-type]


def test_resizing_takes_the_nearest_pixel_at_pixel_centres() -> None:
    mask = np.array([[True, False], [False, True]])
    assert np.array_equal(resize_nearest(mask, (4, 6)), mask.repeat(2, 0).repeat(3, 1))
    assert np.array_equal(resize_nearest(mask.repeat(3, 0).repeat(3, 1), (2, 2)), mask)


def test_a_mask_without_pixels_cannot_be_resized() -> None:
    with pytest.raises(MaskError, match="empty mask"):
        resize_nearest(np.zeros((0, 3), np.bool_), (2, 2))


@given(st.integers(0, 3), st.integers(1, 17), st.integers(1, 17), st.integers(0, 2**32 - 1))
def test_packing_loses_nothing(count: int, height: int, width: int, seed: int) -> None:
    masks = np.random.default_rng(seed).random((count, height, width)) > 0.5
    assert np.array_equal(unpack_masks(pack_masks(masks), masks.shape), masks)


def test_damaged_packed_masks_are_refused() -> None:
    packed = pack_masks(np.ones((1, 4, 4), np.bool_))
    with pytest.raises(MaskError, match="damaged"):
        unpack_masks(packed[:-3], (1, 4, 4))
    with pytest.raises(MaskError, match="needs 3"):
        unpack_masks(packed, (1, 4, 5))
