import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segqa.data.mask import Mask
from segqa.errors import MaskError, SettingsError
from segqa.scoring.metrics import (
    METRIC_VERSION,
    Counts,
    TargetCounter,
    boundary_iou,
    compute_band_width,
    count,
    count_each,
    count_interior,
    dice,
    hausdorff,
    hd95,
    iou,
    nsd,
    precision,
    recall,
    resolve_empty,
)
from segqa.settings import EmptyPolicy
from segqa.testing import mask_pairs
from tests import pixels as slow

PAIRS = st.one_of(
    st.builds(
        lambda height, width, seed, density: tuple(np.random.default_rng(seed).random((2, height, width)) < density),
        st.integers(1, 9),
        st.integers(1, 9),
        st.integers(0, 2**32 - 1),
        st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    ),
    mask_pairs(max_side=12),
)
RATIOS = st.sampled_from([0.02, 0.1, 0.2, 0.35])


@given(PAIRS)
def test_counts_are_those_of_sets_of_pixels(pair: tuple[Mask, Mask]) -> None:
    p, t = map(slow.pixels, pair)
    assert count(*pair) == slow.counts(p, t, pair[0].size)


@given(PAIRS)
def test_overlap_metrics_are_those_of_sets_of_pixels(pair: tuple[Mask, Mask]) -> None:
    p, t = map(slow.pixels, pair)
    if p or t:
        assert iou(*pair) == slow.iou(p, t)
        assert dice(*pair) == pytest.approx(slow.dice(p, t), abs=1e-15)
    if p and t:
        assert precision(*pair) == len(p & t) / len(p)
        assert recall(*pair) == len(p & t) / len(t)


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
        resolve_empty(math.nan, "two")  # type: ignore[arg-type]


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


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (2, 2), (1, 70_000), (0, 3), (3, 0)])
def test_masks_of_any_shape_are_counted(shape: tuple[int, int]) -> None:
    p, t = np.random.default_rng(1).random((2, *shape)) > 0.5
    wanted = tuple(int(each.sum()) for each in (p & t, p & ~t, ~p & t, ~p & ~t))
    assert count(p, t) == TargetCounter.from_target(t).count(p)[0] == wanted


def test_a_band_of_any_width_is_left_out() -> None:
    whole = np.ones((700, 700), np.bool_)
    width = compute_band_width(whole.shape, 0.2)
    assert TargetCounter.from_target(whole, 0.2).areas == (700**2, (700 - 2 * width) ** 2, 700**2)


def test_counts_add_up() -> None:
    assert Counts(1, 2, 3, 4) + Counts(10, 20, 30, 40) == Counts(11, 22, 33, 44)
    assert Counts(1, 2, 3, 4) + Counts(1, 2, 3, 4) == Counts(2, 4, 6, 8)


@given(PAIRS, st.sampled_from([0, 50, 95, 99.5, 100]))
def test_hausdorff_is_that_of_sets_of_pixels(pair: tuple[Mask, Mask], percentile: float) -> None:
    p, t = map(slow.pixels, pair)
    if p and t:
        assert hausdorff(*pair, percentile=percentile) == pytest.approx(slow.hausdorff(p, t, percentile), abs=1e-12)


@given(PAIRS)
def test_hd95_is_the_95th_percentile(pair: tuple[Mask, Mask]) -> None:
    p, t = map(slow.pixels, pair)
    if p and t:
        assert hd95(*pair) == pytest.approx(slow.hausdorff(p, t, 95), abs=1e-12)


@given(PAIRS, st.sampled_from([0, 1, math.sqrt(2), 1.5, np.sqrt(5), 3]))
def test_nsd_is_that_of_sets_of_pixels(pair: tuple[Mask, Mask], tolerance: float) -> None:
    p, t = map(slow.pixels, pair)
    if p and t:
        assert nsd(*pair, tolerance=tolerance) == slow.nsd(p, t, tolerance)


