"""A gap: a spike of cases near zero, and hardly any between it and the rest. Then two things are mixed in one mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segqa.runs.failure_kinds import WRONG_OBJECT_IOU
from segqa.runs.run import Run
from segqa.support.plurals import format_count, select_form

_BIN = 0.05
_MIN_SPIKE = 3
_MIN_WIDTH = 4
_SPARSE = 0.2


@dataclass(frozen=True, slots=True)
class Gap:
    """A spike at zero that is separated from the rest of the histogram.

    Attributes:
        spike: cases with an IoU below 0.05.
        scored: cases with an IoU.
        upper: where the gap ends; it begins at 0.05.
        between: cases in the gap.
    """

    spike: int
    scored: int
    upper: float
    between: int

    def __str__(self) -> str:
        """In one sentence."""
        share = self.spike / self.scored
        return (
            f"gap: {self.spike} of {format_count(self.scored, 'case')} ({share:.1%}) "
            f"{select_form(self.spike, 'has', 'have')} IoU below {WRONG_OBJECT_IOU:g}, "
            f"and {self.between or 'none'} between that and {self.upper:.2f}"
        )


def find_gap(run: Run) -> Gap | None:
    """The gap in a run's histogram of IoU; None where there is none.

    In bins of 0.05 the first one has to hold three cases or more; the gap is the bins behind it of which each holds at
    most a fifth of that. It is four bins wide at least (0.2), and the rest behind it holds more cases than it does.
    """
    ious = run.ious
    bins, _ = np.histogram(ious, bins=round(1 / _BIN), range=(0, 1))
    spike = int(bins[0])
    full = np.flatnonzero(bins[1:] > _SPARSE * spike)
    if spike < _MIN_SPIKE or not len(full) or full[0] < _MIN_WIDTH:
        return None
    width = int(full[0])
    between = int(bins[1 : 1 + width].sum())
    if int(bins[1 + width :].sum()) <= between:
        return None
    return Gap(spike, len(ious), round((1 + width) * _BIN, 2), between)
