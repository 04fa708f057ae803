import xml.etree.ElementTree as ET

import numpy as np
import pytest

from segqa.report.charts import bin_counts, changes, histogram, interval_axis, interval_bar, severity_curves

SVG = "{http://www.w3.org/2000/svg}"


def parse(ious: list[float], threshold: float = 0.7, title: str = "x") -> ET.Element:
    return ET.fromstring(histogram(np.array(ious, dtype=np.float64), threshold, title))  # noqa: S314 - our own


def test_exact_zeros_have_a_bar_of_their_own() -> None:
    zeros, bins = bin_counts(np.array([0.0, 0.0, 1e-9, 0.05, 0.9999, 1.0]))
    assert zeros == 2
    assert (bins[0], bins[1], bins[19]) == (1, 1, 2)


def test_every_case_is_in_a_bar() -> None:
    ious = np.random.default_rng(0).random(1000) * (np.arange(1000) % 3 > 0)
    zeros, bins = bin_counts(ious)
    assert zeros + sum(bins) == 1000


def test_bars_say_what_they_hold() -> None:
    titles = [node.text for node in parse([0.0, 0.0, 0.42]).iter(f"{SVG}title")]
    assert "IoU exactly 0: 2 cases" in titles
    assert "IoU 0.40 to 0.45: 1 case" in titles


def test_a_single_case_among_thousands_still_shows() -> None:
    heights = [int(node.get("height", 0)) for node in parse([0.0] + [0.9] * 9999).iter(f"{SVG}rect")]
    assert heights[0] >= 3


@pytest.mark.parametrize("ious", [[], [1.0], [0.0]])
def test_few_cases_make_a_chart_too(ious: list[float]) -> None:
    assert len(list(parse(ious).iter(f"{SVG}rect"))) == 21


def test_titles_are_escaped() -> None:
    assert parse([0.5], title='<script>&"').get("aria-label") == '<script>&"'


def test_nothing_depends_on_a_style_sheet() -> None:
    assert "style=" not in histogram(np.array([0.5]), 0.7, "x")


def test_a_baseline_is_a_line_of_steps() -> None:
    drawn = ET.fromstring(histogram(np.array([0.9]), 0.7, "x", before=np.array([0.1, 0.1])))  # noqa: S314 - our own
    _, line = drawn.iter(f"{SVG}polyline")
    heights = [float(point.split(",")[1]) for point in str(line.get("points")).split()]
    assert min(heights) < max(heights)
    assert not list(parse([0.9]).iter(f"{SVG}polyline"))


def test_bars_link_to_their_cases_and_empty_ones_do_not() -> None:
    drawn = ET.fromstring(histogram(np.array([0.0, 0.42]), 0.7, "x", link="#run=1&iou="))  # noqa: S314 - our own
    assert [link.get("href") for link in drawn.iter(f"{SVG}a")] == ["#run=1&iou=0", "#run=1&iou=0.40-0.45"]


def test_changes_are_drawn_and_noise_is_none() -> None:
    differences = np.array([-0.5, -0.2, -0.004, 0.0, 0.3])
    drawn = ET.fromstring(changes(differences, 0.005, "x"))  # noqa: S314 - our own
    assert [bar.get("fill") for bar in drawn.iter(f"{SVG}rect")] == ["#D55E00", "#D55E00", "#0072B2"]


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_changes_of_many_cases_make_a_small_picture(count: int) -> None:
    assert len(changes(np.ones(count), 0.005, "x")) < 40_000


def test_an_interval_reaches_from_low_to_high() -> None:
    drawn = ET.fromstring(interval_bar(0.5, 0.4, 0.6, 0.8, "x", axis=(0.0, 1.0)))  # noqa: S314 - our own
    rects = [(float(r.get("x", 0)), float(r.get("width", 0))) for r in drawn.iter(f"{SVG}rect")]
    assert rects[1] == (60.8, 28.4)
    nothing = ET.fromstring(interval_bar(np.nan, np.nan, np.nan, np.nan, "x", axis=(0.0, 1.0)))  # noqa: S314 - our own
    assert not list(nothing.iter(f"{SVG}circle"))


def test_slices_that_are_near_each_other_are_told_apart() -> None:
    means = (0.90, 0.91, 0.93)
    axis = interval_axis([*means, 0.89, 0.94, np.nan])
    drawn = [ET.fromstring(interval_bar(mean, 0.89, 0.94, 0.92, "x", axis=axis)) for mean in means]  # noqa: S314 - our own
    places = [float(circle.get("cx", 0)) for each in drawn for circle in each.iter(f"{SVG}circle")]
    assert axis == (0.85, 0.95)
    assert min(np.diff(places)) > 10


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        ([], (0.0, 1.0)),
        ([np.nan], (0.0, 1.0)),
        ([1.0, 1.0], (1.0, 1.05)),
        ([0.0], (0.0, 0.05)),
        ([-1, 2], (0.0, 1.0)),
    ],
)
def test_an_axis_has_a_length(values: list[float], axis: tuple[float, float]) -> None:
    assert interval_axis(values) == pytest.approx(axis)


def test_an_iou_on_an_edge_is_in_the_bin_above_it() -> None:
    edges = np.arange(1, 20) / 20
    for place, edge in enumerate(edges, start=1):
        assert bin_counts(np.array([edge]))[1][place] == 1


def test_curves_go_down_where_the_numbers_do_and_leave_out_what_is_none() -> None:
    drawn = ET.fromstring(severity_curves([0.9, 0.5, np.nan], [1.0, 0.6, 0.2], "<x>"))  # noqa: S314 - our own
    agreement, iou = (
        [float(p.split(",")[1]) for p in str(n.get("points")).split()] for n in drawn.iter(f"{SVG}polyline")
    )
    assert agreement == [10.0, 46.0, 82.0]
    assert iou == [19.0, 55.0]
    assert drawn.get("role") == "img"
    assert drawn.get("aria-label") == "<x>"
