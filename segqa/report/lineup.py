"""A line-up shows runs side by side: several models over one data set, or one run under every picker."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from segqa.picking import PICKERS
from segqa.proposals import Floats
from segqa.replays import flips, replay, replays
from segqa.report.table import Table
from segqa.run import Run, mean_of


def line_up(runs: Sequence[Run]) -> Table:
    """Models side by side: how good, how sure of it, how fast, how large."""
    columns = ("model", "data set", "picked by", "cases", "mean IoU", "95 % interval", "zeros", "failing", "p05")
    return Table((*columns, "s a case", "weights kB"), tuple(_line(run) for run in runs))


def pick_lab(run: Run) -> Table:
    """One run under every picker; `better` and `worse` count the cases that it decides otherwise than the run did."""
    columns = ("picked by", "mean IoU", "zeros", "failing", "recoverable", "regret", "better", "worse")
    ordered = sorted(replays(run, list(PICKERS)), key=lambda replayed: -np.nan_to_num(replayed.mean_iou, nan=-1.0))
    oracle = ("(oracle)", float(run.oracle_iou), None, None, None, 0.0, None, None)
    return Table(columns, (*(_lab_line(run, replayed) for replayed in ordered), oracle))


def flip_table(run: Run, pick: str) -> Table:
    """The cases that another picker decides otherwise, the greatest gain first."""
    replayed = replay(run, pick)
    rows = [
        (flip.before.case_id, flip.before.picked, flip.after.picked, run.iou(flip.before), replayed.iou(flip.after))
        for flip in flips(run, replayed)
    ]
    return Table(("case", f"{run.pick} picks", f"{pick} picks", "IoU before", "IoU after"), tuple(rows))


def mean_interval(ious: Floats) -> tuple[float, float]:
    """The 95 % confidence interval of the mean over cases, by Student's t; NaN for less than two cases.

    >>> low, high = mean_interval(np.array([0.8, 0.9, 1.0]))
    >>> round(low, 4), round(high, 4)
    (0.6516, 1.1484)
    """
    if len(ious) < 2:
        return math.nan, math.nan
    half = float(special.stdtrit(len(ious) - 1, 0.975)) * float(np.std(ious, ddof=1)) / math.sqrt(len(ious))
    mean = mean_of(ious)
    return mean - half, mean + half


def _line(run: Run) -> tuple[str | int | float | None, ...]:
    ious = run.ious
    low, high = mean_interval(ious)
    weights = run.provenance.get("weights_bytes")
    seconds = run.scored.seconds[run.scored.seconds > 0]
    return (
        run.model,
        run.dataset,
        run.pick,
        run.tally if run.errors or run.missing else len(run.scored),
        float(run.mean_iou),
        None if math.isnan(low) else f"{low:.4f} to {high:.4f}",
        int((ious == 0).sum()),
        len(run.failures()),
        float(run.p05),
        float(np.median(seconds)) if len(seconds) else None,
        None if weights is None else round(weights / 1000),
    )


def _lab_line(run: Run, replayed: Run) -> tuple[str | int | float, ...]:
    gains = [flip.gain for flip in flips(run, replayed)]
    failed = replayed.failures()
    return (
        replayed.pick + (" (the run's)" if replayed.pick == run.pick else ""),
        float(replayed.mean_iou),
        int((replayed.ious == 0).sum()),
        len(failed),
        failed.recoverable,
        float(replayed.regret),
        sum(gain > 0 for gain in gains),
        sum(gain < 0 for gain in gains),
    )
