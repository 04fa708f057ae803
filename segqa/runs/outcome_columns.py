"""Columnar storage of outcomes: the `Columns` interface, columns in memory, and their builder."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.data.string_columns import CategoricalBuilder, CategoricalColumn, Places, StringBuilder, StringColumn
from segqa.models.protocol import Floats
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.scoring.error_breakdown import Breakdown, compute_empty_breakdown
from segqa.scoring.metrics import Counts, compute_metric

Whole: TypeAlias = NDArray[np.signedinteger[Any]]
"""Whole numbers."""


class Columns(Protocol):
    """Columns of many outcomes, in memory or in files; see `Outcome` for the fields."""

    @property
    def ids(self) -> StringColumn:
        """Ids of the cases."""
        ...

    @property
    def prompts(self) -> CategoricalColumn:
        """Prompts of the cases."""
        ...

    @property
    def tags(self) -> Mapping[str, CategoricalColumn]:
        """Tags by name."""
        ...

    @property
    def properties(self) -> Mapping[str, Floats]:
        """Properties by name, each read on first use; NaN where a case lacks it."""
        ...

    @property
    def digests(self) -> StringColumn:
        """Digests of the image and target files."""
        ...

    @property
    def pixels(self) -> StringColumn:
        """Digests of the image and target pixels; empty where unknown."""
        ...

    @property
    def contents(self) -> bytes:
        """Content numbers; two cases have equal numbers if and only if their digests are equal."""
        ...

    @property
    def keys(self) -> StringColumn:
        """Keys of the proposals."""
        ...

    @property
    def offered(self) -> Whole:
        """Number of proposals of each case."""
        ...

    @property
    def picked(self) -> Whole:
        """Index of the picked proposal; -1 where nothing was picked."""
        ...

    @property
    def best(self) -> Whole:
        """Index of the proposal with the highest IoU, the first of equals; -1 without any."""
        ...

    @property
    def counts(self) -> Whole:
        """Counts of the predictions: tp, fp, fn, tn, `[n, 4]`; zeros for an error."""
        ...

    @property
    def interior_counts(self) -> Whole:
        """Counts away from the targets' contours; zeros where nothing was picked."""
        ...

    @property
    def wrong(self) -> Whole:
        """Wrong pixels at the contour, and elsewhere, `[n, 2]`, by the breakdown of the prediction; -1 without one."""
        ...

    @property
    def oracle(self) -> Whole:
        """Counts of the best proposals, see `Outcome.oracle`; zeros for an error."""
        ...

    @property
    def seconds(self) -> Floats:
        """Inference time in seconds."""
        ...

    @property
    def cached(self) -> Mask:
        """Flags of the cases whose proposals come from the store."""
        ...

    @property
    def failed(self) -> Mask:
        """Flags of the cases that could not be evaluated."""
        ...

    @property
    def notes(self) -> Mapping[int, str]:
        """Notes by the index of the case."""
        ...

    def rows(self, places: Iterable[int]) -> Iterator[Outcome]:
        """Yield the outcomes of some cases."""
        ...

    def breakdowns(self, places: Places) -> Iterator[tuple[int, Breakdown]]:
        """Return the error breakdowns of these cases, by the case's index among them."""
        ...

    def offer_scores(self, places: Places) -> Iterator[list[list[float]]]:
        """Return mask score, box score and IoU of each proposal of these cases; NaN where unknown or undefined."""
        ...

    def repick(self, picked: Whole) -> Columns:
        """Return a copy with another pick for each case."""
        ...


