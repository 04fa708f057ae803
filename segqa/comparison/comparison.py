"""A comparison pairs two runs case by case: the one that was good enough, and the one to be judged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segqa.baseline import content_of, scope_of
from segqa.errors import IncomparableError, SettingsError
from segqa.failures import WRONG_OBJECT_IOU
from segqa.mask import Mask
from segqa.metrics import METRIC_VERSION, resolve
from segqa.outcome import Outcome
from segqa.proposals import Floats
from segqa.run import Run
from segqa.settings import nearest
from segqa.slices import attributes_of, slice_of

BROKEN_DROP = 0.5
MIN_CHANGED = 5
MIN_JUDGED = 30
METRICS = ("iou", "dice", "precision", "recall")


@dataclass(frozen=True, slots=True)
class Pair:
    """A case that has a score in both runs.

    Attributes:
        before: its outcome in the baseline.
        after: its outcome in the candidate run.
        iou_before: its IoU then.
        iou_after: its IoU now.
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
        """IoU now minus IoU then."""
        return self.iou_after - self.iou_before


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of the pairs.

    Attributes:
        name: as a condition (`camera=C2`).
        attribute: of the slice.
        members: which pairs are in it.
        changed: how many of them have another IoU than before.
    """

    name: str
    attribute: str
    members: Mask
    changed: int


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two runs, case by case.

    Attributes:
        baseline: the run that was good enough.
        candidate: the run judged against it.
        pairs: the cases with a score in both, sorted by id.
    """

    baseline: Run
    candidate: Run
    pairs: tuple[Pair, ...]

    @property
    def differences(self) -> Floats:
        """IoU now minus IoU then, float64 `[pairs]`."""
        return np.array([pair.difference for pair in self.pairs], dtype=np.float64)

    def metric_differences(self, metric: str) -> Floats:
        """The same for another metric of the counts."""
        return np.array(
            [self._value(pair.after, metric) - self._value(pair.before, metric) for pair in self.pairs], np.float64
        )

    @property
    def identical(self) -> bool:
        """Whether every case has the same counts, and none has come or gone."""
        same = all(pair.before.counts == pair.after.counts for pair in self.pairs)
        return same and not (self.new or self.missing or self.new_errors or self.recovered)

    @property
    def new(self) -> tuple[str, ...]:
        """The cases that the baseline does not have."""
        known = set(self.baseline.expected)
        return tuple(case_id for case_id in self.candidate.expected if case_id not in known)

    @property
    def missing(self) -> tuple[str, ...]:
        """The cases of the baseline that have no outcome now."""
        done = {outcome.case_id for outcome in self.candidate.outcomes}
        return tuple(case_id for case_id in self.baseline.expected if case_id not in done)

    @property
    def new_errors(self) -> tuple[str, ...]:
        """The cases that cannot be evaluated now, and were no error in the baseline."""
        broken = {outcome.case_id for outcome in self.baseline.errors}
        return tuple(outcome.case_id for outcome in self.candidate.errors if outcome.case_id not in broken)

    @property
    def recovered(self) -> tuple[str, ...]:
        """The cases that were an error in the baseline, and are none now."""
        done = {outcome.case_id for outcome in self.candidate.outcomes if not outcome.error}
        return tuple(outcome.case_id for outcome in self.baseline.errors if outcome.case_id in done)

    @property
    def broken(self) -> tuple[Pair, ...]:
        """The cases that collapse: they lose 0.5 or more, or met the threshold and become a zero-IoU case."""
        return tuple(pair for pair in self.pairs if self._collapses(pair.iou_before, pair.iou_after))

    @property
    def fixed(self) -> tuple[Pair, ...]:
        """The opposite of broken."""
        return tuple(pair for pair in self.pairs if self._collapses(pair.iou_after, pair.iou_before))

    @property
    def worse(self) -> int:
        """How many cases have a lower IoU, however little."""
        return int((self.differences < 0).sum())

    @property
    def better(self) -> int:
        """How many cases have a higher IoU."""
        return int((self.differences > 0).sum())

    @property
    def transitions(self) -> Counter[tuple[str, str]]:
        """How many cases went from one kind of failure to another; `passed` where there was none."""
        kinds = [(self._kind(pair.before), self._kind(pair.after)) for pair in self.pairs]
        return Counter(kind for kind in kinds if kind[0] != kind[1])

    def worst(self, count: int = 5) -> tuple[Pair, ...]:
        """The pairs that lost most."""
        return tuple(sorted(self.pairs, key=lambda pair: (pair.difference, pair.case_id))[:count])

    def slices(self, attribute: str = "*", *, min_cases: int = 8) -> list[Slice]:
        """The slices of the pairs by one attribute, or by all, with so many cases but not all of them.

        Both sides of a pair are in the slice of its case now: they are the same image.

        Raises:
            SettingsError: no case has this attribute.
        """
        after = [pair.after for pair in self.pairs]
        known = attributes_of(after)
        if attribute != "*" and attribute not in known:
            raise SettingsError(f"no case has a tag or property {attribute!r}; {nearest(attribute, known)}")
        found = []
        moved = self.differences != 0
        for name in known if attribute == "*" else [attribute]:
            values = np.array([slice_of(outcome, name, self.candidate.edges) or "" for outcome in after], dtype=object)
            for value in sorted({value for value in values if value}):
                members = values == value
                if min_cases <= int(members.sum()) < len(after):
                    found.append(Slice(f"{name}={value}", name, members, int((members & moved).sum())))
        return found

    def groups(self, tag: str) -> NDArray[np.int64] | None:
        """For each pair the number of its group by a tag, cases without it alone; None for no tag.

        Raises:
            SettingsError: no case has this tag.
        """
        if not tag:
            return None
        tags = {name for pair in self.pairs for name in pair.after.tags}
        if self.pairs and tag not in tags:
            raise SettingsError(f"no case has a tag {tag!r} to group by; {nearest(tag, tags)}")
        names = [pair.after.tags.get(tag, f"\0{pair.case_id}") for pair in self.pairs]
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        return np.array([places[name] for name in names], dtype=np.int64)

    def latency(self, percentile: float) -> float:
        """Seconds a case now, as a multiple of those in the baseline; NaN where one of them is not known."""
        both = [
            [outcome.seconds for outcome in run.outcomes if outcome.seconds > 0]
            for run in (self.baseline, self.candidate)
        ]
        if not all(both):
            return math.nan
        before, after = (float(np.percentile(seconds, percentile)) for seconds in both)
        return after / before

    def without(self, case_ids: set[str]) -> Comparison:
        """The same without some cases."""
        runs = [
            replace(
                run,
                outcomes=tuple(o for o in run.outcomes if o.case_id not in case_ids),
                expected=tuple(case_id for case_id in run.expected if case_id not in case_ids),
            )
            for run in (self.baseline, self.candidate)
        ]
        return Comparison(runs[0], runs[1], tuple(pair for pair in self.pairs if pair.case_id not in case_ids))

    def _collapses(self, before: float, after: float) -> bool:
        threshold = self.candidate.threshold
        return after < threshold and (
            before - after >= BROKEN_DROP or (before >= threshold and after < WRONG_OBJECT_IOU)
        )

    def _kind(self, outcome: Outcome) -> str:
        return self.candidate.kind(outcome) or "passed"

    def _value(self, outcome: Outcome, metric: str) -> float:
        return resolve(getattr(outcome.counts, metric), self.candidate.empty)


