"""Pair the outcomes of the same cases in two runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from segqa.data.mask import Mask
from segqa.data.string_columns import Places, StringColumn
from segqa.models.protocol import Floats
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Pair:
    """A case that has an outcome without an error in both runs.

    Attributes:
        before: its outcome in the baseline.
        after: its outcome in the candidate run.
        iou_before: its IoU then; NaN where it was undefined and the policy leaves it so.
        iou_after: its IoU now; likewise.
    """

    before: Outcome
    after: Outcome
    iou_before: float
    iou_after: float

    @property
    def case_id(self) -> str:
        """The case."""
        return self.after.case_id

    @property
    def difference(self) -> float:
        """IoU now minus IoU then, as in `compute_change`."""
        return float(compute_change(np.array([[self.iou_before, self.iou_after]]))[0])

    @property
    def change(self) -> str:
        """Both IoUs as text, such as `0.9000 → 0.0000`."""
        before, after = ("undefined" if math.isnan(iou) else f"{iou:.4f}" for iou in (self.iou_before, self.iou_after))
        return f"{before} → {after}"


@dataclass(frozen=True, slots=True, eq=False)
class Pairs(Sequence[Pair]):
    """A sequence of pairs, stored in columns; each `Pair` is created when it is accessed.

    Attributes:
        before: the outcomes in the baseline.
        after: those of the same cases in the candidate run, in the same order.
        ious: before and after, float64 `[pairs, 2]`; NaN where undefined.
    """

    before: Outcomes
    after: Outcomes
    ious: Floats

    def take(self, chosen: Mask | Places) -> Pairs:
        """Return some of the pairs, by a mask or by their indices."""
        return Pairs(self.before.take(chosen), self.after.take(chosen), self.ious[chosen])

    def join(self, others: Pairs) -> Pairs:
        """Return these pairs and others of the same two runs."""
        sides = self.before.concatenate(others.before), self.after.concatenate(others.after)
        return Pairs(*sides, np.concatenate([self.ious, others.ious])) if others else self

    def __len__(self) -> int:
        return len(self.ious)

    def __iter__(self) -> Iterator[Pair]:
        rows = zip(self.before, self.after, self.ious.tolist(), strict=True)
        return (Pair(before, after, *ious) for before, after, ious in rows)

    @overload
    def __getitem__(self, place: int) -> Pair: ...
    @overload
    def __getitem__(self, place: slice) -> Pairs: ...

    def __getitem__(self, place: int | slice) -> Pair | Pairs:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        return Pair(self.before[place], self.after[place], *self.ious[place].tolist())

    @property
    def ids(self) -> StringColumn:
        """The ids of the cases."""
        return self.after.ids

    @property
    def differences(self) -> Floats:
        """IoU now minus IoU then, float64 `[pairs]`, as in `compute_change`."""
        return compute_change(self.ious)

    def sort_by_change(self) -> Pairs:
        """Return the pairs sorted by change: largest loss first, ties by id, undefined on both sides last."""
        by_id = self.ids.sort_order()
        return self.take(by_id[np.argsort(self.differences[by_id], kind="stable")])


def compute_change(values: Floats) -> Floats:
    """Compute the change of a metric.

    Args:
        values: before and after, float64 `[n, 2]`; NaN where undefined, see `fill_undefined`.

    Returns:
        After minus before, float64 `[n]`; NaN where both are undefined.

    >>> compute_change(np.array([[0.5, 0.75], [math.nan, 0.0], [0.0, math.nan], [math.nan, math.nan]]))
    array([ 0.25, -1.  ,  1.  ,   nan])
    """
    found: Floats = np.diff(fill_undefined(values), axis=1)[:, 0]
    return found


def fill_undefined(values: Floats) -> Floats:
    """Return the values with 1 where one side alone is undefined.

    Undefined means that nothing is there and nothing was predicted, which is right. So a case that becomes a
    hallucination changes by -1, and does not drop out of the comparison.

    Args:
        values: before and after, float64 `[n, 2]`; NaN where undefined.

    Returns:
        Float64 `[n, 2]`; NaN where both are undefined.
    """
    undefined = np.isnan(values)
    one_sided = undefined & ~undefined.all(axis=1, keepdims=True)
    return np.where(one_sided, 1.0, values)
