"""Sequence of outcomes on top of columns; each `Outcome` is built on access.

An object each would take ten times the memory; what is computed over all of them is read off columns, all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.data.string_columns import CategoricalColumn, Places, RowSequence, StringColumn
from segqa.models.protocol import Floats
from segqa.runs.outcome import Outcome
from segqa.runs.outcome_columns import Columns, Whole, build_columns
from segqa.scoring.error_breakdown import Breakdown
from segqa.scoring.metrics import compute_metric
from segqa.support.plurals import format_count

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes(RowSequence[Outcome]):
    """Sequence of outcomes: all cases of a run, or a selection.

    Attributes:
        columns: of all cases.
        places: which of them these are, in this order; None for all.
    """

    columns: Columns
    places: Places | None = None

    @classmethod
    def from_outcomes(cls, outcomes: Iterable[Outcome]) -> Outcomes:
        """Build a sequence from outcomes, in their order."""
        if isinstance(outcomes, Outcomes):
            return outcomes
        return cls(build_columns(outcomes))

    def take(self, chosen: Mask | Places) -> Outcomes:
        """Return a selection, by a boolean mask or by indices."""
        if chosen.dtype == np.bool_ and chosen.all():
            return self
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64, copy=False)
        return Outcomes(self.columns, places if self.places is None else self.places[places])

    def concatenate(self, others: Outcomes) -> Outcomes:
        """Return these outcomes followed by others of the same columns."""
        return Outcomes(self.columns, np.concatenate([self._all_places, others._all_places]))

    def find_places_in(self, whole: Outcomes) -> Places:
        """Return the index of each outcome among others of the same run; -1 where it is absent."""
        if self.columns is not whole.columns:
            return whole.ids.find_places(self.ids)
        if whole.places is None:
            return self._all_places
        found = np.full(len(self.columns.ids), -1, np.int64)
        found[whole.places] = np.arange(len(whole))
        return found[self._all_places]

    def __len__(self) -> int:
        return len(self.columns.ids) if self.places is None else len(self.places)

    def __iter__(self) -> Iterator[Outcome]:
        return self.columns.rows(range(len(self)) if self.places is None else map(int, self.places))

    @overload
    def __getitem__(self, place: int) -> Outcome: ...
    @overload
    def __getitem__(self, place: slice) -> Outcomes: ...

    def __getitem__(self, place: int | slice) -> Outcome | Outcomes:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        at = range(len(self))[place] if self.places is None else int(self.places[place])
        return next(self.columns.rows([at]))

    def __repr__(self) -> str:
        shown = ", ".join([*self.ids[:5], *(["…"] if len(self) > 5 else [])])
        return f"<{format_count(len(self), 'outcome')}{f': {shown}' if shown else ''}>"

    @property
    def ids(self) -> StringColumn:
        """Ids of the cases."""
        return self._select_strings(self.columns.ids)

    @property
    def digests(self) -> StringColumn:
        """Digests of the image and target files."""
        return self._select_strings(self.columns.digests)

    @property
    def pixels(self) -> StringColumn:
        """Digests of the image and target pixels; empty where unknown."""
        return self._select_strings(self.columns.pixels)

    @property
    def keys(self) -> StringColumn:
        """Keys of the proposals; empty for an error."""
        return self._select_strings(self.columns.keys)

    @property
    def prompts(self) -> CategoricalColumn:
        """Prompts of the cases."""
        return self._select_categories(self.columns.prompts)

    @property
    def tags(self) -> dict[str, CategoricalColumn]:
        """Tags by name that at least one case has."""
        names = {name: self._select_categories(each) for name, each in self.columns.tags.items()}
        return {name: each for name, each in names.items() if (each.codes >= 0).any()}

    @property
    def properties(self) -> Mapping[str, Floats]:
        """Properties by name that at least one case has, each read on first use; NaN where a case lacks it."""
        return _SelectedProperties(self)

    @property
    def failed(self) -> Mask:
        """Flags of the cases that could not be evaluated."""
        return self._select(self.columns.failed)

    @property
    def counts(self) -> Whole:
        """Counts of the predictions: tp, fp, fn, tn, `[n, 4]`; zeros for an error."""
        return self._select(self.columns.counts)

    @property
    def interior_counts(self) -> Whole:
        """Counts away from the targets' contours; zeros where nothing was picked."""
        return self._select(self.columns.interior_counts)

    @property
    def wrong(self) -> Whole:
        """Wrong pixels at the contour, and elsewhere, `[n, 2]`; -1 where the prediction was not broken down."""
        return self._select(self.columns.wrong)

    @property
    def oracle(self) -> Whole:
        """Counts of the best proposals, see `Outcome.oracle`; zeros for an error."""
        return self._select(self.columns.oracle)

    @property
    def best(self) -> Whole:
        """Index of the best proposal; -1 without any."""
        return self._select(self.columns.best)

    @property
    def picked(self) -> Whole:
        """Index of the picked proposal; -1 where nothing was picked."""
        return self._select(self.columns.picked)

    @property
    def offered(self) -> Whole:
        """Number of proposals of each case."""
        return self._select(self.columns.offered)

    @property
    def seconds(self) -> Floats:
        """Inference time in seconds."""
        return self._select(self.columns.seconds)

    @property
    def cached(self) -> Mask:
        """Flags of the cases whose proposals come from the store."""
        return self._select(self.columns.cached)

    @property
    def notes(self) -> list[tuple[str, str]]:
        """Notes by case id."""
        known, ids = self.columns.notes, self.columns.ids
        if self.places is None:
            return [(ids[place], known[place]) for place in sorted(known)]
        return [(ids[place], known[place]) for place in map(int, self.places) if place in known] if known else []

    def breakdowns(self) -> Iterator[tuple[int, Breakdown]]:
        """Return the error breakdowns, by the index of the case."""
        return self.columns.breakdowns(self._all_places)

    def offer_scores(self) -> Iterator[list[list[float]]]:
        """Return mask score, box score and IoU of each proposal of each case; NaN where unknown or undefined."""
        return self.columns.offer_scores(self._all_places)

    def repick(self, picked: Whole) -> Outcomes:
        """Return a copy with another pick for each case."""
        everywhere = picked
        if self.places is not None:
            everywhere = self.columns.picked.copy()
            everywhere[self.places] = picked
        return Outcomes(self.columns.repick(everywhere), self.places)

    def metric(self, name: str) -> Floats:
        """Return `"iou"`, `"dice"`, `"precision"` or `"recall"` of each prediction; NaN if undefined or an error."""
        values = compute_metric(self.counts, name)
        values[self.failed] = np.nan
        return values

    @property
    def _all_places(self) -> Places:
        return np.arange(len(self)) if self.places is None else self.places

    def _select(self, column: NDArray[Scalar]) -> NDArray[Scalar]:
        return column if self.places is None else column[self.places]

    def _select_strings(self, column: StringColumn) -> StringColumn:
        return column if self.places is None else column.take(self.places)

    def _select_categories(self, column: CategoricalColumn) -> CategoricalColumn:
        return column if self.places is None else column.take(self.places)


class _SelectedProperties(Mapping[str, NDArray[Any]]):
    """Lazy mapping of the numeric columns that at least one selected case has."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def __getitem__(self, name: str) -> Floats:
        column = self._outcomes.columns.properties[name]
        if self._outcomes.places is not None:
            column = column[self._outcomes.places]
        if np.isnan(column).all():
            raise KeyError(name)
        return column

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._outcomes.columns.properties if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
