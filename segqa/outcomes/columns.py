"""Columns hold many outcomes, one array for each thing that is known of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from segqa.breakdown import Breakdown
from segqa.mask import Mask
from segqa.metrics import Counts, shares
from segqa.outcome import Offer, Outcome
from segqa.outcomes.names import Names
from segqa.proposals import Floats
from segqa.texts import Places, Texts

Whole: TypeAlias = NDArray[np.int64]
"""Whole numbers."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of many outcomes; see `Outcome` for what they mean.

    Attributes:
        ids: of the cases.
        prompts: what the model was asked for.
        tags: by name.
        properties: by name; NaN where a case does not have it.
        digests: of image and target.
        keys: of the proposals.
        starts: which offers are whose, `[n + 1]`: those of case i go from `starts[i]` to `starts[i + 1]`.
        numbers: counts and counts inside of each offer, `[offers, 8]`.
        scores: mask score and box score of each offer, `[offers, 2]`; NaN where unknown.
        breakdowns: by the place of the offer.
        picked: -1 where nothing was.
        wanted: the target's area; -1 for an error.
        sizes: of the target in pixels; -1 for an error.
        seconds: of inference.
        cached: whether the proposals come from the store.
        notes: by the place of the case.
        errors: by the place of the case.
    """

    ids: Texts
    prompts: Names
    tags: Mapping[str, Names]
    properties: Mapping[str, Floats]
    digests: Texts
    keys: Texts
    starts: Places
    numbers: NDArray[np.int64] | NDArray[np.int32]
    scores: Floats
    breakdowns: Mapping[int, Breakdown]
    picked: NDArray[np.int32]
    wanted: Whole
    sizes: Whole
    seconds: Floats
    cached: Mask
    notes: Mapping[int, str]
    errors: Mapping[int, str]

    def row(self, place: int) -> Outcome:
        """The outcome of one case."""
        picked, wanted, size = int(self.picked[place]), int(self.wanted[place]), int(self.sizes[place])
        return Outcome(
            case_id=self.ids[place],
            prompt=self.prompts.values[self.prompts.codes[place]],
            tags={name: each.values[code] for name, each in self.tags.items() if (code := int(each.codes[place])) >= 0},
            properties={
                name: value for name, each in self.properties.items() if (value := float(each[place])) == value
            },
            digest=self.digests[place],
            proposals_key=self.keys[place],
            offers=tuple(map(self._offer, range(*self.starts[place : place + 2].tolist()))),
            picked=None if picked < 0 else picked,
            nothing=None if wanted < 0 else Counts(0, 0, wanted, size - wanted),
            seconds=float(self.seconds[place]),
            cached=bool(self.cached[place]),
            note=self.notes.get(place, ""),
            error=self.errors.get(place, ""),
        )

    def _offer(self, at: int) -> Offer:
        numbers = self.numbers[at].tolist()
        mask_score, box_score = (None if math.isnan(score) else score for score in self.scores[at].tolist())
        return Offer(Counts(*numbers[:4]), Counts(*numbers[4:]), mask_score, box_score, self.breakdowns.get(at))

    @cached_property
    def failed(self) -> Mask:
        """Which cases could not be evaluated."""
        found = np.zeros(len(self.ids), np.bool_)
        found[list(self.errors)] = True
        return found

    @cached_property
    def nothing(self) -> Whole:
        """The counts of an empty prediction, `[n, 4]`; zeros for an error."""
        known = np.maximum(self.wanted, 0), np.maximum(self.sizes, 0)
        return np.stack([np.zeros_like(known[0]), np.zeros_like(known[0]), known[0], known[1] - known[0]], axis=1)

    def of_offers(self, chosen: NDArray[np.int32] | Whole) -> tuple[Whole, Whole]:
        """The counts of one offer of each case, and those inside, `[n, 4]`; of nothing where the choice is -1."""
        counts, inside = self.nothing.copy(), np.zeros_like(self.nothing)
        there = np.flatnonzero(chosen >= 0)
        numbers = self.numbers[self.starts[there] + chosen[there]]
        counts[there], inside[there] = numbers[:, :4], numbers[:, 4:]
        return counts, inside

    @cached_property
    def picks(self) -> tuple[Whole, Whole]:
        """The counts of the predictions, and those inside; see `of_offers`."""
        return self.of_offers(self.picked)

    @cached_property
    def best(self) -> Whole:
        """Which offer of each case has the highest IoU, the first of equals; -1 where there is none."""
        ious = shares(self.numbers, "iou")
        ious[np.isnan(ious)] = 2.0  # rightly nothing is above all
        found = np.full(len(self.ids), -1, np.int64)
        have = np.flatnonzero(np.diff(self.starts))
        if not len(have):
            return found
        highest = np.maximum.reduceat(ious, self.starts[have])
        lengths = np.diff(self.starts)[have]
        firsts = np.flatnonzero(ious == np.repeat(highest, lengths))
        owner = np.repeat(have, lengths)[firsts]
        # backwards, so that the first of equals is written last
        found[owner[::-1]] = (firsts - self.starts[owner])[::-1]
        return found
