"""What a failing assertion on a score says: the number, the bound, and the worst cases."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segqa.run import Score

_INVERSE = {">=": "below", ">": "not above", "<=": "above", "<": "not below", "==": "not", "!=": "exactly"}
WORST = 5


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a comparison in which one side was read off a run."""
    run = sys.modules.get("segqa.run")
    if run is None or op not in _INVERSE:
        return None
    if isinstance(left, run.Score):
        return _explain(left, f"is {_INVERSE[op]} {float(str(right)):.4f}")
    if isinstance(right, run.Score):
        return _explain(right, f"({float(right):.4f}), as the right side of {left!r} {op} …, does not hold")
    return None


def _explain(score: Score, verdict: str) -> list[str]:
    """The lines of an explanation; the first stands behind `assert`."""
    from segqa.run import describe

    run = score.of
    lines = [f"{score.name} {float(score):.4f} {verdict}", f"{run.title} ({run.tally}), picked by {run.pick}"]
    worst = run.worst(WORST)
    if worst:
        lines += [f"worst {len(worst)}:", *(f"  {describe(run, outcome)}" for outcome in worst)]
    return lines
