"""Charts: small SVG pictures, drawn by hand so that they need neither a plotting library nor a style sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import numpy as np

from segqa.proposals import Floats

BINS = 20
_LEFT, _TOP, _BAR, _GAP, _HEIGHT, _BOTTOM = 44, 38, 28, 3, 150, 46
_ZERO_GAP = 14
_WIDTH = _LEFT + (BINS + 1) * (_BAR + _GAP) + _ZERO_GAP + 16
_INK, _FILL, _ALERT = "#333333", "#6b7f94", "#D55E00"


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar: its left edge, count, colour, and what it holds in words."""

    x: int
    count: int
    colour: str
    range: str


def bin_counts(ious: Floats) -> tuple[int, list[int]]:
    """How many IoUs are exactly 0, and how many of the others lie in each of 20 equal bins from 0 to 1.

    >>> zeros, bins = bin_counts(np.array([0.0, 0.0, 0.01, 1.0]))
    >>> zeros, bins[0], bins[19]
    (2, 1, 1)
    """
    zero = ious == 0
    counts, _ = np.histogram(ious[~zero], bins=BINS, range=(0, 1))
    return int(zero.sum()), [int(count) for count in counts]


def histogram(ious: Floats, threshold: float, title: str) -> str:
    """The distribution of IoU as SVG: a bar of its own for exact zeros, 20 bins, heights on a square-root scale.

    Args:
        ious: float64 `[n]`, each from 0 to 1.
        threshold: a line is drawn there.
        title: for screen readers.
    """
    zeros, counts = bin_counts(ious)
    bars = [_Bar(_LEFT, zeros, _ALERT, "exactly 0")]
    bars += [
        _Bar(_x(index), n, _FILL, f"{index / BINS:.2f} to {(index + 1) / BINS:.2f}") for index, n in enumerate(counts)
    ]
    top = max(1, zeros, *counts)
    parts = [*(_bar(bar, top) for bar in bars), _axis(), _threshold(threshold)]
    height = _TOP + _HEIGHT + _BOTTOM
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif" font-size="11">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"


def _x(index: int) -> int:
    """The left edge of a bin's bar."""
    return _LEFT + (index + 1) * (_BAR + _GAP) + _ZERO_GAP


def _bar(bar: _Bar, top: int) -> str:
    """A bar with its count above it; the smallest count still shows."""
    height = 0 if bar.count == 0 else max(3, round(_HEIGHT * math.sqrt(bar.count / top)))
    y = _TOP + _HEIGHT - height
    cases = f"{bar.count} case{'' if bar.count == 1 else 's'}"
    rect = f'<rect x="{bar.x}" y="{y}" width="{_BAR}" height="{height}" fill="{bar.colour}"/>'
    label = _text(bar.x + _BAR / 2, y - 5, str(bar.count)) if bar.count else ""
    return f"<g><title>IoU {bar.range}: {cases}</title>{rect}{label}</g>"


def _axis() -> str:
    """The base line with its numbers."""
    y = _TOP + _HEIGHT
    line = f'<line x1="{_LEFT - 4}" y1="{y}" x2="{_WIDTH - 8}" y2="{y}" stroke="{_INK}"/>'
    ticks = [_text(_x(index) - _GAP / 2, y + 15, f"{index / BINS:.1f}") for index in range(0, BINS + 1, 2)]
    zero = _text(_LEFT + _BAR / 2, y + 15, "= 0")
    return line + zero + "".join(ticks) + _text(_x(BINS // 2), y + 36, "IoU of a case (counts on a square-root scale)")


def _threshold(threshold: float) -> str:
    """The line at the threshold."""
    x = _x(0) - _GAP / 2 + threshold * BINS * (_BAR + _GAP)
    ends = f'x1="{x:.1f}" y1="{_TOP - 20}" x2="{x:.1f}" y2="{_TOP + _HEIGHT}"'
    line = f'<line {ends} stroke="{_INK}" stroke-dasharray="4 3"/>'
    return line + _text(x, _TOP - 26, f"threshold {threshold:g}")


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{_INK}">{escape(text)}</text>'