@given(st.integers(0, 40), st.integers(0, 40))
def test_what_is_just_as_far_as_the_tolerance_is_within_it(rows: int, columns: int) -> None:
    p, t = np.zeros((2, 41, 41), np.bool_)
    p[0, 0] = t[rows, columns] = True
    away = rows**2 + columns**2
    # a numpy scalar is compared in double precision, in which a root taken in single precision may be too large
    assert nsd(p, t, tolerance=np.sqrt(away)) == nsd(p, t, tolerance=math.sqrt(away)) == 1


def test_distances_are_exact_in_large_pictures() -> None:
    p, t = np.zeros((2, 1201, 1602), np.bool_)
    p[0, 0] = t[1200, 1601] = True
    assert hausdorff(p, t) == math.sqrt(1200**2 + 1601**2)


@pytest.mark.parametrize("percentile", [-1, 100.5, math.nan])
def test_a_percentile_that_is_none_is_refused(percentile: float) -> None:
    with pytest.raises(SettingsError, match="percentile must be from 0 to 100, got"):
        hausdorff(np.ones((3, 3)), np.ones((3, 3)), percentile=percentile)


def test_distances_of_empty_masks() -> None:
    nothing, something = np.zeros((4, 5), np.bool_), np.ones((4, 5), np.bool_)
    assert math.isnan(hd95(nothing, nothing))
    assert hd95(nothing, something) == hd95(something, nothing) == math.inf
    assert nsd(nothing, nothing, tolerance=1) == 1
    assert nsd(nothing, something, tolerance=1) == nsd(something, nothing, tolerance=1) == 0


def test_hausdorff_of_a_shifted_square_is_the_shift() -> None:
    p, t = np.zeros((2, 30, 40), np.bool_)
    p[5:15, 5:15], t[5:15, 12:22] = True, True
    assert hausdorff(p, t) == hd95(p, t) == 7


@given(PAIRS, RATIOS)
def test_boundary_iou_is_that_of_sets_of_pixels(pair: tuple[Mask, Mask], ratio: float) -> None:
    p, t = (slow.band(slow.pixels(mask), compute_band_width(mask.shape, ratio)) for mask in pair)
    assert boundary_iou(*pair, ratio=ratio) == (slow.iou(p, t) if p or t else 1)


@pytest.mark.parametrize(
    ("shape", "ratio", "width"), [((3, 4), 0.02, 1), ((300, 400), 0.02, 10), ((3, 4), 0.5, 2), ((3, 4), 0.7, 4)]
)
def test_a_band_is_a_share_of_the_diagonal_rounded(shape: tuple[int, int], ratio: float, width: int) -> None:
    assert compute_band_width(shape, ratio) == width


def test_boundary_iou_grows_its_band_with_the_image() -> None:
    p, t = np.zeros((2, 300, 400), np.bool_)
    p[50:250, 50:350], t[60:240, 60:340] = True, True
    # the diagonal is 500, so the band is 10 wide: p's band lies wholly outside of t
    assert boundary_iou(p, t) == 0
    assert boundary_iou(p, t, ratio=0.04) > 0.3


@pytest.mark.parametrize("ratio", [0, -1, math.nan, math.inf])
def test_a_band_without_width_is_refused(ratio: float) -> None:
    with pytest.raises(SettingsError, match="ratio must be above 0"):
        boundary_iou(np.ones((3, 3)), np.ones((3, 3)), ratio=ratio)


@pytest.mark.parametrize("tolerance", [-1, math.nan])
def test_a_negative_tolerance_is_refused(tolerance: float) -> None:
    with pytest.raises(SettingsError, match="tolerance must be 0 or more"):
        nsd(np.ones((3, 3)), np.ones((3, 3)), tolerance=tolerance)


@given(PAIRS, RATIOS)
def test_counts_inside_leave_out_the_band_around_the_contour(pair: tuple[Mask, Mask], ratio: float) -> None:
    p, t = map(slow.pixels, pair)
    width = compute_band_width(pair[0].shape, ratio)
    near = slow.band(t, width) | (slow.around(t, width) - t) & slow.pixels(np.ones_like(pair[0]))
    assert count_interior(*pair, ratio) == slow.counts(p - near, t - near, pair[0].size - len(near))