@dataclass(frozen=True, eq=False)
class MemoryColumns:
    """In-memory columns; see `Columns` for the fields.

    Attributes:
        starts: row offsets of the proposals, `[n + 1]`: those of case i go from `starts[i]` to `starts[i + 1]`.
        numbers: counts and interior counts of each proposal, `[proposals, 8]`.
        scores: mask score and box score of each proposal, `[proposals, 2]`; NaN where unknown.
        broken: breakdowns, by the index of the proposal.
        target_area: its area in pixels; -1 for an error.
        sizes: of the target in pixels; -1 for an error.
        errors: the tracebacks, by the place of the case.
    """

    ids: StringColumn
    prompts: CategoricalColumn
    tags: Mapping[str, CategoricalColumn]
    properties: Mapping[str, Floats]
    digests: StringColumn
    pixels: StringColumn
    keys: StringColumn
    starts: Places
    numbers: Whole
    scores: Floats
    broken: Mapping[int, Breakdown]
    picked: Whole
    target_area: Whole
    sizes: Whole
    seconds: Floats
    cached: Mask
    notes: Mapping[int, str]
    errors: Mapping[int, str]

    def rows(self, places: Iterable[int]) -> Iterator[Outcome]:
        """Yield the outcomes of some cases."""
        return map(self._to_outcome, places)

    def _to_outcome(self, place: int) -> Outcome:
        picked, wanted, size = int(self.picked[place]), int(self.target_area[place]), int(self.sizes[place])
        return Outcome(
            case_id=self.ids[place],
            prompt=self.prompts.values[self.prompts.codes[place]],
            tags={name: each.values[code] for name, each in self.tags.items() if (code := int(each.codes[place])) >= 0},
            properties={
                name: value for name, each in self.properties.items() if (value := float(each[place])) == value
            },
            digest=self.digests[place],
            pixels=self.pixels[place],
            proposals_key=self.keys[place],
            proposal_scores=tuple(map(self._to_proposal_score, range(*self.starts[place : place + 2].tolist()))),
            picked=None if picked < 0 else picked,
            empty_prediction=None if wanted < 0 else Counts(0, 0, wanted, size - wanted),
            seconds=float(self.seconds[place]),
            cached=bool(self.cached[place]),
            note=self.notes.get(place, ""),
            error=self.errors.get(place, ""),
        )

    def _to_proposal_score(self, at: int) -> ProposalScore:
        numbers = self.numbers[at].tolist()
        mask_score, box_score = (None if math.isnan(score) else score for score in self.scores[at].tolist())
        return ProposalScore(Counts(*numbers[:4]), Counts(*numbers[4:]), mask_score, box_score, self.broken.get(at))

    @property
    def contents(self) -> bytes:
        """Content numbers; two cases have equal numbers if and only if their digests are equal."""
        return hash_string_parts([list(self.digests)])

    @property
    def offered(self) -> Whole:
        """Number of proposals of each case."""
        return np.diff(self.starts)

    @cached_property
    def failed(self) -> Mask:
        """Flags of the cases that could not be evaluated."""
        found = np.zeros(len(self.ids), np.bool_)
        found[list(self.errors)] = True
        return found

    @cached_property
    def counts(self) -> Whole:
        """Counts of the predictions; zeros for an error."""
        return self._select_numbers(self.picked, self.numbers[:, :4], self._empty_counts)

    @cached_property
    def interior_counts(self) -> Whole:
        """Counts away from the targets' contours; zeros where nothing was picked."""
        return self._select_numbers(self.picked, self.numbers[:, 4:], np.zeros_like(self._empty_counts))

    @cached_property
    def wrong(self) -> Whole:
        """Wrong pixels at the contour, and elsewhere; -1 where the prediction was not broken down."""
        at = np.fromiter(self.broken, np.int64, len(self.broken))
        numbers = np.array([each.numbers for each in self.broken.values()], np.int64).reshape(-1, 7)
        return count_wrong_pixels(at, numbers, np.where(self.picked < 0, -1, self.starts[:-1] + self.picked))

    @property
    def oracle(self) -> Whole:
        """Counts of the best proposals; zeros for an error."""
        return self._select_numbers(self.best, self.numbers[:, :4], self._empty_counts)

    @property
    def _empty_counts(self) -> Whole:
        """Counts of an empty prediction, `[n, 4]`; zeros for an error."""
        known = np.zeros((len(self.ids), 4), np.result_type(self.numbers, self.sizes))
        known[:, 2] = np.maximum(self.target_area, 0)
        known[:, 3] = np.maximum(self.sizes - self.target_area, 0) * (self.target_area >= 0)
        return known

    def _select_numbers(self, chosen: Whole, numbers: Whole, other: Whole) -> Whole:
        """Return the numbers of one proposal per case; fallback numbers where the choice is -1."""
        there = np.flatnonzero(chosen >= 0)
        other[there] = numbers[self.starts[there] + chosen[there]]
        return other

    @cached_property
    def best(self) -> Whole:
        """Index of the proposal with the highest IoU, the first of equals; -1 without any."""
        ious = compute_metric(self.numbers, "iou")
        ious[np.isnan(ious)] = 2.0  # rightly nothing is above all
        found = np.full(len(self.ids), -1, np.int32)
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

    def breakdowns(self, places: Places) -> Iterator[tuple[int, Breakdown]]:
        """Return the error breakdowns of these cases, by the case's index among them."""
        picked = self.picked[places]
        picks = np.where(picked < 0, -1, self.starts[places] + picked).tolist()
        for place, (pick, missed) in enumerate(zip(picks, self.target_area[places].tolist(), strict=True)):
            if pick in self.broken:
                yield place, self.broken[pick]
            elif pick < 0 <= missed:
                yield place, compute_empty_breakdown(missed)

    def offer_scores(self, places: Places) -> Iterator[list[list[float]]]:
        """Return mask score, box score and IoU of each proposal of these cases."""
        told = np.column_stack([self.scores, compute_metric(self.numbers, "iou")])
        starts, ends = self.starts[places].tolist(), self.starts[places + 1].tolist()
        return (told[start:end].tolist() for start, end in zip(starts, ends, strict=True))

    def repick(self, picked: Whole) -> MemoryColumns:
        """Return a copy with another pick for each case."""
        return replace(self, picked=picked)


