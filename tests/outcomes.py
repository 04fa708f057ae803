"""Outcomes for tests, from the counts that matter to them."""

from __future__ import annotations

from typing import Any

from segqa.runs.outcome import Outcome, ProposalScore
from segqa.scoring.metrics import Counts

NOTHING = Counts(0, 0, 0, 0)


def outcome_of(
    counts: Counts | None,
    case_id: str = "x",
    *,
    interior_counts: Counts = NOTHING,
    oracle: Counts | None = None,
    **rest: Any,
) -> Outcome:
    """An outcome with these counts: one proposal, picked, and a second one with the oracle's counts if they are given.

    No counts make an error; counts that predict nothing, a case without proposals.
    """
    if counts is None:
        return Outcome(case_id=case_id, **{"error": "Traceback\nValueError: no", **rest})
    nothing = Counts(0, 0, counts.target, counts.fp + counts.tn)
    offers = [ProposalScore(counts, interior_counts)] if counts.predicted else []
    offers += [ProposalScore(oracle, oracle)] if oracle is not None else []
    picked = 0 if counts.predicted else None
    return Outcome(case_id=case_id, proposal_scores=tuple(offers), picked=picked, empty_prediction=nothing, **rest)