def compare(baseline: Run, candidate: Run, *, same_picker: bool = True) -> Comparison:
    """Compare two runs case by case.

    Both are read with the candidate's threshold, so that a stricter one is no regression.

    Args:
        baseline: what was good enough.
        candidate: what is judged against it.
        same_picker: refuse runs that were picked by different pickers.

    Raises:
        IncomparableError: they were made on other data, or scored in another way; says which field differs.

    >>> from segqa.metrics import Counts
    >>> from segqa.outcome import Offer
    >>> def run(tp):
    ...     counts = Counts(tp, 0, 10 - tp, 10)
    ...     case = Outcome(case_id="a", offers=(Offer(counts, counts),), picked=0, nothing=Counts(0, 0, 10, 10))
    ...     return Run("r", "m", "d", ("a",), (case,), "product")
    >>> compare(run(9), run(3)).broken[0].difference
    -0.6000000000000001
    """
    fields: Mapping[str, Sequence[object]] = {
        "data set": [scope_of(run) for run in (baseline, candidate)],
        "metric version": [run.provenance.get("metric_version", METRIC_VERSION) for run in (baseline, candidate)],
        "empty policy": [baseline.empty, candidate.empty],
        "picker": [baseline.pick, candidate.pick],
    }
    for name, (before, after) in fields.items():
        if before != after and (same_picker or name != "picker"):
            raise IncomparableError(f"incomparable: the {name} differs, {before!r} in {baseline.id}, now {after!r}")
    baseline = _as_far_as(baseline, candidate)
    before_by_id = {outcome.case_id: outcome for outcome in baseline.outcomes}
    both = [(before_by_id[o.case_id], o) for o in candidate.outcomes if o.case_id in before_by_id]
    readable = [(before, after) for before, after in both if not before.error and not after.error]
    other = [after.case_id for before, after in readable if _content(baseline, before) != _content(candidate, after)]
    if other:
        raise IncomparableError(
            f"incomparable: image, mask or prompt of {len(other)} cases differs from {baseline.id}, such as {other[0]}"
        )
    baseline = replace(baseline, threshold=candidate.threshold)
    scored = [(b, a, baseline.iou(b), candidate.iou(a)) for b, a in both]
    pairs = tuple(Pair(*row) for row in scored if not math.isnan(row[2]) and not math.isnan(row[3]))
    return Comparison(baseline, candidate, pairs)


def _as_far_as(baseline: Run, candidate: Run) -> Run:
    """The baseline's part that a part of the data set can be judged by: nothing but the part can be missing in it."""
    if not candidate.part and not candidate.narrowed_by:
        return baseline
    expected = set(candidate.expected)
    kept = (outcome for outcome in baseline.outcomes if outcome.case_id in expected)
    return replace(baseline.only(kept, candidate.part), part="")


def _content(run: Run, outcome: Outcome) -> str:
    """What the case is made of."""
    return outcome.digest if is_baseline(run) else content_of(outcome)


def is_baseline(run: Run) -> bool:
    """Whether a run has been read from a baseline."""
    return "accepted" in run.provenance