def count_wrong_pixels(at: Places, numbers: Whole, picks: Places) -> Whole:
    """Sum up the wrong pixels of the predictions from their error breakdowns.

    Args:
        at: indices of the proposals with a breakdown, among those of all cases.
        numbers: of these breakdowns, see `Breakdown.numbers`, `[len(at), 7]`.
        picks: index of the picked proposal of each case; -1 where nothing was picked.

    Returns:
        Pixels at the contour, and elsewhere, `[len(picks), 2]`; -1 where the prediction was not broken down.
    """
    found = np.full((len(picks), 2), -1, np.int64)
    by_offer = np.full(max(at.max(initial=-1), picks.max(initial=-1)) + 2, -1, np.int64)
    by_offer[at] = np.arange(len(at))
    chosen = by_offer[picks]  # -1 is the last entry, which is no proposal
    known = chosen >= 0
    boundary = numbers[:, 0] + numbers[:, 3]
    elsewhere = numbers[:, 1] + numbers[:, 2] + numbers[:, 4] + numbers[:, 5]
    found[known] = np.stack([boundary, elsewhere], axis=1)[chosen[known]]
    return found


def hash_string_parts(parts: Iterable[Sequence[str]]) -> bytes:
    """Return a hash of strings that come in parts of any size."""
    texts, lengths = hashlib.sha256(), hashlib.sha256()
    for part in parts:
        texts.update("".join(part).encode("utf-8", "surrogateescape"))
        lengths.update(np.array([len(text) for text in part], np.int64).tobytes())
    return texts.digest() + lengths.digest()


