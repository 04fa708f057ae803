import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist

from segqa.errors import MaskError, SettingsError
from segqa.mask import Mask
from segqa.metrics import (
    Counts,
    TargetCounter,
    boundary_iou,
    count,
    count_inside,
    dice,
    hd95,
    iou,
    nsd,
    precision,
    recall,
    resolve,
)

Pixels = set[tuple[int, int]]

PAIRS = st.builds(
    lambda height, width, seed, density: tuple(np.random.default_rng(seed).random((2, height, width)) < density),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
)


def pixels(mask: Mask) -> Pixels:
    return {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}


def edge(mask: Mask) -> NDArray[np.intp]:
    """Slow: the pixels of a mask with a side neighbour that is not of it."""
    inside = pixels(mask)
    around = ((0, 1), (1, 0), (0, -1), (-1, 0))
    return np.array([(y, x) for y, x in sorted(inside) if any((y + b, x + a) not in inside for b, a in around)])


@given(PAIRS)
def test_counts_are_those_of_sets_of_pixels(pair: tuple[Mask, Mask]) -> None:
    p, t = map(pixels, pair)
    assert count(*pair) == Counts(len(p & t), len(p - t), len(t - p), pair[0].size - len(p | t))


@given(PAIRS)
def test_overlap_metrics_are_those_of_sets_of_pixels(pair: tuple[Mask, Mask]) -> None:
    p, t = map(pixels, pair)
    if p and t:
        assert iou(*pair) == pytest.approx(len(p & t) / len(p | t), abs=1e-15)
        assert dice(*pair) == pytest.approx(2 * len(p & t) / (len(p) + len(t)), abs=1e-15)
        assert precision(*pair) == pytest.approx(len(p & t) / len(p), abs=1e-15)
        assert recall(*pair) == pytest.approx(len(p & t) / len(t), abs=1e-15)


@pytest.mark.parametrize("metric", [iou, dice, precision, recall, boundary_iou])
def test_two_empty_masks_score_what_the_policy_says(metric: Callable[..., float]) -> None:
    nothing = np.zeros((4, 5), np.bool_)
    assert metric(nothing, nothing) == 1
    assert metric(nothing, nothing, empty="zero") == 0
    assert math.isnan(metric(nothing, nothing, empty="nan"))


@pytest.mark.parametrize("metric", [iou, dice, precision, recall, boundary_iou])
def test_one_empty_mask_scores_0_whatever_the_policy(metric: Callable[..., float]) -> None:
    nothing, something = np.zeros((4, 5), np.bool_), np.ones((4, 5), np.bool_)
    for empty in ("one", "zero", "nan"):
        assert metric(nothing, something, empty=empty) == 0
        assert metric(something, nothing, empty=empty) == 0


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(SettingsError, match="one, zero, nan, got 'two'"):
        resolve(math.nan, "two")  # type: ignore[arg-type]


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(MaskError, match=r"\(2, 2\) and \(2, 3\)"):
        iou(np.zeros((2, 2)), np.zeros((2, 3)))


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(MaskError, match="2-D"):
        iou(np.zeros((4, 4)), np.zeros((4, 4, 1)))
    with pytest.raises(MaskError, match="one shape"):
        iou(np.zeros((4, 4)), np.zeros((4, 1)))


def test_views_that_are_not_contiguous_are_counted_right() -> None:
    big = np.random.default_rng(0).random((40, 60)) > 0.5
    p, t = big[::2, ::3], big[1::2, 1::3].T.copy().T
    assert count(p, t).tp == int((p & t).sum())


def test_counts_add_up() -> None:
    assert Counts(1, 2, 3, 4) + Counts(10, 20, 30, 40) == Counts(11, 22, 33, 44)


@given(PAIRS)
def test_hd95_is_that_of_all_pairs_of_edge_pixels(pair: tuple[Mask, Mask]) -> None:
    p, t = map(edge, pair)
    if len(p) and len(t):
        between = cdist(p, t)
        slow = max(np.percentile(between.min(axis=1), 95), np.percentile(between.min(axis=0), 95))
        assert hd95(*pair) == pytest.approx(slow, abs=1e-5)


