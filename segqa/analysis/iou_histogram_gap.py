"""Find a gap in the IoU histogram: a spike near zero and hardly any cases between it and the rest."""

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
        spike: number of cases with an IoU below 0.05.
        scored: number of cases with an IoU.
        upper: upper end of the gap; it begins at 0.05.
        between: number of cases in the gap.
    """

    spike: int
    scored: int
    upper: float
    between: int

    def __str__(self) -> str:
        """Describe the gap in one sentence."""
        share = self.spike / self.scored
        return (
            f"gap: {self.spike} of {format_count(self.scored, 'case')} ({share:.1%}) "
            f"{select_form(self.spike, 'has', 'have')} IoU below {WRONG_OBJECT_IOU:g}, "
            f"and {self.between or 'none'} between that and {self.upper:.2f}"
        )


def find_gap(run: Run) -> Gap | None:
    """Return the gap in the IoU histogram of a run, or None.

    The bins are 0.05 wide. The first bin must hold at least three cases. The gap consists of the bins after it that
    hold at most a fifth as many cases each. It must be at least four bins (0.2) wide, and the bins after the gap must
    hold more cases than the gap itself.
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
