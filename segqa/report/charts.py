"""SVG charts of the review page: IoU histogram, per-case changes, confidence intervals and severity curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from segqa.analysis.robustness.perturbations import Perturbation
from segqa.analysis.robustness.result import Robustness
from segqa.models.protocol import Floats
from segqa.report.tables import Cell, Table
from segqa.support.plurals import format_count

BINS = 20
_LEFT, _TOP, _BAR, _GAP, _HEIGHT, _BOTTOM = 44, 38, 28, 3, 150, 46
_ZERO_GAP = 14
_WIDTH = _LEFT + (BINS + 1) * (_BAR + _GAP) + _ZERO_GAP + 16
_INK, _FILL, _ALERT, _GOOD = "currentColor", "#6b7f94", "#D55E00", "#0072B2"
_COLUMNS = 240
_SPAN, _SLIM = 150, 16
_SMALL_LEFT, _SMALL_TOP, _SMALL_SPAN, _SMALL_HEIGHT = 30, 10, 120, 90


@dataclass(frozen=True, slots=True)
class _Bar:
    """A bar of the histogram: left edge, count, colour, label, and filter on the review page."""

    x: int
    count: int
    colour: str
    range: str
    filter: str


def bin_counts(ious: Floats) -> tuple[int, list[int]]:
    """Count the IoUs that are exactly 0, and the others in 20 equal bins from 0 to 1.

    >>> zeros, bins = bin_counts(np.array([0.0, 0.0, 0.01, 1.0]))
    >>> zeros, bins[0], bins[19]
    (2, 1, 1)
    """
    zero = ious == 0
    # not by `range`: its edges are a rounding error away from 0.15, 0.3 and 0.7, which IoUs do have
    counts, _ = np.histogram(ious[~zero], bins=np.arange(BINS + 1) / BINS)
    return int(zero.sum()), [int(count) for count in counts]


def histogram(ious: Floats, threshold: float, title: str, *, before: Floats | None = None, link: str = "") -> str:
    """Draw the IoU distribution as SVG: a separate bar for exact zeros and 20 bins, heights on a square-root scale.

    Args:
        ious: float64 `[n]`, each from 0 to 1.
        threshold: position of a vertical line.
        title: for screen readers.
        before: IoUs of a baseline, drawn as a step line.
        link: link target of the bars; each bar appends `0` or a range such as `0.20-0.25`.
    """
    bars, steps = _bars(ious), _bars(ious if before is None else before)
    top = max(1, *(bar.count for bar in bars), *(bar.count for bar in steps))
    drawn = "".join(_link_bar(_bar(bar, top), bar, link) for bar in bars)
    parts = [f'<g class="bars">{drawn}</g>', _axis(), _threshold(threshold)]
    if before is not None:
        parts.append(_steps(steps, top))
    height = _TOP + _HEIGHT + _BOTTOM
    role = "group" if link else "img"
    return _svg(_WIDTH, height, title, "".join(parts), role=role, name="histogram")


def changes(differences: Floats, noise: float, title: str) -> str:
    """Draw the per-case changes in IoU as SVG, from the largest drop to the largest gain.

    Args:
        differences: float64 `[n]`, each from -1 to 1.
        noise: changes up to this value are omitted.
        title: for screen readers.
    """
    ordered = np.sort(differences[np.abs(differences) > noise])
    places = np.unique(np.linspace(0, len(ordered) - 1, min(_COLUMNS, len(ordered))).round().astype(int))
    reach = max(0.05, float(np.abs(ordered).max(initial=0.0)))
    width, middle = 420, _TOP + _HEIGHT / 2
    step = (width - _LEFT - 16) / max(1, len(places))
    parts = []
    for column, value in enumerate(float(ordered[place]) for place in places):
        height = abs(value) / reach * _HEIGHT / 2
        colour = _ALERT if value < 0 else _GOOD
        y = middle if value < 0 else middle - height
        size = f'width="{max(0.8, step):.2f}" height="{max(0.5, height):.1f}"'
        parts.append(f'<rect x="{_LEFT + column * step:.2f}" y="{y:.1f}" {size} fill="{colour}"/>')
    parts.append(f'<line x1="{_LEFT}" y1="{middle}" x2="{width - 16}" y2="{middle}" stroke="{_INK}"/>')
    labels = ((_HEIGHT / 2, f"{-reach:+.2f}"), (0, "0"), (-_HEIGHT / 2, f"{reach:+.2f}"))
    parts += [_text(_LEFT - 22, middle + below + 4, label) for below, label in labels]
    return _svg(width, _TOP + _HEIGHT + _BOTTOM // 2, title, "".join(parts))


def interval_axis(values: Sequence[float]) -> tuple[float, float]:
    """Return the start and end of an axis for these numbers, rounded outwards to multiples of 0.05; NaN is ignored.

    >>> interval_axis([0.872, 0.913, math.nan])
    (0.85, 0.95)
    """
    known = [min(1.0, max(0.0, value)) for value in values if not math.isnan(value)]
    if not known:
        return 0.0, 1.0
    low = math.floor(min(known) * 20 + 1e-9)
    return low / 20, max(low + 1, math.ceil(max(known) * 20 - 1e-9)) / 20


def interval_bar(mean: float, low: float, high: float, overall: float, title: str, *, axis: tuple[float, float]) -> str:
    """Draw a mean with its interval as a small SVG, with a tick at the overall mean; NaN parts are omitted.

    Args:
        mean: from 0 to 1, as are the next three.
        low: where its interval begins.
        high: where it ends.
        overall: the mean over all cases.
        title: for screen readers.
        axis: values at the left and right end of the image, see `interval_axis`.
    """

    def place(value: float) -> float:
        return min(1.0, max(0.0, (value - axis[0]) / (axis[1] - axis[0]))) * (_SPAN - 8) + 4

    parts = [f'<rect x="0" y="6" width="{_SPAN}" height="4" fill="{_INK}" fill-opacity="0.15"/>']
    if not math.isnan(low):
        start, end = place(low), place(high)
        parts.append(f'<rect x="{start:.1f}" y="5" width="{max(1.0, end - start):.1f}" height="6" fill="{_FILL}"/>')
    if not math.isnan(overall):
        parts.append(f'<rect x="{place(overall):.1f}" y="1" width="1.5" height="14" fill="{_INK}"/>')
    if not math.isnan(mean):
        parts.append(f'<circle cx="{place(mean):.1f}" cy="8" r="4" fill="{_ALERT if mean < overall else _GOOD}"/>')
    return _svg(_SPAN + 4, _SLIM, title, "".join(parts))


def severity_curves(ious: Sequence[float], agreements: Sequence[float], title: str) -> str:
    """Draw mean IoU (solid) and mean agreement (dashed) by severity, from 0, as a small SVG.

    Args:
        ious: by severity, each from 0 to 1; NaN is left out.
        agreements: the same; at severity 0 it is 1.
        title: for screen readers.
    """
    step = _SMALL_SPAN / max(1, len(ious) - 1)
    bottom = _SMALL_TOP + _SMALL_HEIGHT
    parts = []
    for level in (0.0, 0.5, 1.0):
        y = bottom - level * _SMALL_HEIGHT
        ends = f'x1="{_SMALL_LEFT}" y1="{y:.1f}" x2="{_SMALL_LEFT + _SMALL_SPAN}" y2="{y:.1f}"'
        parts += [f'<line {ends} stroke="{_INK}" stroke-opacity="0.25"/>', _text(14, y + 4, f"{level:g}")]
    parts += [_text(_SMALL_LEFT + severity * step, bottom + 16, str(severity)) for severity in range(len(ious))]
    for values, colour, dash in ((agreements, _ALERT, ' stroke-dasharray="5 3"'), (ious, _GOOD, "")):
        places = [
            (_SMALL_LEFT + severity * step, bottom - value * _SMALL_HEIGHT)
            for severity, value in enumerate(values)
            if not math.isnan(value)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places]
    return _svg(_SMALL_LEFT + _SMALL_SPAN + 10, bottom + 22, title, "".join(parts))


def _svg(width: int, height: int, title: str, content: str, *, role: str = "img", name: str = "") -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    size += f' class="{name}"' if name else ""
    label = f'role="{role}" aria-label="{escape(title)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label} font-family="sans-serif" font-size="11">'
    return f"{head}{content}</svg>"


def _bars(ious: Floats) -> list[_Bar]:
    """Return the bar of the zeros, followed by those of the bins."""
    zeros, counts = bin_counts(ious)
    edges = [(index / BINS, (index + 1) / BINS) for index in range(BINS)]
    return [
        _Bar(_LEFT, zeros, _ALERT, "exactly 0", "0"),
        *(
            _Bar(_x(index), n, _FILL, f"{low:.2f} to {high:.2f}", f"{low:.2f}-{high:.2f}")
            for index, (n, (low, high)) in enumerate(zip(counts, edges, strict=True))
        ),
    ]


def _x(index: int) -> int:
    """Return the left edge of a bin's bar."""
    return _LEFT + (index + 1) * (_BAR + _GAP) + _ZERO_GAP