@given(PAIRS, PAIRS)
def test_many_predictions_are_counted_as_each_alone(first: tuple[Mask, Mask], second: tuple[Mask, Mask]) -> None:
    target = first[1]
    counter = TargetCounter.from_target(target)
    for prediction in (first[0], target, ~target, second[0]):
        if prediction.shape == target.shape:
            assert counter.count(prediction) == (count(prediction, target), count_interior(prediction, target))


@given(PAIRS, PAIRS)
def test_all_of_some_predictions_are_counted_at_once(first: tuple[Mask, Mask], second: tuple[Mask, Mask]) -> None:
    target = first[1]
    some = [each for each in (first[0], ~target, second[0]) if each.shape == target.shape]
    assert count_each(some, target) == [
        slow.counts(slow.pixels(each), slow.pixels(target), target.size) for each in some
    ]
    assert count_each(np.stack(some), target) == count_each([each.astype(int) * 255 for each in some], target)
    assert count_each([], target) == []


def test_one_of_another_shape_is_refused() -> None:
    target = np.ones((3, 4), np.bool_)
    for refused in (
        lambda: count_each([target, target.T], target),
        lambda: TargetCounter.from_target(target).count(np.ones((3, 5), np.bool_)),
        lambda: TargetCounter.from_target(target).count(target.T),
    ):
        with pytest.raises(MaskError, match=r"must have one shape, got \(\d, \d\) and \(3, 4\); resize one of them"):
            refused()


def test_columns_and_slices_of_larger_arrays_are_counted() -> None:
    drawn = np.random.default_rng(0).random((40, 60)) > 0.5
    prediction, target = drawn[::2, ::3], drawn.T[:20, 20:40].T[:, :20]
    assert count(prediction, target) == count(prediction.copy(), target.copy())
    assert TargetCounter.from_target(target).count(prediction)[0] == count(prediction, target)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_masks_without_pixels_are_empty(shape: tuple[int, int]) -> None:
    nothing = np.zeros(shape, np.bool_)
    assert iou(nothing, nothing) == boundary_iou(nothing, nothing) == nsd(nothing, nothing, tolerance=1) == 1
    assert math.isnan(hd95(nothing, nothing))
    assert TargetCounter.from_target(nothing).count(nothing) == (Counts(0, 0, 0, 0), Counts(0, 0, 0, 0))


@pytest.mark.parametrize(
    ("shape", "ratio", "width"),
    [((300, 400), 0.02, 10), ((30, 40), 0.02, 1), ((3, 4), 0.02, 1), ((60, 80), 0.024, 2), ((60, 80), 0.026, 3)],
)
def test_a_band_is_as_wide_as_its_share_of_the_diagonal(shape: tuple[int, int], ratio: float, width: int) -> None:
    assert compute_band_width(shape, ratio) == width


def test_a_band_is_two_percent_of_the_diagonal_by_default() -> None:
    p, t = np.random.default_rng(3).random((2, 300, 400)) < 0.999
    assert compute_band_width((300, 400)) == compute_band_width((300, 400), 0.02)
    assert boundary_iou(p, t) == boundary_iou(p, t, ratio=0.02) != boundary_iou(p, t, ratio=0.022)
    assert count_interior(p, t) == count_interior(p, t, 0.02) != count_interior(p, t, 0.022)


@given(PAIRS, st.sampled_from([0.15, 0.3, 0.6]))
def test_wider_bands_are_what_wider_erosion_takes_away(pair: tuple[Mask, Mask], ratio: float) -> None:
    p, t = pair
    width = max(1, round(ratio * math.hypot(*p.shape)))
    square = np.ones((2 * width + 1, 2 * width + 1), np.bool_)
    bands = [mask & ~ndimage.binary_erosion(mask, square) for mask in pair]
    assert boundary_iou(*pair, ratio=ratio) == iou(*bands)
    keep = ndimage.binary_erosion(t, square) | ~ndimage.binary_dilation(t, square)
    assert count_interior(p, t, ratio) == tuple(
        int((a & b & keep).sum()) for a, b in ((p, t), (p, ~t), (~p, t), (~p, ~t))
    )


