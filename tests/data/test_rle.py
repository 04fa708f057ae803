import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from segqa.data.mask import Mask
from segqa.data.rle import decode_mask, decode_runs, encode_mask
from segqa.errors import MaskError

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(MASKS)
def test_a_mask_comes_back(mask: Mask) -> None:
    assert np.array_equal(decode_mask(encode_mask(mask), (mask.shape[0], mask.shape[1])), mask)


@given(MASKS)
def test_the_text_is_that_of_pycocotools(mask: Mask) -> None:
    assert encode_mask(mask) == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


def test_long_runs_are_those_of_pycocotools() -> None:
    mask = np.zeros((900, 1200), np.bool_)
    mask[100:800, 3:1100] = True
    mask[300:310, 500:900] = False
    assert encode_mask(mask) == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


@pytest.mark.parametrize("text", ["", "8", "ooooo", "é", "2 2", "1m"])
def test_runs_that_do_not_fill_the_mask_are_refused(text: str) -> None:
    with pytest.raises(MaskError, match="do not fill a mask of shape"):
        decode_mask(text, (3, 3))


@given(MASKS)
def test_lengths_of_runs_are_the_mask(mask: Mask) -> None:
    edges = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=False)).tolist()
    lengths = np.diff([0, *edges, mask.size]).tolist()
    assert np.array_equal(decode_runs(lengths, (mask.shape[0], mask.shape[1])), mask)