def _tall(count: int, top: int) -> int:
    """Return a bar's height; even the smallest count stays visible."""
    return 0 if count == 0 else max(3, round(_HEIGHT * math.sqrt(count / top)))


def _bar(bar: _Bar, top: int) -> str:
    """Draw a bar with its count above it."""
    height = _tall(bar.count, top)
    y = _TOP + _HEIGHT - height
    rect = f'<rect x="{bar.x}" y="{y}" width="{_BAR}" height="{height}" fill="{bar.colour}"/>'
    label = _text(bar.x + _BAR / 2, y - 5, str(bar.count), "count") if bar.count else ""
    return f"<g><title>{_format_bar(bar)}</title>{rect}{label}</g>"


def _link_bar(drawn: str, bar: _Bar, link: str) -> str:
    """Wrap the bar in a link to its cases, if it has a link target."""
    if not link or not bar.count:
        return drawn
    return f'<a href="{escape(link + bar.filter)}" aria-label="{_format_bar(bar)}">{drawn}</a>'


def _format_bar(bar: _Bar) -> str:
    return f"IoU {bar.range}: {format_count(bar.count, 'case')}"


def _steps(bars: list[_Bar], top: int) -> str:
    """Draw the outline of the bars with a label; the bar of zeros is separate."""
    steps = []
    for bar in bars:
        y = _TOP + _HEIGHT - _tall(bar.count, top)
        steps.append(f"{bar.x - _GAP / 2},{y} {bar.x + _BAR + _GAP / 2},{y}")
    lines = [steps[0], " ".join(steps[1:])]
    drawn = [f'<polyline points="{line}" fill="none" stroke="{_INK}" stroke-width="1.5"/>' for line in lines]
    return "".join(drawn) + _text(_x(2), 12, "line: baseline")


