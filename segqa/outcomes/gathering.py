"""Gathering puts outcomes into columns one by one, as they come."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from segqa.data.string_columns import Joining, Naming
from segqa.outcome import Offer, Outcome
from segqa.outcomes.columns import Held, Whole
from segqa.scoring.error_breakdown import Breakdown


class Gathered:
    """Outcomes as they come, put into columns one by one."""

    def __init__(self) -> None:
        self._texts = {name: Joining() for name in ("ids", "digests", "pixels", "keys")}
        self._prompts = Naming()
        self._tags: dict[str, Naming] = {}
        self._properties: dict[str, array[float]] = {}
        self._starts, self._numbers, self._scores = array("q", [0]), array("q"), array("d")
        self._breakdowns: dict[int, Breakdown] = {}
        self._picked, self._wanted, self._sizes = array("i"), array("q"), array("q")
        self._seconds, self._cached = array("d"), array("b")
        self._notes: dict[int, str] = {}
        self._errors: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._picked)

    def add(self, outcome: Outcome) -> None:
        """One more."""
        nothing = outcome.nothing
        self.add_row(
            case_id=outcome.case_id,
            prompt=outcome.prompt,
            tags=outcome.tags,
            properties=outcome.properties,
            digest=outcome.digest,
            pixels=outcome.pixels,
            key=outcome.proposals_key,
            offers=[offer_numbers(offer) for offer in outcome.offers],
            picked=outcome.picked,
            wanted=None if nothing is None else nothing.target,
            size=None if nothing is None else nothing.target + nothing.tn,
            seconds=outcome.seconds,
            cached=outcome.cached,
            note=outcome.note,
            error=outcome.error,
        )

    def add_row(
        self,
        *,
        case_id: str,
        prompt: str,
        tags: Mapping[str, str],
        properties: Mapping[str, float],
        digest: str,
        pixels: str,
        key: str,
        offers: Sequence[Sequence[Any]],
        picked: int | None,
        wanted: int | None,
        size: int | None,
        seconds: float,
        cached: bool,
        note: str,
        error: str,
    ) -> None:
        """One more, as a row of plain values; each offer as `offer_numbers` has it."""
        place = len(self)
        for name, text in (("ids", case_id), ("digests", digest), ("pixels", pixels), ("keys", key)):
            self._texts[name].append(text)
        self._prompts.put(place, prompt)
        for name, value in tags.items():
            self._tags.setdefault(name, Naming()).put(place, value)
        for name, number in properties.items():
            column = self._properties.setdefault(name, array("d"))
            column.extend([np.nan] * (place - len(column)))
            column.append(number)
        for offer in offers:
            self._add_offer(offer)
        self._starts.append(len(self._scores) // 2)
        self._wanted.append(-1 if wanted is None else wanted)
        self._sizes.append(-1 if size is None else size)
        self._seconds.append(seconds)
        self._cached.append(cached)
        if note:
            self._notes[place] = note
        if error:
            self._errors[place] = error
        # last, since it says how many there are
        self._picked.append(-1 if picked is None else picked)

    def _add_offer(self, offer: Sequence[Any]) -> None:
        if len(offer) > 10:
            self._breakdowns[len(self._scores) // 2] = Breakdown(*offer[10:])
        self._scores.extend(np.nan if score is None else score for score in offer[:2])
        self._numbers.extend(offer[2:10])

    def columns(self) -> Held:
        """All of them; nothing can be added any more."""
        cases = len(self)
        texts = {name: found.texts() for name, found in self._texts.items()}
        self._texts.clear()
        for column in self._properties.values():
            column.extend([np.nan] * (cases - len(column)))
        numbers = _small(self._numbers)
        self._numbers = array("q")
        return Held(
            **texts,
            prompts=self._prompts.names(cases),
            tags={name: coded.names(cases) for name, coded in self._tags.items()},
            properties={name: np.array(column) for name, column in self._properties.items()},
            starts=np.array(self._starts),
            numbers=numbers.reshape(-1, 8),
            scores=np.array(self._scores).reshape(-1, 2),
            broken=self._breakdowns,
            picked=np.array(self._picked),
            wanted=_small(self._wanted),
            sizes=_small(self._sizes),
            seconds=np.array(self._seconds),
            cached=np.array(self._cached, np.bool_),
            notes=self._notes,
            errors=self._errors,
        )


def _small(numbers: array[int]) -> Whole:
    """Whole numbers, each in four bytes if that is enough for all."""
    found = np.array(numbers, np.int64)
    return found.astype(np.int32) if found.max(initial=0) < 1 << 31 else found


def gather(outcomes: Iterable[Outcome]) -> Held:
    """Outcomes as columns, in their order."""
    gathered = Gathered()
    for outcome in outcomes:
        gathered.add(outcome)
    return gathered.columns()


def offer_numbers(offer: Offer) -> list[Any]:
    """An offer as plain values: the two scores, the counts, those inside, and the breakdown if there is one."""
    wrong = offer.breakdown.numbers if offer.breakdown else ()
    return [offer.mask_score, offer.box_score, *offer.numbers, *wrong]
