"""Tables as text, Markdown, CSV or JSON, and side-by-side tables of runs and pickers."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from segqa.analysis.replay import find_flips, replay, replay_each
from segqa.errors import ProposalsError
from segqa.models.pickers import PICKERS, product
from segqa.runs.groups import Groups, number_groups
from segqa.runs.outcomes import Outcomes
from segqa.runs.run import Run
from segqa.stats.permutation_test import compute_t_interval
from segqa.support.escaping import to_line

Format: TypeAlias = Literal["text", "md", "csv", "json"]
Cell: TypeAlias = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A heading with rows. Floats are shown with four digits, and in full in CSV and JSON; None means unknown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def render(self, form: Format = "text") -> str:
        """Render the table in a format.

        >>> print(Table(("model", "mean IoU"), (("unet", 0.91671), ("x", None))).render("md"))
        | model | mean IoU |
        | :--- | ---: |
        | unet | 0.9167 |
        | x | – |
        """
        return {"text": self._text, "md": self._markdown, "csv": self._csv, "json": self._json}[form]()

    def format_cells(self) -> list[tuple[str, ...]]:
        """Return heading and rows as formatted strings."""
        return [self.columns, *(tuple(map(_format_cell, row)) for row in self.rows)]

    def exclude_column(self, name: str) -> Table:
        """Return a copy without a column.

        >>> Table(("model", "pick"), (("unet", "first"),)).exclude_column("pick").format_cells()
        [('model',), ('unet',)]
        """
        at = self.columns.index(name)
        head, *rows = (row[:at] + row[at + 1 :] for row in (self.columns, *self.rows))
        return Table(tuple(map(str, head)), tuple(rows))

    def _text(self) -> str:
        shown = self.format_cells()
        widths = [max(len(row[index]) for row in shown) for index in range(len(self.columns))]
        return "\n".join(self._line(row, widths) for row in shown)

    def _line(self, row: tuple[str, ...], widths: list[int]) -> str:
        aligned = [
            cell.ljust(width) if self._is_text(index) else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(aligned).rstrip()

    def _markdown(self) -> str:
        rule = [":---" if self._is_text(index) else "---:" for index in range(len(self.columns))]
        head, *body = ([_escape_markdown(cell) for cell in row] for row in self.format_cells())
        rows = [head, rule, *body]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _csv(self) -> str:
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if _unknown(cell) else cell for cell in row] for row in self.rows)
        return file.getvalue().rstrip("\n")

    def _json(self) -> str:
        rows = [[None if _unknown(cell) else cell for cell in row] for row in self.rows]
        objects = [dict(zip(self.columns, row, strict=True)) for row in rows]
        return json.dumps(objects, indent=2, ensure_ascii=False)

    def _is_text(self, index: int) -> bool:
        """Return whether a column holds text, which is left-aligned, rather than numbers."""
        return any(isinstance(row[index], str) for row in self.rows)


def _unknown(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _format_cell(cell: Cell) -> str:
    if _unknown(cell):
        return "–"
    return f"{cell:.4f}" if isinstance(cell, float) else to_line(str(cell))


def _escape_markdown(text: str) -> str:
    """Escape characters that would end a cell or row, or start a tag in Markdown."""
    for found, harmless in (("\\", "\\\\"), ("|", "\\|"), ("`", "\\`"), ("<", "&lt;"), ("@", "&#64;")):
        text = text.replace(found, harmless)
    return " ".join(text.split())


def line_up(runs: Sequence[Run], group_by: str = "") -> Table:
    """Compare models side by side: quality, confidence intervals, speed and size.

    Args:
        runs: the runs, one per row.
        group_by: a tag; the cases that share its value are one sample in the intervals of the runs that have it.
    """
    columns = ("model", "data set", "picked by", "cases", "mean IoU", "95 % interval", "zeros", "failing", "p05")
    return Table((*columns, "s a case", "weights kB"), tuple(_line(run, group_by) for run in runs))


def show_line_up(runs: Sequence[Run], group_by: str = "") -> list[tuple[str, ...]] | None:
    """Return heading and rows for a page; None for one run. The picker is omitted if no model offers a choice.

    Runs of one model on one data set are named by their ids.
    """
    if len(runs) < 2:
        return None
    table = line_up(runs, group_by)
    heading, *rows = (table if any(map(has_choice, runs)) else table.exclude_column("picked by")).format_cells()
    names = [row[0] if name == run.title else name for name, run, row in zip(name_runs(runs), runs, rows, strict=True)]
    return [heading, *((name, *row[1:]) for name, row in zip(names, rows, strict=True))]


def name_runs(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run of a page: model and data set, or the id where several runs have these."""
    titles = Counter(run.title for run in runs)
    return [run.title if titles[run.title] == 1 else run.id for run in runs]


def has_choice(run: Run) -> bool:
    """Return whether the model gave several masks for any case, so that a picker has a choice."""
    return bool((run.columns.offered > 1).any())


def pick_lab(run: Run) -> Table:
    """Evaluate a run under every picker; `better` and `worse` count the cases that pass or fail unlike in the run.

    `product` is omitted if it rejects the scores of a case.
    """
    columns = ("picked by", "mean IoU", "zeros", "failing", "recoverable", "regret", "better", "worse")
    ordered = sorted(_replays(run), key=lambda replayed: -np.nan_to_num(replayed.mean_iou, nan=-1.0))
    oracle = ("(oracle)", float(run.oracle_iou), None, None, None, 0.0, None, None)
    return Table(columns, (*(_lab_line(run, replayed) for replayed in ordered), oracle))


def _replays(run: Run) -> list[Run]:
    """Replay the run under every picker that accepts the scores of its proposals."""
    try:
        return replay_each(run, list(PICKERS))
    except ProposalsError:
        return replay_each(run, [name for name, picker in PICKERS.items() if picker is not product])


def flip_table(run: Run, pick: str) -> Table:
    """Return the cases whose result changes under another picker, the largest gain first."""
    replayed = replay(run, pick)
    rows = [
        (flip.before.case_id, flip.before.picked, flip.after.picked, run.iou(flip.before), replayed.iou(flip.after))
        for flip in find_flips(run, replayed)
    ]
    return Table(("case", f"{run.pick} picks", f"{pick} picks", "IoU before", "IoU after"), tuple(rows))


def find_groups(cases: Outcomes, tag: str) -> Groups | None:
    """Return for each case the number of its group by a tag, or None if no case has the tag."""
    return number_groups(cases, tag) if tag in cases.tags else None


def _line(run: Run, group_by: str) -> tuple[str | int | float | None, ...]:
    ious, groups = run.ious, find_groups(run.scored, group_by)
    mean = compute_t_interval(ious, groups).clip(0, 1)
    weights = run.provenance.get("weights_bytes")
    seconds = run.scored.seconds[run.scored.seconds > 0]
    return (
        run.model,
        run.dataset,
        run.pick if has_choice(run) else None,
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
    gains = [flip.gain for flip in find_flips(run, replayed)]
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
