"""Outcomes are those of many cases as columns: a tenth of what an object each takes, and counted at once.

They are a sequence of `Outcome`, each made when it is asked for; what is computed over all of them is read off columns.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from segqa.breakdown import Breakdown, nothing_found
from segqa.mask import Mask
from segqa.metrics import Counts, shares
from segqa.outcome import Offer, Outcome
from segqa.proposals import Floats
from segqa.texts import Places, Texts

Whole: TypeAlias = NDArray[np.int64]
"""Whole numbers."""

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """A column of names of which many are the same.

    Attributes:
        values: the different ones.
        codes: for each case the place of its name among them, `[n]` int32; -1 where it has none.
    """

    values: tuple[str, ...]
    codes: NDArray[np.int32]

    def __iter__(self) -> Iterator[str | None]:
        values = (*self.values, None)  # -1 is the last
        return (values[code] for code in self.codes.tolist())

    def take(self, places: Places) -> Names:
        """Those of some cases."""
        return Names(self.values, self.codes[places])

    def mask(self, name: str) -> Mask:
        """Which cases have this name."""
        found: Mask = self.codes == (self.values.index(name) if name in self.values else -2)
        return found

    def renamed(self, new: Callable[[str], str]) -> Names:
        """The column with other names, of which several may become one."""
        names = [new(value) for value in self.values]
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        codes = np.array([*(places[name] for name in names), -1], np.int32)
        return Names(tuple(places), codes[self.codes])

    def or_else(self, other: Names) -> Names:
        """The column, with the names of another one where it has none."""
        both = Names((*self.values, *other.values), np.where(other.codes < 0, -1, other.codes + len(self.values)))
        filled = Names(both.values, np.where(self.codes < 0, both.codes, self.codes).astype(np.int32))
        return filled.renamed(str)

    @property
    def used(self) -> list[tuple[int, str]]:
        """The names that a case has, each with its code, in the order of the alphabet."""
        there = np.unique(self.codes)
        return sorted(((code, self.values[code]) for code in there.tolist() if code >= 0), key=lambda pair: pair[1])


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


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes(Sequence[Outcome]):
    """Outcomes of many cases, or of some of them.

    Attributes:
        columns: of all cases.
        places: which of them these are, in this order; None for all.
    """

    columns: Columns
    places: Places | None = None

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Outcomes:
        """Any outcomes, in their order."""
        if isinstance(outcomes, Outcomes):
            return outcomes
        gathered = Gathered()
        for outcome in outcomes:
            gathered.add(outcome)
        return gathered.outcomes()

    def take(self, chosen: Mask | Places) -> Outcomes:
        """Some of them, by a mask or by their places."""
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64, copy=False)
        return Outcomes(self.columns, places if self.places is None else self.places[places])

    def __len__(self) -> int:
        return len(self.columns.ids) if self.places is None else len(self.places)

    def __iter__(self) -> Iterator[Outcome]:
        return map(self.columns.row, range(len(self)) if self.places is None else self.places.tolist())

    @overload
    def __getitem__(self, place: int) -> Outcome: ...
    @overload
    def __getitem__(self, place: slice) -> Outcomes: ...

    def __getitem__(self, place: int | slice) -> Outcome | Outcomes:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        return self.columns.row(range(len(self))[place] if self.places is None else int(self.places[place]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equal to lists and tuples, which do not share a hash

    def __repr__(self) -> str:
        return f"<{len(self)} outcomes>"

    @property
    def ids(self) -> Texts:
        """Of the cases."""
        return self.columns.ids if self.places is None else self.columns.ids.take(self.places)

    @property
    def digests(self) -> Texts:
        """Of image and target."""
        return self.columns.digests if self.places is None else self.columns.digests.take(self.places)

    @property
    def keys(self) -> Texts:
        """Of the proposals; empty for an error."""
        return self.columns.keys if self.places is None else self.columns.keys.take(self.places)

    @property
    def prompts(self) -> Names:
        """What the model was asked for."""
        return self.columns.prompts if self.places is None else self.columns.prompts.take(self.places)

    @property
    def tags(self) -> dict[str, Names]:
        """By name, those that one of the cases has."""
        names = {name: self._names(each) for name, each in self.columns.tags.items()}
        return {name: each for name, each in names.items() if (each.codes >= 0).any()}

    @property
    def properties(self) -> dict[str, Floats]:
        """By name, those that one of the cases has; NaN where another has it not."""
        names = {name: self._of(each) for name, each in self.columns.properties.items()}
        return {name: each for name, each in names.items() if not np.isnan(each).all()}

    @property
    def failed(self) -> Mask:
        """Which could not be evaluated."""
        return self._of(self.columns.failed)

    @property
    def counts(self) -> Whole:
        """Of the predictions: tp, fp, fn, tn, `[n, 4]`; zeros for an error."""
        return self._of(self.columns.picks[0])

    @property
    def inside(self) -> Whole:
        """The same away from the contours; zeros where nothing was picked."""
        return self._of(self.columns.picks[1])

    @property
    def oracle(self) -> Whole:
        """The counts of the best offers, see `Outcome.oracle`; zeros for an error."""
        return self._of(self.columns.of_offers(self.columns.best)[0])

    @property
    def best(self) -> Whole:
        """Which offer is the best; -1 where there is none."""
        return self._of(self.columns.best)

    @property
    def picked(self) -> NDArray[np.int32]:
        """Which offer is the prediction; -1 where nothing was picked."""
        return self._of(self.columns.picked)

    @property
    def offered(self) -> Whole:
        """How many offers there are."""
        return self._of(np.diff(self.columns.starts))

    @property
    def seconds(self) -> Floats:
        """Of inference."""
        return self._of(self.columns.seconds)

    @property
    def cached(self) -> Mask:
        """Whether the proposals come from the store."""
        return self._of(self.columns.cached)

    @property
    def notes(self) -> list[tuple[str, str]]:
        """The ids of the cases with a note, and the notes."""
        places = range(len(self)) if self.places is None else self.places.tolist()
        known = self.columns.notes
        return [(self.columns.ids[place], known[place]) for place in places if place in known] if known else []

    def breakdowns(self) -> Iterator[tuple[int, Breakdown]]:
        """The places of the cases whose prediction was broken down, with the breakdown."""
        columns = self.columns
        picks = np.where(self.picked < 0, -1, self._of(columns.starts[:-1]) + self.picked).tolist()
        for place, (pick, missed) in enumerate(zip(picks, self._of(columns.wanted).tolist(), strict=True)):
            if pick in columns.breakdowns:
                yield place, columns.breakdowns[pick]
            elif pick < 0 <= missed:
                yield place, nothing_found(missed)

    def offer_scores(self) -> Iterator[list[list[float]]]:
        """For each case mask score, box score and IoU of each offer; NaN where unknown or undefined."""
        columns = self.columns
        told = np.column_stack([columns.scores, shares(columns.numbers, "iou")])
        starts, ends = self._of(columns.starts[:-1]).tolist(), self._of(columns.starts[1:]).tolist()
        return (told[start:end].tolist() for start, end in zip(starts, ends, strict=True))

    def metric(self, name: str) -> Floats:
        """`"iou"`, `"dice"`, `"precision"` or `"recall"` of the predictions; NaN where undefined and for errors."""
        values = shares(self.counts, name)
        values[self.failed] = np.nan
        return values

    def _of(self, column: NDArray[Scalar]) -> NDArray[Scalar]:
        return column if self.places is None else column[self.places]

    def _names(self, column: Names) -> Names:
        return column if self.places is None else column.take(self.places)


class Gathered:
    """Outcomes as they come, put into columns one by one."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {"ids": [], "digests": [], "keys": []}
        self._prompts = _Coded()
        self._tags: dict[str, _Coded] = {}
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
        for name, text in (("ids", case_id), ("digests", digest), ("keys", key)):
            self._texts[name].append(text)
        self._prompts.put(place, prompt)
        for name, value in tags.items():
            self._tags.setdefault(name, _Coded()).put(place, value)
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

    def outcomes(self) -> Outcomes:
        """All of them; nothing can be added any more."""
        cases = len(self)
        texts = {name: Texts.of(found) for name, found in self._texts.items()}
        self._texts.clear()
        for column in self._properties.values():
            column.extend([np.nan] * (cases - len(column)))
        numbers = np.array(self._numbers, np.int64).reshape(-1, 8)
        self._numbers = array("q")
        if not numbers.size or numbers.max() < 1 << 31:
            numbers = numbers.astype(np.int32)
        return Outcomes(
            Columns(
                **texts,
                prompts=self._prompts.names(cases),
                tags={name: coded.names(cases) for name, coded in self._tags.items()},
                properties={name: np.array(column) for name, column in self._properties.items()},
                starts=np.array(self._starts),
                numbers=numbers,
                scores=np.array(self._scores).reshape(-1, 2),
                breakdowns=self._breakdowns,
                picked=np.array(self._picked),
                wanted=np.array(self._wanted),
                sizes=np.array(self._sizes),
                seconds=np.array(self._seconds),
                cached=np.array(self._cached, np.bool_),
                notes=self._notes,
                errors=self._errors,
            )
        )


class _Coded:
    """Names that come one by one."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes = array("i")

    def put(self, place: int, name: str) -> None:
        """The name of a case; those before it without one have none."""
        self._codes.extend([-1] * (place - len(self._codes)))
        self._codes.append(self._known.setdefault(name, len(self._known)))

    def names(self, cases: int) -> Names:
        """The column for so many cases."""
        self._codes.extend([-1] * (cases - len(self._codes)))
        return Names(tuple(self._known), np.array(self._codes))


def offer_numbers(offer: Offer) -> list[Any]:
    """An offer as plain values: the two scores, the counts, those inside, and the breakdown if there is one."""
    wrong = offer.breakdown.numbers if offer.breakdown else ()
    return [offer.mask_score, offer.box_score, *offer.numbers, *wrong]
