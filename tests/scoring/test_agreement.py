"""Where other libraries mean the same by a metric, they agree; where not, the difference is known.

The table is in docs/decisions/what-the-metrics-mean.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from segqa.data.mask import Mask
from segqa.scoring.metrics import count, dice, hausdorff, hd95, iou, nsd
from segqa.testing import mask_pairs
from tests import pixels as slow
from tests.scoring.figures import Pair, stray_pixel, too_small

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{category}")
    for category in ("DeprecationWarning", "FutureWarning", "UserWarning")
]

PAIRS = mask_pairs(max_side=12)
PERCENTILES = st.sampled_from([50, 95, 100])
TOLERANCES = st.sampled_from([0, 1, 1.5, 2, 3])
NOTHING, SOMETHING = np.zeros((6, 7), np.bool_), np.pad(np.ones((2, 3), np.bool_), 2)

thorough = settings(deadline=None, max_examples=200)


class Monai:
    """MONAI's functions on masks: batches and channels of one."""

    def __init__(self) -> None:
        self.metrics = pytest.importorskip("monai.metrics")
        self.torch = pytest.importorskip("torch")

    def __call__(self, name: str, pair: Pair, *args: Any, **options: Any) -> float:
        tensors = [self.torch.from_numpy(np.ascontiguousarray(mask)).float()[None, None] for mask in pair]
        return float(getattr(self.metrics, f"compute_{name}")(*tensors, *args, include_background=True, **options))


class SurfaceDistance:
    """DeepMind's functions on masks, with pixels of size 1."""

    def __init__(self) -> None:
        self.library = pytest.importorskip("surface_distance")

    def __call__(self, name: str, pair: Pair, *args: float) -> float:
        between = self.library.compute_surface_distances(pair[1], pair[0], (1, 1))
        return float(getattr(self.library, f"compute_{name}")(between, *args))


@pytest.fixture(scope="module")
def monai() -> Monai:
    return Monai()


@pytest.fixture(scope="module")
def surface_distance() -> SurfaceDistance:
    return SurfaceDistance()


@pytest.fixture(scope="module")
def skimage() -> Any:
    pytest.importorskip("skimage.segmentation")
    return pytest.importorskip("skimage")


@thorough
@given(pair=PAIRS)
def test_monai_agrees_on_iou_and_dice(monai: Monai, pair: Pair) -> None:
    assert iou(*pair) == pytest.approx(monai("iou", pair, ignore_empty=False), abs=1e-6)
    assert dice(*pair) == pytest.approx(monai("dice", pair, ignore_empty=False), abs=1e-6)


@thorough
@given(pair=PAIRS, percentile=PERCENTILES)
def test_monai_agrees_on_hausdorff(monai: Monai, pair: Pair, percentile: float) -> None:
    assume(all(mask.any() for mask in pair))
    theirs = monai("hausdorff_distance", pair, percentile=percentile)
    assert hausdorff(*pair, percentile=percentile) == pytest.approx(theirs, abs=1e-5)


@thorough
@given(pair=PAIRS, tolerance=TOLERANCES)
def test_monai_agrees_on_nsd(monai: Monai, pair: Pair, tolerance: float) -> None:
    theirs = monai("surface_dice", pair, [tolerance])
    assert nsd(*pair, tolerance=tolerance, empty="nan") == pytest.approx(theirs, abs=1e-6, nan_ok=True)


@thorough
@given(pair=PAIRS)
def test_scikit_image_agrees_on_counts(skimage: Any, pair: Pair) -> None:
    p, t = (mask.astype(np.uint8) for mask in pair)
    table = skimage.metrics.contingency_table(t, p, normalize=False).toarray()
    table = np.pad(table, [(0, 2 - side) for side in table.shape])
    assert count(*pair) == (table[1, 1], table[0, 1], table[1, 0], table[0, 0])


@thorough
@given(pair=PAIRS)
def test_scikit_image_agrees_on_hausdorff_between_edges(skimage: Any, pair: Pair) -> None:
    assume(any(mask.any() for mask in pair))
    edges = [skimage.segmentation.find_boundaries(np.pad(mask, 1), connectivity=1, mode="inner") for mask in pair]
    assert hausdorff(*pair) == pytest.approx(skimage.metrics.hausdorff_distance(*edges), abs=1e-12)


@thorough
@given(pair=PAIRS)
def test_surface_distance_agrees_on_dice(surface_distance: SurfaceDistance, pair: Pair) -> None:
    assume(any(mask.any() for mask in pair))
    p, t = pair
    assert dice(*pair) == pytest.approx(surface_distance.library.compute_dice_coefficient(t, p), abs=1e-12)


