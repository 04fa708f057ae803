import xml.etree.ElementTree as ET

import numpy as np
import pytest

from segqa.report.charts import bin_counts, histogram

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
    assert parse([0.5], title="<script>&").find(f"{SVG}title") is not None


def test_nothing_depends_on_a_style_sheet() -> None:
    assert "style=" not in histogram(np.array([0.5]), 0.7, "x")
