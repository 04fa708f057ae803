"""A listing is which cases of a run the review page lists: all of them or, of a large run, those that are worth it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from segqa.report.selection import select
from segqa.report.verdict import Judged
from segqa.runs.run import Run

MOST_LISTED = 50_000
"""Ten megabytes of the page are the numbers of so many cases."""


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A run as far as the page lists it.

    Attributes:
        judged: the run, with what the gate says of it.
        listed: the run with the listed cases alone.
    """

    judged: Judged
    listed: Run

    @classmethod
    def of(cls, judged: Judged, most: int = MOST_LISTED) -> Listing:
        """The listing of a run: at most so many cases, chosen as those are that get a picture."""
        run = judged.run
        if len(run.outcomes) <= most:
            return cls(judged, run)
        chosen = select(judged.clusters, judged.verdict.comparison if judged.verdict else None, most)
        errors = np.flatnonzero(run.columns.failed)[: most // 10]
        places = np.union1d(chosen.within(run.columns), errors)
        kept = run.columns.take(places)
        return cls(judged, replace(run, outcomes=kept, expected=kept.ids))

    @property
    def left_out(self) -> int:
        """How many cases are not listed."""
        return len(self.judged.run.outcomes) - len(self.listed.outcomes)