def _axis() -> str:
    """Draw the base line with its numbers."""
    y = _TOP + _HEIGHT
    line = f'<line x1="{_LEFT - 4}" y1="{y}" x2="{_WIDTH - 8}" y2="{y}" stroke="{_INK}"/>'
    # narrow pages omit every other number, and the 0.0 next to the bar of zeros
    ticks = [
        _text(_x(index) - _GAP / 2, y + 15, f"{index / BINS:.1f}", "tick" if index and index % 4 == 0 else "tick minor")
        for index in range(0, BINS + 1, 2)
    ]
    zero = _text(_LEFT + _BAR / 2, y + 15, "= 0", "tick")
    return (
        line
        + zero
        + "".join(ticks)
        + _text(_x(BINS // 2), y + 36, "IoU of a case (counts on a square-root scale)", "label")
    )


def _threshold(threshold: float) -> str:
    """Draw the line at the threshold."""
    x = _x(0) - _GAP / 2 + threshold * BINS * (_BAR + _GAP)
    ends = f'x1="{x:.1f}" y1="{_TOP - 20}" x2="{x:.1f}" y2="{_TOP + _HEIGHT}"'
    line = f'<line {ends} stroke="{_INK}" stroke-dasharray="4 3"/>'
    return line + _text(x, _TOP - 26, f"threshold {threshold:g}")


def _text(x: float, y: float, text: str, name: str = "") -> str:
    kind = f' class="{name}"' if name else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{_INK}"{kind}>{escape(text)}</text>'


def robustness_section(found: Robustness) -> dict[str, Any]:
    """Return the template values for a model's robustness."""
    curves = [_curves(found, change) for change in found.changes if not change.empties]
    blanks = [found.select_all(change.name) for change in found.changes if change.empties]
    return {
        "told": f"{format_count(len(found.trials), 'changed image')} of {format_count(found.cases, 'case')}",
        "left_out": len(found.left_out),
        "errors": sum(trial.kind == "error" for trial in found.trials),
        "command": f"segqa report {found.run} --open",
        "curves": curves,
        "blanks": [
            f"{sum(t.kind == 'hallucinated' for t in each.found)} of {format_count(len(each), 'blank image')}"
            for each in blanks
        ],
        "table": _table(found).format_cells(),
    }


def _curves(found: Robustness, change: Perturbation) -> dict[str, str]:
    """Return the chart of a corruption, with its name and its effect at the highest severity."""
    most = change.describe(len(change.amounts))
    steps = [found.select(change.name, severity) for severity in change.severities]
    ious = [steps[0].before, *(float(step.iou) for step in steps)]
    agreements = [1.0, *(float(step.agreement) for step in steps)]
    told = ", ".join(
        f"severity {severity}: IoU {iou:.2f}, agreement {agreement:.2f}"
        for severity, (iou, agreement) in enumerate(zip(ious, agreements, strict=True))
    )
    return {
        "name": change.name,
        "capability": change.capability,
        "most": f"at severity {len(change.amounts)}: {most}" if len(change.amounts) > 1 else most,
        "drawn": severity_curves(ious, agreements, f"{change.name}, mean IoU and agreement by severity: {told}"),
    }


def _table(found: Robustness) -> Table:
    """Return the numbers behind the charts as a table."""
    columns = ("change", "severity", "what is done", "mean IoU", "drop", "agreement", "errors")
    rows: list[tuple[Cell, ...]] = []
    for change in found.changes:
        for severity in change.severities:
            trials = found.select(change.name, severity)
            numbers = [float(each) for each in (trials.iou, trials.drop, trials.agreement)]
            errors = sum(trial.kind == "error" for trial in trials.found)
            rows.append((change.name, severity, change.describe(severity), *numbers, errors))
    return Table(columns, tuple(rows))
