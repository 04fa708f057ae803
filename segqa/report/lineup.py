"""A line-up shows runs side by side: several models over one data set, or one run under every picker."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from segqa.analysis.replay import flips, replay, replays
from segqa.errors import ProposalsError
from segqa.models.pickers import PICKERS, product
from segqa.report.table import Table
from segqa.runs.groups import Groups, group_numbers
from segqa.runs.outcomes import Outcomes
from segqa.runs.run import Run
from segqa.stats.permutation_test import t_interval


def line_up(runs: Sequence[Run], group_by: str = "") -> Table:
    """Set models side by side: how good, how sure of it, how fast, how large.

    Args:
        runs: one a line.
        group_by: a tag; the cases that share its value are one sample in the intervals of the runs that have it.
    """
    columns = ("model", "data set", "picked by", "cases", "mean IoU", "95 % interval", "zeros", "failing", "p05")
    return Table((*columns, "s a case", "weights kB"), tuple(_line(run, group_by) for run in runs))


def show_line_up(runs: Sequence[Run], group_by: str = "") -> list[tuple[str, ...]] | None:
    """Return heading and rows for a page; None for one run. Where no model offers a choice, no picker is named."""
    if len(runs) < 2:
        return None
    table = line_up(runs, group_by)
    return (table if any(map(has_choice, runs)) else table.without("picked by")).shown()


def has_choice(run: Run) -> bool:
    """Return whether the model gave several masks for any case, so that there was something to pick."""
    return bool((run.columns.offered > 1).any())


def pick_lab(run: Run) -> Table:
    """One run under every picker; `better` and `worse` count the cases that it decides otherwise than the run did.

    `product` is left out where it refuses the scores of a case.
    """
    columns = ("picked by", "mean IoU", "zeros", "failing", "recoverable", "regret", "better", "worse")
    ordered = sorted(_replays(run), key=lambda replayed: -np.nan_to_num(replayed.mean_iou, nan=-1.0))
    oracle = ("(oracle)", float(run.oracle_iou), None, None, None, 0.0, None, None)
    return Table(columns, (*(_lab_line(run, replayed) for replayed in ordered), oracle))


def _replays(run: Run) -> list[Run]:
    """The run under every picker that can choose by the scores of its proposals."""
    try:
        return replays(run, list(PICKERS))
    except ProposalsError:
        return replays(run, [name for name, picker in PICKERS.items() if picker is not product])


def flip_table(run: Run, pick: str) -> Table:
    """The cases that another picker decides otherwise, the greatest gain first."""
    replayed = replay(run, pick)
    rows = [
        (flip.before.case_id, flip.before.picked, flip.after.picked, run.iou(flip.before), replayed.iou(flip.after))
        for flip in flips(run, replayed)
    ]
    return Table(("case", f"{run.pick} picks", f"{pick} picks", "IoU before", "IoU after"), tuple(rows))


def groups_within(cases: Outcomes, tag: str) -> Groups | None:
    """Return for each case the number of its group by a tag; None where no case has the tag."""
    return group_numbers(cases, tag) if tag in cases.tags else None


def _line(run: Run, group_by: str) -> tuple[str | int | float | None, ...]:
    ious, groups = run.ious, groups_within(run.scored, group_by)
    mean = t_interval(ious, groups)
    weights = run.provenance.get("weights_bytes")
    seconds = run.scored.seconds[run.scored.seconds > 0]
    return (
        run.model,
        run.dataset,
        run.pick,
        run.tally if run.errors or run.missing else len(run.scored),
        float(run.mean_iou),
        None if math.isnan(mean.low) else f"{mean.low:.4f} to {mean.high:.4f}",
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