class ColumnBuilder:
    """Builder that adds outcomes to columns one by one."""

    def __init__(self) -> None:
        self._texts = {name: StringBuilder() for name in ("ids", "digests", "pixels", "keys")}
        self._prompts = CategoricalBuilder()
        self._tags: dict[str, CategoricalBuilder] = {}
        self._properties: dict[str, array[float]] = {}
        self._starts, self._numbers, self._scores = array("q", [0]), array("q"), array("d")
        self._breakdowns: dict[int, Breakdown] = {}
        self._picked, self._target_areas, self._sizes = array("i"), array("q"), array("q")
        self._seconds, self._cached = array("d"), array("b")
        self._notes: dict[int, str] = {}
        self._errors: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._picked)

    def add(self, outcome: Outcome) -> None:
        """Add an outcome."""
        nothing = outcome.empty_prediction
        self.add_row(
            case_id=outcome.case_id,
            prompt=outcome.prompt,
            tags=outcome.tags,
            properties=outcome.properties,
            digest=outcome.digest,
            pixels=outcome.pixels,
            key=outcome.proposals_key,
            proposal_scores=[to_numbers(offer) for offer in outcome.proposal_scores],
            picked=outcome.picked,
            target_area=None if nothing is None else nothing.target,
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
        proposal_scores: Sequence[Sequence[Any]],
        picked: int | None,
        target_area: int | None,
        size: int | None,
        seconds: float,
        cached: bool,
        note: str,
        error: str,
    ) -> None:
        """Add an outcome as a row of plain values, each proposal as returned by `to_numbers`."""
        place = len(self)
        for name, text in (("ids", case_id), ("digests", digest), ("pixels", pixels), ("keys", key)):
            self._texts[name].append(text)
        self._prompts.put(place, prompt)
        for name, value in tags.items():
            self._tags.setdefault(name, CategoricalBuilder()).put(place, value)
        for name, number in properties.items():
            column = self._properties.setdefault(name, array("d"))
            column.extend([np.nan] * (place - len(column)))
            column.append(number)
        for offer in proposal_scores:
            self._add_proposal(offer)
        self._starts.append(len(self._scores) // 2)
        self._target_areas.append(-1 if target_area is None else target_area)
        self._sizes.append(-1 if size is None else size)
        self._seconds.append(seconds)
        self._cached.append(cached)
        if note:
            self._notes[place] = note
        if error:
            self._errors[place] = error
        # last, since it says how many there are
        self._picked.append(-1 if picked is None else picked)

    def _add_proposal(self, offer: Sequence[Any]) -> None:
        if len(offer) > 10:
            self._breakdowns[len(self._scores) // 2] = Breakdown(*offer[10:])
        self._scores.extend(np.nan if score is None else score for score in offer[:2])
        self._numbers.extend(offer[2:10])

    def build(self) -> MemoryColumns:
        """Return the columns. Nothing can be added afterwards."""
        cases = len(self)
        texts = {name: found.build() for name, found in self._texts.items()}
        self._texts.clear()
        for column in self._properties.values():
            column.extend([np.nan] * (cases - len(column)))
        numbers = _to_smallest_dtype(self._numbers)
        self._numbers = array("q")
        return MemoryColumns(
            **texts,
            prompts=self._prompts.build(cases),
            tags={name: coded.build(cases) for name, coded in self._tags.items()},
            properties={name: np.array(column) for name, column in self._properties.items()},
            starts=np.array(self._starts),
            numbers=numbers.reshape(-1, 8),
            scores=np.array(self._scores).reshape(-1, 2),
            broken=self._breakdowns,
            picked=np.array(self._picked),
            target_area=_to_smallest_dtype(self._target_areas),
            sizes=_to_smallest_dtype(self._sizes),
            seconds=np.array(self._seconds),
            cached=np.array(self._cached, np.bool_),
            notes=self._notes,
            errors=self._errors,
        )


def _to_smallest_dtype(numbers: array[int]) -> Whole:
    """Return integers as 32-bit numbers if all fit."""
    found = np.array(numbers, np.int64)
    return found.astype(np.int32) if found.max(initial=0) < 1 << 31 else found


def build_columns(outcomes: Iterable[Outcome]) -> MemoryColumns:
    """Return outcomes as columns, in their order."""
    gathered = ColumnBuilder()
    for outcome in outcomes:
        gathered.add(outcome)
    return gathered.build()


def to_numbers(offer: ProposalScore) -> list[Any]:
    """Return a proposal as plain values: both scores, counts, interior counts, and the breakdown if any."""
    wrong = offer.breakdown.numbers if offer.breakdown else ()
    return [offer.mask_score, offer.box_score, *offer.numbers, *wrong]
