"""What a failing assertion on a score says: the number, the bound, and the worst cases."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from segqa.run import Score

_INVERSE = {">=": "below", ">": "not above", "<=": "above", "<": "not below", "==": "not", "!=": "exactly"}
WORST = 5


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    """Explain a comparison whose left side was read off a run."""
    run = sys.modules.get("segqa.run")
    if run is None or op not in _INVERSE:
        return None
    if not isinstance(left, run.Score) or not isinstance(right, (int, float)):
        return None
    lines = _explain(left, f"is {_INVERSE[op]} {right:.4f}")
    report = getattr(config.option, "htmlpath", None)
    return [*lines, f"report: {os.path.relpath(report, config.invocation_params.dir)}"] if report else lines


def _explain(score: Score, verdict: str) -> list[str]:
    """The lines of an explanation; the first stands behind `assert`."""
    from segqa.run import describe

    run = score.of
    where = f" in {run.part}" if run.part and run.part not in score.name else ""
    lines = [f"{score.name}{where} {float(score):.4f} {verdict}", f"{run.title} ({run.tally}), picked by {run.pick}"]
    worst = run.worst(WORST)
    if worst:
        lines += [f"worst {len(worst)}:", *(f"  {describe(run, outcome)}" for outcome in worst)]
    return lines
