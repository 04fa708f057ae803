"""Compare two runs case by case: a baseline that was good enough, and a candidate to be judged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.data.string_columns import CategoricalColumn, StringColumn
from segqa.errors import IncomparableError, SettingsError
from segqa.gate.baseline import get_scope
from segqa.gate.coverage import NAME_IT, ChangedData, require_shared, split_changed
from segqa.gate.pairs import Pairs, compute_change, fill_undefined
from segqa.models.protocol import Floats
from segqa.runs.failure_kinds import KINDS, ZERO_IOU_CODES, compute_paired_kind_codes
from segqa.runs.groups import Groups, number_groups
from segqa.runs.run import Run
from segqa.runs.slices import assign_slices, list_attributes
from segqa.scoring.metrics import METRIC_VERSION, resolve_empty
from segqa.settings.checks import nearest
from segqa.support.plurals import format_count

BROKEN_DROP = 0.5
METRICS = ("iou", "dice", "precision", "recall")


@dataclass(frozen=True, slots=True, eq=False)
class SliceChange:
    """A slice of the pairs.

    Attributes:
        name: as a condition (`camera=C2`).
        attribute: of the slice.
        size: how many pairs are in it.
        samples: how many independent samples they are: groups, or pairs where there are no groups.
        changed: how many samples have a pair with another IoU than before.
        names: of the slices by this attribute, of all pairs.
        code: of this one.
        is_former: whether the pairs are those that had this tag in the baseline, and now have another one.
    """

    name: str
    attribute: str
    size: int
    samples: int
    changed: int
    names: CategoricalColumn
    code: int
    is_former: bool = False

    @property
    def members(self) -> Mask:
        """The pairs that are in the slice, bool `[pairs]`."""
        found: Mask = self.names.codes == self.code
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two runs, case by case.

    Attributes:
        baseline: the run that was good enough.
        candidate: the run judged against it.
        pairs: the cases that have an outcome without an error in both and are made of the same data, sorted by id.
        changed: those that are made of other data now.
        left_out: how many cases of the baseline the candidate run was not asked for.
    """

    baseline: Run
    candidate: Run
    pairs: Pairs
    changed: ChangedData
    left_out: int = 0

    @property
    def differences(self) -> Floats:
        """IoU now minus IoU then, float64 `[pairs]`; NaN where it is undefined on both sides."""
        return self.pairs.differences

    def metric_differences(self, metric: str) -> Floats:
        """Return the difference of another metric of the counts, float64 `[pairs]`."""
        sides = [side.metric(metric) for side in (self.pairs.before, self.pairs.after)]
        values = np.stack(sides, axis=1)
        values[np.isnan(values)] = resolve_empty(math.nan, self.candidate.empty)
        return compute_change(values)

    def mean_change(self, metric: str) -> float:
        """The mean difference of a metric over the pairs in which it is defined; 0 without any."""
        differences = self.metric_differences(metric)
        known = differences[~np.isnan(differences)]
        return float(known.mean()) if len(known) else 0.0

    @property
    def paired_means(self) -> tuple[float, float]:
        """The mean IoU before and after over the cases that have an IoU in both runs; NaN where there are none."""
        values = fill_undefined(self.defined.pairs.ious)
        before, after = values.mean(axis=0).tolist() if len(values) else (math.nan, math.nan)
        return before, after

    @property
    def is_partial(self) -> bool:
        """Return whether a case that one of the runs scored is in no pair."""
        scored = max(len(run.scored) for run in (self.baseline, self.candidate))
        return len(self.pairs) < scored

    @property
    def defined(self) -> Comparison:
        """The comparison without pairs that are undefined on both sides; tests of means use it."""
        return replace(self, pairs=self.pairs.take(~np.isnan(self.differences)))

    def kind_codes(self) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """The kinds of failure before and after, by the candidate's threshold, see `compute_paired_kind_codes`."""
        return compute_paired_kind_codes(self.pairs.before, self.pairs.after, self.candidate.threshold)

    @property
    def identical(self) -> bool:
        """Return whether every case has the same counts and none was added, removed or changed."""
        same = np.array_equal(self.pairs.before.counts, self.pairs.after.counts)
        return same and not (self.changed or self.new or self.missing or self.new_errors or self.recovered)

    @property
    def new(self) -> tuple[str, ...]:
        """The cases that the baseline does not have."""
        return tuple(
            StringColumn.from_strings(self.candidate.expected).exclude(
                StringColumn.from_strings(self.baseline.expected)
            )
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """The cases of the baseline that have no outcome now."""
        return tuple(StringColumn.from_strings(self.baseline.expected).exclude(self.candidate.columns.ids))

    @property
    def new_errors(self) -> tuple[str, ...]:
        """The cases that are an error now and were none in the baseline."""
        broken = set(self.baseline.errors.ids)
        return tuple(case_id for case_id in self.candidate.errors.ids if case_id not in broken)

    @property
    def recovered(self) -> tuple[str, ...]:
        """The cases that were an error in the baseline and are none now."""
        broken = self.baseline.errors.ids
        if not broken:
            return ()
        done = self.candidate.columns.take(~self.candidate.columns.failed).ids
        return tuple(broken.take(np.flatnonzero(done.find_places(broken) >= 0)))

    @property
    def broken(self) -> Pairs:
        """The cases that collapse: they lose 0.5 or more and fail, or passed and are a zero-IoU failure now.

        A rightly empty answer passes, whatever the policy for empty masks makes of its IoU. Of a case whose data have
        changed the IoUs cannot be compared, but what passed and is a zero-IoU failure now is broken all the same.
        """
        return self.pairs.take(self._collapses(0, 1)).join(self._broken_by_other_data)

    @property
    def fixed(self) -> Pairs:
        """The opposite of broken."""
        return self.pairs.take(self._collapses(1, 0))

    @property
    def worse(self) -> int:
        """The number of cases with a lower IoU."""
        return int((self.differences < 0).sum())

    @property
    def better(self) -> int:
        """The number of cases with a higher IoU."""
        return int((self.differences > 0).sum())

    @property
    def transitions(self) -> Counter[tuple[str, str]]:
        """The number of cases by failure kind before and after; `passed` is no failure."""
        names = ["passed", *KINDS]
        before, after = (codes + 1 for codes in self.kind_codes())
        moves = np.bincount(before.astype(np.int64) * len(names) + after, minlength=len(names) ** 2).tolist()
        moved = {divmod(move, len(names)): times for move, times in enumerate(moves)}
        return Counter({(names[was], names[now]): times for (was, now), times in moved.items() if times and was != now})

    def worst(self, count: int = 5) -> Pairs:
        """Return the pairs that lost most."""
        return self.pairs.sort_by_change()[:count]

    def slices(self, attribute: str = "*", *, min_cases: int = 8, groups: Groups | None = None) -> list[SliceChange]:
        """Return the slices of the pairs by one attribute, or by all, with `min_cases` cases or more but not all.

        Both sides of a pair are in the slice of its case now: they are the same image. Where cases have other tags than
        in the baseline, the slices by the baseline's tags are there, too, so that new tags hide no loss.

        Raises:
            SettingsError: no case has this attribute.
        """
        after, before = self.pairs.after, self.pairs.before
        known = list_attributes(after)
        if attribute != "*" and attribute not in known:
            raise SettingsError(f"no case has a tag or property {attribute!r}; {nearest(attribute, known)}")
        found: list[SliceChange] = []
        moved = np.nan_to_num(self.differences) != 0
        gone = sorted(before.tags.keys() - set(known))
        for name in [*known, *gone] if attribute == "*" else [attribute]:
            names = assign_slices(after, name, self.candidate.edges)
            found += _compute_slices(name, names, moved, min_cases, groups)
            if name in before.tags:
                former = assign_slices(before, name, self.candidate.edges)
                kept = _find_kept(former, names)
                found += [
                    replace(each, name=f"{each.name} of the baseline", is_former=True)
                    for each in _compute_slices(name, former, moved, min_cases, groups)
                    if each.code not in kept
                ]
        return found

    def groups(self, tag: str) -> Groups | None:
        """Return the group number of each pair by a tag; None for no tag, see `segqa.runs.groups.number_groups`.

        Raises:
            SettingsError: no case has this tag.
        """
        return number_groups(self.pairs.after, tag)

    def latencies(self, percentile: float) -> tuple[float, float]:
        """Return a percentile of the seconds a case, in the baseline and now; NaN where they are not known."""
        both = [run.columns.seconds for run in (self.baseline, self.candidate)]
        both = [seconds[seconds > 0] for seconds in both]
        before, after = (float(np.percentile(known, percentile)) if len(known) else math.nan for known in both)
        return before, after

    def latency(self, percentile: float) -> float:
        """Return a percentile of the seconds a case now, as a multiple of the baseline's; NaN where one is unknown."""
        before, after = self.latencies(percentile)
        return after / before

    def exclude(self, case_ids: set[str]) -> Comparison:
        """Return the comparison without some cases; cases whose data have changed stay."""
        runs = [
            replace(
                run,
                outcomes=run.columns.take(~run.columns.ids.is_among(case_ids)),
                expected=StringColumn.from_strings(run.expected).take(
                    np.flatnonzero(~StringColumn.from_strings(run.expected).is_among(case_ids))
                ),
            )
            for run in (self.baseline, self.candidate)
        ]
        kept = self.pairs.take(~self.pairs.ids.is_among(case_ids))
        return replace(self, baseline=runs[0], candidate=runs[1], pairs=kept)

    @property
    def _broken_by_other_data(self) -> Pairs:
        """The cases whose data have changed that passed and are a zero-IoU failure now."""
        pairs, threshold = self.changed.pairs, self.candidate.threshold
        before, after = compute_paired_kind_codes(pairs.before, pairs.after, threshold)
        return pairs.take((before < 0) & np.isin(after, ZERO_IOU_CODES))

    def _collapses(self, side: int, other: int) -> Mask:
        """Return which pairs collapse from one side to the other, bool `[pairs]`; 0 is before, 1 is after."""
        codes, ious = self.kind_codes(), self.pairs.ious
        lost = compute_change(ious[:, [side, other]])
        fell: Mask = (lost <= -BROKEN_DROP) & (ious[:, other] < self.candidate.threshold)
        return fell | ((codes[side] < 0) & np.isin(codes[other], ZERO_IOU_CODES))


def compare(baseline: Run, candidate: Run, *, same_picker: bool = True) -> Comparison:
    """Compare two runs case by case.

    Both are read with the candidate's threshold, so that a stricter one is no regression.

    Args:
        baseline: what was good enough.
        candidate: what is judged against it.
        same_picker: refuse runs that were picked by different pickers.

    Raises:
        IncomparableError: they were made on other data, or scored in another way; says which field differs. Or fewer
            than half of the baseline's cases, as far as the candidate was asked for them, say something about it.

    >>> from segqa.scoring.metrics import Counts
    >>> from segqa.runs.outcome import ProposalScore, Outcome
    >>> def run(tp):
    ...     counts = Counts(tp, 0, 10 - tp, 10)
    ...     scores = (ProposalScore(counts, counts),)
    ...     case = Outcome(case_id="a", proposal_scores=scores, picked=0, empty_prediction=Counts(0, 0, 10, 10))
    ...     return Run("r", "m", "d", ("a",), (case,), "product")
    >>> compare(run(9), run(3)).broken[0].difference
    -0.6000000000000001
    """
    fields: Mapping[str, Sequence[object]] = {
        "data set": [get_scope(run) for run in (baseline, candidate)],
        "metric version": [run.provenance.get("metric_version", METRIC_VERSION) for run in (baseline, candidate)],
        "empty policy": [baseline.empty, candidate.empty],
        "picker": [baseline.pick, candidate.pick],
    }
    for name, (before, after) in fields.items():
        if before != after and (same_picker or name != "picker"):
            raise IncomparableError(f"incomparable: the {name} differs, {before!r} in {baseline.id}, now {after!r}")
    whole, baseline = baseline, replace(_narrow_baseline(baseline, candidate), threshold=candidate.threshold)
    require_shared(baseline, candidate)
    pairs, changed = split_changed(baseline, candidate, _pair_cases(baseline, candidate))
    if changed and 2 * len(pairs) < len(baseline.columns):
        raise IncomparableError(
            f"incomparable: only {len(pairs)} of the {format_count(len(baseline.columns), 'case')} of "
            f"{baseline.id} can be judged; "
            f"others have other data ({changed.summary}, such as {changed.pairs.ids[0]}); if they were corrected: "
            f"--segqa-update-baseline --segqa-accept REASON; if it is another data set: {NAME_IT}"
        )
    return Comparison(baseline, candidate, pairs, changed, len(whole.expected) - len(baseline.expected))


def _compute_slices(
    name: str, names: CategoricalColumn, moved: Mask, min_cases: int, groups: Groups | None
) -> list[SliceChange]:
    """The slices by one attribute with so many pairs but not all of them.

    Args:
        name: of the attribute.
        names: of the slices, of all pairs.
        moved: which pairs have another IoU than before.
        min_cases: so many at least.
        groups: of the pairs; None where each is independent.
    """
    sizes = _count_samples(names, np.ones(len(moved), np.bool_), None)
    samples = sizes if groups is None else _count_samples(names, np.ones(len(moved), np.bool_), groups)
    changed = _count_samples(names, moved, groups)
    return [
        SliceChange(f"{name}={value}", name, sizes[code], samples[code], changed[code], names, code)
        for code, value in names.used
        if value and min_cases <= sizes[code] < len(moved)
    ]


def _find_kept(former: CategoricalColumn, names: CategoricalColumn) -> set[int]:
    """Find the codes of a former column whose pairs are one slice now, all of it, whatever its name."""
    width = len(names.values) + 1
    joint, counts = np.unique(former.codes.astype(np.int64) * width + names.codes + 1, return_counts=True)
    was, now = joint // width, joint % width - 1
    whole = np.bincount(names.codes[names.codes >= 0], minlength=width)[now] == counts
    alone = np.bincount(was[was >= 0], minlength=len(former.values) + 1)[was] == 1
    return set(was[(was >= 0) & (now >= 0) & whole & alone].tolist())


def _count_samples(names: CategoricalColumn, chosen: Mask, groups: Groups | None) -> list[int]:
    """Count, for each code of a column, the groups that some of the pairs with this code are in; or these pairs."""
    named = (names.codes >= 0) & chosen
    codes = names.codes[named].astype(np.int64)
    if groups is not None:
        width = len(groups) + 1
        codes = np.unique(codes * width + groups[named]) // width
    counts: list[int] = np.bincount(codes, minlength=len(names.values)).tolist()
    return counts


def _pair_cases(baseline: Run, candidate: Run) -> Pairs:
    """Pair the cases that both runs have, in the candidate's order, scored or not."""
    there = baseline.columns.ids.find_places(candidate.columns.ids)
    before, after = baseline.columns.take(there[there >= 0]), candidate.columns.take(there >= 0)
    if np.array_equal(there, np.arange(len(baseline.columns))):
        before = baseline.columns
    ious = [replace(run, outcomes=side).all_ious for run, side in ((baseline, before), (candidate, after))]
    return Pairs(before, after, np.stack(ious, axis=1))


def _narrow_baseline(baseline: Run, candidate: Run) -> Run:
    """Narrow a baseline to the part of the data set that the candidate was asked for."""
    if not candidate.part and not candidate.narrowed_by:
        return baseline
    kept = StringColumn.from_strings(candidate.expected).find_places(baseline.columns.ids) >= 0
    return replace(baseline.only(baseline.columns.take(kept), candidate.part), part="")
