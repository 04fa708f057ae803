"""Replay a run with another picker, from the proposal scores that the run keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segqa.models.pickers import Picker, find_picker
from segqa.models.protocol import Floats, Proposals
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.run import Run


def replay(run: Run, pick: str) -> Run:
    """Return the run as it would have been with another picker; read no model, image or proposal.

    Raises:
        SettingsError: there is no such picker.
    """
    return replay_each(run, [pick])[0]


def replay_each(run: Run, picks: Sequence[str]) -> list[Run]:
    """Return one replayed run for each picker name, see `replay`."""
    found = _repick(run.columns, [find_picker(pick) for pick in picks])
    return [
        replace(run, id=f"{run.id}+{pick}", outcomes=outcomes, pick=pick)
        for pick, outcomes in zip(picks, found, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Flip:
    """A case for which another picker chooses a different proposal.

    Attributes:
        before: its outcome in the run.
        after: its outcome in the replay.
        gain: IoU after minus IoU before; NaN where one of them is undefined.
    """

    before: Outcome
    after: Outcome
    gain: float


def find_flips(run: Run, replayed: Run) -> list[Flip]:
    """Return the cases in which the two runs picked different proposals, the greatest gain first."""
    other = run.columns.picked != replayed.columns.picked
    before, after = run.columns.take(other), replayed.columns.take(other)
    gains = (replayed.all_ious - run.all_ious)[other].tolist()
    found = [Flip(*flip) for flip in zip(before, after, gains, strict=True)]
    return sorted(found, key=lambda flip: (-flip.gain, flip.before.case_id))


def _repick(outcomes: Outcomes, pickers: Sequence[Picker]) -> list[Outcomes]:
    """Return the outcomes under each picker."""
    picked = [outcomes.picked.copy() for _ in pickers]
    for place, scores in enumerate(outcomes.offer_scores()):
        if scores:
            proposals = _to_proposals(np.array(scores))
            for picks, picker in zip(picked, pickers, strict=True):
                chosen = picker(proposals)
                picks[place] = -1 if chosen is None else chosen
    return [outcomes.repick(picks) for picks in picked]


def _to_proposals(scores: Floats) -> Proposals:
    """Make proposals with the stored scores and with empty masks and boxes: the run keeps only the scores."""
    masks, boxes = np.zeros((len(scores), 1, 1), np.bool_), np.zeros((len(scores), 4))
    return Proposals(masks, scores[:, 0].copy(), scores[:, 1].copy(), boxes)
