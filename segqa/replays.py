"""A replay picks again: what a run would have been with another picker, from what it keeps of its proposals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from segqa.outcome import Offer, Outcome
from segqa.picking import Picker, find_picker
from segqa.proposals import Floats, Proposals
from segqa.run import Run


def replay(run: Run, pick: str) -> Run:
    """The run as it would have been with another picker; no model, no image, no proposal is read.

    Raises:
        SettingsError: there is no such picker.
    """
    picker = find_picker(pick)
    outcomes = tuple(_picked_again(outcome, picker) for outcome in run.outcomes)
    return replace(run, id=f"{run.id}+{pick}", outcomes=outcomes, pick=pick)


@dataclass(frozen=True, slots=True)
class Flip:
    """A case that another picker decides otherwise.

    Attributes:
        before: its outcome in the run.
        after: its outcome in the replay.
        gain: IoU after minus IoU before; NaN where one of them is undefined.
    """

    before: Outcome
    after: Outcome
    gain: float


def flips(run: Run, replayed: Run) -> list[Flip]:
    """The cases in which the two runs picked different proposals, the greatest gain first."""
    pairs = zip(run.outcomes, replayed.outcomes, strict=True)
    found = [Flip(a, b, replayed.iou(b) - run.iou(a)) for a, b in pairs if a.picked != b.picked]
    return sorted(found, key=lambda flip: (-flip.gain, flip.before.case_id))


def _picked_again(outcome: Outcome, picker: Picker) -> Outcome:
    return replace(outcome, picked=picker(_scores_of(outcome.offers))) if outcome.offers else outcome


def _scores_of(offers: tuple[Offer, ...]) -> Proposals:
    """The proposals as far as a run keeps them: their scores, with masks and boxes of nothing."""
    masks, boxes = np.zeros((len(offers), 1, 1), np.bool_), np.zeros((len(offers), 4))
    return Proposals(
        masks, _known([offer.mask_score for offer in offers]), _known([offer.box_score for offer in offers]), boxes
    )


def _known(scores: list[float | None]) -> Floats:
    return np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