@thorough
@given(pair=PAIRS)
def test_surface_distance_agrees_on_hausdorff_but_for_a_diagonal(surface_distance: SurfaceDistance, pair: Pair) -> None:
    assume(all(mask.any() for mask in pair))
    # its contour runs through corners of pixels: from each, half a diagonal to an edge pixel, and the other way round
    assert abs(hausdorff(*pair) - surface_distance("robust_hausdorff", pair, 100)) <= math.sqrt(2) + 1e-9


@thorough
@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    shift=st.integers(0, 8),
    axis=st.integers(0, 1),
)
def test_surface_distance_agrees_on_hausdorff_of_shifted_boxes(
    surface_distance: SurfaceDistance, height: int, width: int, shift: int, axis: int
) -> None:
    t = np.zeros((16, 16), np.bool_)
    t[1 : 1 + height, 1 : 1 + width] = True
    pair = np.roll(t, shift, axis), t
    assert hausdorff(*pair) == surface_distance("robust_hausdorff", pair, 100) == shift


@pytest.mark.parametrize(("prediction", "ours"), [(SOMETHING, 0), (NOTHING, 1)], ids=["hallucinated", "rightly empty"])
def test_monai_leaves_a_case_without_target_out_unless_told_otherwise(
    monai: Monai, prediction: Mask, ours: float
) -> None:
    pair = prediction, NOTHING
    assert math.isnan(monai("iou", pair))
    assert math.isnan(monai("dice", pair))
    assert iou(*pair) == dice(*pair) == ours


def test_monai_knows_no_percentile_where_one_mask_is_empty(monai: Monai) -> None:
    missed = NOTHING, SOMETHING
    assert monai("hausdorff_distance", missed) == hausdorff(*missed) == math.inf
    assert math.isnan(monai("hausdorff_distance", missed, percentile=95))
    assert hd95(*missed) == math.inf


def test_two_empty_masks_are_no_distance_apart_in_scikit_image_only(monai: Monai, skimage: Any) -> None:
    empty = NOTHING, NOTHING
    assert skimage.metrics.hausdorff_distance(*empty) == 0
    assert math.isnan(monai("hausdorff_distance", empty))
    assert math.isnan(hausdorff(*empty))


def test_scikit_image_measures_between_whole_masks(skimage: Any, surface_distance: SurfaceDistance) -> None:
    square = np.ones((9, 9), np.bool_)
    frame = square ^ np.pad(np.ones((7, 7), np.bool_), 1)
    assert skimage.metrics.hausdorff_distance(frame, square) == 4
    assert hausdorff(frame, square) == 0
    assert surface_distance("robust_hausdorff", (frame, square), 100) == 1


def test_scikit_image_sees_no_edge_at_the_border_of_the_image(skimage: Any) -> None:
    everything, dot = np.ones((9, 9), np.bool_), np.pad(np.ones((1, 1), np.bool_), 4)
    assert not skimage.segmentation.find_boundaries(everything, mode="inner").any()
    assert hausdorff(everything, dot) == 4 * math.sqrt(2)


def test_weights_of_corners_make_more_of_a_stray_pixel(surface_distance: SurfaceDistance, monai: Monai) -> None:
    # a fifth of the target's contour by length, but one of its nine edge pixels
    assert surface_distance("robust_hausdorff", stray_pixel(), 95) == pytest.approx(math.sqrt(128))
    assert hd95(*stray_pixel()) == pytest.approx(0.6 * math.sqrt(128))
    assert monai("hausdorff_distance", stray_pixel(), percentile=95) == pytest.approx(0.6 * math.sqrt(128))


def test_weights_of_corners_make_less_of_a_square_s_corners(surface_distance: SurfaceDistance, monai: Monai) -> None:
    root = math.sqrt(2)
    weighted = (2 * root + 4 + 12) / (2 * root + 4 + 2 * root + 12)
    assert surface_distance("surface_dice_at_tolerance", too_small(), 1) == pytest.approx(weighted)
    assert monai("surface_dice", too_small(), [1], use_subvoxels=True) == pytest.approx(weighted)
    assert nsd(*too_small(), tolerance=1) == 0.75


def test_a_percentile_of_both_directions_together_would_thin_a_stray_pixel_out() -> None:
    p, t = (slow.edge(slow.pixels(mask)) for mask in stray_pixel())
    pooled = sorted(slow.distances(p, t) + slow.distances(t, p))
    assert slow.percentile(pooled, 95) == pytest.approx(0.2 * math.sqrt(128))
    assert hd95(*stray_pixel()) == pytest.approx(0.6 * math.sqrt(128))
