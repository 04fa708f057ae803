"""The history of a training, epoch by epoch: a CSV file and an SVG chart."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from html import escape

_INK, _TRAIN, _VALIDATION, _GRID = "#333333", "#6b7f94", "#D55E00", "#dddddd"
_LEFT, _TOP, _WIDTH, _HEIGHT, _GAP, _BOTTOM = 52, 34, 300, 170, 70, 46


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch's figures.

    Attributes:
        epoch: from 1.
        train_loss: mean over the training cases, while they were learnt from.
        validation_loss: mean over the cases held out, after it.
        validation_iou: mean over the cases held out, at the training size.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_iou: float


@dataclass(frozen=True, slots=True)
class _Panel:
    """One diagram: its left edge, its title and the top of its scale, which begins at 0."""

    x: int
    title: str
    top: float


def best(history: Sequence[Epoch]) -> Epoch | None:
    """The epoch with the highest validation IoU, the first of equals."""
    return max(history, key=lambda epoch: epoch.validation_iou, default=None)


def to_csv(history: Sequence[Epoch]) -> str:
    """The history as a table, a row an epoch."""
    file = io.StringIO()
    table = csv.DictWriter(file, [field.name for field in fields(Epoch)], lineterminator="\n")
    table.writeheader()
    for epoch in history:
        table.writerow({key: value if key == "epoch" else f"{value:.6f}" for key, value in asdict(epoch).items()})
    return file.getvalue()


def to_svg(history: Sequence[Epoch], title: str) -> str:
    """Losses on the left and validation IoU on the right, over the epochs."""
    trained, validated = [one.train_loss for one in history], [one.validation_loss for one in history]
    ious = [one.validation_iou for one in history]
    losses = _Panel(_LEFT, "loss", max([*trained, *validated], default=0) * 1.05 or 1.0)
    scores = _Panel(_LEFT + _WIDTH + _GAP, "validation IoU, mean over cases", 1.0)
    parts = [_frame(losses, len(history)), _frame(scores, len(history))]
    parts += [_curve(losses, trained, _TRAIN, "training"), _curve(losses, validated, _VALIDATION, "validation")]
    parts += [_curve(scores, ious, _VALIDATION, ""), _legend(losses), _best_mark(scores, history)]
    width, height = scores.x + _WIDTH + 24, _TOP + _HEIGHT + _BOTTOM
    size = f'width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif" font-size="11">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>\n"


def _frame(panel: _Panel, epochs: int) -> str:
    """The title, the scale and the axis of a diagram."""
    middle = panel.x + _WIDTH / 2
    parts = [_text(middle, _TOP - 16, panel.title), _text(middle, _TOP + _HEIGHT + 36, "epoch")]
    for step in range(5):
        value = panel.top * step / 4
        y = _y(panel, value)
        line = f'<line x1="{panel.x}" y1="{y:.1f}" x2="{panel.x + _WIDTH}" y2="{y:.1f}" stroke="{_GRID}"/>'
        parts.append(line + _text(panel.x - 20, y + 4, f"{value:.2f}"))
    marked = sorted({1, epochs, *range(0, epochs, max(1, round(epochs / 5)))} - {0})
    parts += [_text(_x(panel, epoch, epochs), _TOP + _HEIGHT + 16, str(epoch)) for epoch in marked if epoch <= epochs]
    return "".join(parts)


def _curve(panel: _Panel, values: Sequence[float], colour: str, name: str) -> str:
    """One line with a dot an epoch; each dot says its value."""
    places = [(_x(panel, place, len(values)), _y(panel, value)) for place, value in enumerate(values, 1)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    line = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}">'
        f"<title>{escape(f'epoch {place} {name}'.strip())}: {value:.4f}</title></circle>"
        for place, ((x, y), value) in enumerate(zip(places, values, strict=True), 1)
    ]
    return line + "".join(dots)


def _legend(panel: _Panel) -> str:
    x = panel.x + _WIDTH - 40
    return _text(x, _TOP + 12, "training", _TRAIN) + _text(x, _TOP + 27, "validation", _VALIDATION)


def _best_mark(panel: _Panel, history: Sequence[Epoch]) -> str:
    """The number of the best epoch, above its dot or, near the top, below it."""
    top = best(history)
    if top is None:
        return ""
    x, y = _x(panel, top.epoch, len(history)), _y(panel, top.validation_iou)
    return _text(min(x, panel.x + _WIDTH - 14), y - 8 if y > _TOP + 20 else y + 18, f"{top.validation_iou:.4f}")


def _x(panel: _Panel, epoch: int, epochs: int) -> float:
    return panel.x + 8 + (_WIDTH - 16) * ((epoch - 1) / (epochs - 1) if epochs > 1 else 0.5)


def _y(panel: _Panel, value: float) -> float:
    return _TOP + _HEIGHT * (1 - value / panel.top)


def _text(x: float, y: float, text: str, colour: str = _INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{colour}">{escape(text)}</text>'
