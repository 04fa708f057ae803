"""Severity: how mean IoU and agreement go down, or do not, as each change of the images gets more severe."""

from __future__ import annotations

from typing import Any

from segqa.analysis.robustness.perturbations import Change
from segqa.analysis.robustness.result import Robustness
from segqa.report.charts import severity_curves
from segqa.report.table import Cell, Table


def robustness_section(found: Robustness) -> dict[str, Any]:
    """What the template needs to know of a model's robustness."""
    curves = [_curves(found, change) for change in found.changes if not change.empties]
    blanks = [found.of(change.name) for change in found.changes if change.empties]
    return {
        "told": f"{len(found.trials)} changed images of {found.cases} cases",
        "left_out": len(found.left_out),
        "errors": sum(trial.kind == "error" for trial in found.trials),
        "command": f"segqa report {found.run} --open",
        "curves": curves,
        "blanks": [f"{sum(t.kind == 'hallucinated' for t in each.found)} of {len(each)}" for each in blanks],
        "table": _table(found).shown(),
    }


def _curves(found: Robustness, change: Change) -> dict[str, str]:
    """The chart of a change, with its name and what is done at its most severe."""
    most = change.describe(len(change.amounts))
    steps = [found.at(change.name, severity) for severity in change.severities]
    ious = [steps[0].before, *(float(step.iou) for step in steps)]
    agreements = [1.0, *(float(step.agreement) for step in steps)]
    told = ", ".join(
        f"severity {severity}: IoU {iou:.2f}, agreement {agreement:.2f}"
        for severity, (iou, agreement) in enumerate(zip(ious, agreements, strict=True))
    )
    return {
        "name": change.name,
        "capability": change.capability,
        "most": f"at most: {most}" if len(change.amounts) > 1 else most,
        "drawn": severity_curves(ious, agreements, f"{change.name}, mean IoU and agreement by severity: {told}"),
    }


def _table(found: Robustness) -> Table:
    """The numbers behind the charts."""
    columns = ("change", "severity", "what is done", "mean IoU", "drop", "agreement", "errors")
    rows: list[tuple[Cell, ...]] = []
    for change in found.changes:
        for severity in change.severities:
            trials = found.at(change.name, severity)
            numbers = [float(each) for each in (trials.iou, trials.drop, trials.agreement)]
            errors = sum(trial.kind == "error" for trial in trials.found)
            rows.append((change.name, severity, change.describe(severity), *numbers, errors))
    return Table(columns, tuple(rows))
