"""Explain a failing assertion on a score: the number, the bound, and the worst cases."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import pytest

from segqa.plugin.context import find_session, shorten_path
from segqa.support.escaping import to_line

if TYPE_CHECKING:
    from segqa.runs.run import Run, Score

NOTES = pytest.StashKey[list[str]]()
"""Notes to add to the failure. They are no part of the explanation, which pytest may cut off in a command."""

SHOWN_RUN: pytest.StashKey[Run | None] = pytest.StashKey()
"""The run, or the slice of one, that the last assertion compared."""

_ORDERS = frozenset(["<", "<=", ">", ">="])
WORST = 5


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    """Explain a comparison whose left side is a score of a run or of a robustness measurement."""
    run, trial = sys.modules.get("segqa.runs.run"), sys.modules.get("segqa.analysis.robustness.stability")
    if op not in _ORDERS or not isinstance(right, (int, float)):
        return None
    if trial is not None and isinstance(left, trial.Reading):
        config.stash[NOTES] = list(left.hints)
        return [*map(to_line, (f"{left.name} {_describe_position(left, float(right))}", *left.lines))]
    if run is None or not isinstance(left, run.Score):
        return None
    session = find_session(config)
    page = session.page if session else None
    config.stash[NOTES] = [
        *([f"just these: {left.of.how_to_repeat}"] if left.of.condition else []),
        *([f"review: {shorten_path(page, config)}"] if page else []),
    ]
    config.stash[SHOWN_RUN] = left.of
    return [*map(to_line, _explain(left, float(right)))]


def _explain(score: Score, bound: float) -> list[str]:
    """Return the lines of an explanation; pytest prints the first after `assert`."""
    from segqa.runs.run import describe

    run = score.of
    where = f" in {run.part}" if run.part and run.part not in score.name else ""
    lines = [
        f"{score.name}{where} {_describe_position(score, bound)}",
        f"{run.title} ({run.tally}), picked by {run.pick}",
    ]
    # errors have a budget and a test of their own: here they would push out what the number is made of
    worst = run.worst(len(run.outcomes))
    worst = (worst if run.part == "errors" else worst.take(~worst.failed))[:WORST]
    if worst:
        lines += [f"worst {len(worst)}:", *(f"  {describe(run, outcome)}" for outcome in worst)]
    return lines


def _describe_position(score: float, bound: float) -> str:
    """Describe the position of a score relative to its bound, also if the comparison holds: `not` may precede it."""
    if math.isnan(score):
        return f"is undefined, nothing was scored (bound {bound:.4f})"
    side = "below" if score < bound else "above" if score > bound else "exactly"
    return f"{float(score):.4f} is {side} {bound:.4f}"
