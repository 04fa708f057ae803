"""Values printed in the literature are met for the masks that they are printed for.

Reinke et al., Understanding metric-related pitfalls in image analysis validation, Nature Methods 2024, with its
supplementary notes (SN). The masks, values and numbers of the figures are those that the authors of Metrics Reloaded
(Maier-Hein et al., Nature Methods 2024) test their own library with.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from segqa.data.mask import Mask
from segqa.scoring.metrics import boundary_iou, dice, hausdorff, hd95, iou, nsd, precision, recall
from tests.scoring.figures import Pair, a_row_short, spikes, stray_pixel, too_large, too_small

Metric = Callable[[Mask, Mask], float]


def of_counts(tp: int, fn: int, fp: int, tn: int) -> Pair:
    """A row of pixels with these counts; nothing else matters to some figures."""
    return np.repeat([[True, False, True, False]], [tp, fn, fp, tn], 1), np.repeat(
        [[True, False]], [tp + fn, fp + tn], 1
    )


def nsd_within(tolerance: float) -> Metric:
    return lambda p, t: nsd(p, t, tolerance=tolerance)


def boundary_iou_of(width: int) -> Metric:
    return lambda p, t: boundary_iou(p, t, ratio=width / math.hypot(*t.shape))


PRINTED = {
    "SN 2.9 left, PPV": (of_counts(45, 5, 10, 40), precision, "0.82"),
    "SN 2.9 left, F1": (of_counts(45, 5, 10, 40), dice, "0.86"),
    "SN 2.9 right, PPV": (of_counts(81, 9, 2, 8), precision, "0.98"),
    "SN 2.9 right, F1": (of_counts(81, 9, 2, 8), dice, "0.94"),
    "SN 2.17 left, sensitivity": (of_counts(3, 0, 3, 94), recall, "1.00"),
    "SN 2.17 right, sensitivity": (of_counts(0, 3, 0, 97), recall, "0.00"),
    "27a, sensitivity": (of_counts(40, 30, 1, 0), recall, "0.57"),
    "10, IoU": (spikes(), iou, "0.76"),
    "10, DSC": (spikes(), dice, "0.862"),
    "10, NSD at 1": (spikes(), nsd_within(1), "0.89"),
    "10, NSD at 2": (spikes(), nsd_within(2), "1.0"),
    "SN 2.10 left, HD": (too_small(), hausdorff, "1.41"),
    "SN 2.10 left, NSD at 1": (too_small(), nsd_within(1), "0.75"),
    "SN 2.10 right, HD": (too_large(), hausdorff, "1.41"),
    "SN 2.10 right, NSD at 1": (too_large(), nsd_within(1), "0.875"),
    "SN 2.12, boundary IoU at 1": (a_row_short(), boundary_iou_of(1), "0.6"),
    "SN 2.12, boundary IoU at 2": (a_row_short(), boundary_iou_of(2), "0.8"),
    "5c, HD": (stray_pixel(), hausdorff, "11.31"),
    "5c, HD95": (stray_pixel(), hd95, "6.79"),
}


@pytest.mark.parametrize(("pair", "metric", "printed"), PRINTED.values(), ids=PRINTED)
def test_a_printed_value_is_met_to_its_last_digit(pair: Pair, metric: Metric, printed: str) -> None:
    assert f"{metric(*pair):.{len(printed.partition('.')[2])}f}" == printed


@pytest.mark.parametrize(
    ("pair", "metric", "exact"),
    [
        (spikes(), iou, 25 / 33),
        (spikes(), dice, 50 / 58),
        (spikes(), nsd_within(1), 32 / 36),
        (too_small(), nsd_within(1), 12 / 16),
        (too_large(), nsd_within(1), 28 / 32),
        (a_row_short(), boundary_iou_of(1), 53 / 89),
        (a_row_short(), boundary_iou_of(2), 117 / 151),
        (stray_pixel(), hausdorff, math.sqrt(128)),
        (stray_pixel(), hd95, 0.6 * math.sqrt(128)),
    ],
)
def test_what_is_printed_is_this_fraction_or_root(pair: Pair, metric: Metric, exact: float) -> None:
    assert metric(*pair) == pytest.approx(exact, rel=1e-15)