@given(PAIRS, st.sampled_from([0, 1, 1.5, 3]))
def test_nsd_is_that_of_all_pairs_of_edge_pixels(pair: tuple[Mask, Mask], tolerance: float) -> None:
    p, t = map(edge, pair)
    if len(p) and len(t):
        between = cdist(p, t)
        near = (between.min(axis=1) <= tolerance).sum() + (between.min(axis=0) <= tolerance).sum()
        assert nsd(*pair, tolerance=tolerance) == pytest.approx(near / (len(p) + len(t)))


def test_distances_of_empty_masks() -> None:
    nothing, something = np.zeros((4, 5), np.bool_), np.ones((4, 5), np.bool_)
    assert math.isnan(hd95(nothing, nothing))
    assert hd95(nothing, something) == math.inf
    assert nsd(nothing, nothing, tolerance=1) == 1
    assert nsd(nothing, something, tolerance=1) == 0


def test_hd95_of_a_shifted_square_is_the_shift() -> None:
    p, t = np.zeros((2, 30, 40), np.bool_)
    p[5:15, 5:15], t[5:15, 12:22] = True, True
    assert hd95(p, t) == 7


@given(PAIRS)
def test_boundary_iou_compares_what_erosion_takes_away(pair: tuple[Mask, Mask]) -> None:
    square = np.ones((3, 3), np.bool_)  # of these small pictures the band is one pixel wide
    bands = [mask & ~ndimage.binary_erosion(mask, square) for mask in pair]
    assert boundary_iou(*pair) == iou(*bands)


def test_boundary_iou_grows_its_band_with_the_image() -> None:
    p, t = np.zeros((2, 300, 400), np.bool_)
    p[50:250, 50:350], t[60:240, 60:340] = True, True
    # the diagonal is 500, so the band is 10 wide: p's band lies wholly outside of t
    assert boundary_iou(p, t) == 0
    assert boundary_iou(p, t, ratio=0.04) > 0.3


@pytest.mark.parametrize("ratio", [0, -1, math.nan])
def test_a_band_without_width_is_refused(ratio: float) -> None:
    with pytest.raises(SettingsError, match="ratio must be above 0"):
        boundary_iou(np.ones((3, 3)), np.ones((3, 3)), ratio=ratio)


@pytest.mark.parametrize("tolerance", [-1, math.nan])
def test_a_negative_tolerance_is_refused(tolerance: float) -> None:
    with pytest.raises(SettingsError, match="tolerance must be 0 or more"):
        nsd(np.ones((3, 3)), np.ones((3, 3)), tolerance=tolerance)


@given(PAIRS)
def test_counts_inside_leave_out_the_band_around_the_contour(pair: tuple[Mask, Mask]) -> None:
    p, t = pair
    square = np.ones((3, 3), np.bool_)
    core, reach = ndimage.binary_erosion(t, square), ndimage.binary_dilation(t, square)
    keep = core | ~reach
    assert count_inside(p, t) == Counts(
        int((p & t & keep).sum()), int((p & ~t & keep).sum()), int((~p & t & keep).sum()), int((~p & ~t & keep).sum())
    )


@given(PAIRS, PAIRS)
def test_many_predictions_are_counted_as_each_alone(first: tuple[Mask, Mask], second: tuple[Mask, Mask]) -> None:
    target = first[1]
    counter = TargetCounter.of(target)
    for prediction in (first[0], target, ~target, second[0]):
        if prediction.shape == target.shape:
            assert counter.count(prediction) == (count(prediction, target), count_inside(prediction, target))


def test_columns_and_slices_of_larger_arrays_are_counted() -> None:
    drawn = np.random.default_rng(0).random((40, 60)) > 0.5
    prediction, target = drawn[::2, ::3], drawn.T[:20, 20:40].T[:, :20]
    assert count(prediction, target) == count(prediction.copy(), target.copy())
    assert TargetCounter.of(target).count(prediction)[0] == count(prediction, target)