@pytest.mark.parametrize("place", [(0, 0), (0, 7), (7, 0), (7, 7), (3, 4)])
def test_a_pixel_has_its_distance_wherever_it_is(place: tuple[int, int]) -> None:
    p, t = np.zeros((2, 8, 8), np.bool_)
    p[place], t[5, 2] = True, True
    assert hd95(p, t) == pytest.approx(math.hypot(place[0] - 5, place[1] - 2))
    assert hd95(p, p) == 0
    assert nsd(p, t, tolerance=hd95(p, t)) == 1


def test_distances_count_in_both_directions() -> None:
    small, large = np.zeros((2, 40, 40), np.bool_)
    small[10, 10], large[10, 10:30] = True, True
    far = np.percentile(np.arange(20), 95)
    assert hd95(small, large) == hd95(large, small) == pytest.approx(far)
    assert nsd(small, large, tolerance=3) == nsd(large, small, tolerance=3) == 5 / 21


@pytest.mark.parametrize("empty", ["one", "zero", "nan"])
def test_surface_distance_of_two_empty_masks_is_what_the_policy_says(empty: EmptyPolicy) -> None:
    nothing, something = np.zeros((4, 5), np.bool_), np.ones((4, 5), np.bool_)
    assert nsd(nothing, nothing, tolerance=0, empty=empty) == pytest.approx(resolve_empty(math.nan, empty), nan_ok=True)
    assert nsd(nothing, something, tolerance=0, empty=empty) == nsd(something, nothing, tolerance=0, empty=empty) == 0
    assert nsd(nothing, something, tolerance=math.inf, empty=empty) == 0
    assert hd95(something, nothing) == math.inf


def test_counts_have_areas_and_an_order() -> None:
    counts = Counts(tp=1, fp=2, fn=4, tn=8)
    assert (counts.predicted, counts.target, tuple(counts)) == (3, 5, (1, 2, 4, 8))
    assert [counts.iou, counts.dice, counts.precision, counts.recall] == [1 / 7, 2 / 8, 1 / 3, 1 / 5]


def test_pixels_are_whole_numbers() -> None:
    p, t = np.random.default_rng(0).random((2, 30, 40)) > 0.5
    counts = (count(p, t), *TargetCounter.from_target(t).count(p))
    assert {type(number) for each in counts for number in each} == {int}


def test_the_version_stays_as_long_as_every_score_does() -> None:
    rows, columns = np.mgrid[:60, :80]
    p = (rows - 28) ** 2 + (columns - 40) ** 2 < 400
    t = (rows - 30) ** 2 / 2 + (columns - 37) ** 2 < 300
    assert METRIC_VERSION == 2, "baselines are kept for scores of this version"
    assert count(p, t) == Counts(1093, 152, 238, 3317)
    assert count_interior(p, t) == Counts(941, 68, 70, 3049)
    assert boundary_iou(p, t) == 19 / 135
    assert (hd95(p, t), nsd(p, t, tolerance=2)) == (7, 58 / 152)


def test_what_was_counted_cannot_be_changed() -> None:
    counter = TargetCounter.from_target(np.ones((3, 4), np.bool_))
    for made, name, error in ((Counts(1, 2, 3, 4), "tp", AttributeError), (counter, "areas", FrozenInstanceError)):
        with pytest.raises(error):
            setattr(made, name, 0)
        assert not hasattr(made, "__dict__")
    assert counter != TargetCounter.from_target(np.ones((3, 4), np.bool_))
    assert len({Counts(1, 2, 3, 4), Counts(1, 2, 3, 4)}) == 1
