"""Run: the outcomes of one model over one data set with provenance, aggregate metrics and failures."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.data.string_columns import StringColumn
from segqa.errors import SettingsError
from segqa.models.protocol import Floats
from segqa.runs.failure_kinds import KINDS, compute_kind_codes, find_kind, find_recoverable
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import Predicate, check_names, join_conditions, parse_condition
from segqa.runs.slices import Edges, assign_slices, list_attributes
from segqa.scoring.metrics import Counts, compute_metric, resolve_empty
from segqa.settings import EmptyPolicy
from segqa.settings.checks import nearest
from segqa.support.plurals import format_count

_CHUNK_SIZE = 1 << 16
_REASON_LENGTH = 400

CHANGED = "changed"
"""Provenance option of a run over perturbed cases: the name of their original data set."""

_FOR_ALL = ("--segqa-update-baseline", "--segqa-allow-dirty")
"""Options that do not select a part of a data set."""

_WITH_VALUE = ("--segqa-accept", "--segqa-shard", "--segqa-run")
"""The same, of those that are followed by a value: no part is made the baseline, and a case is asked for by its id."""


class Score(float):
    """A float that remembers its run, so that a failing assertion can explain it."""

    __slots__ = ("name", "of")
    name: str
    of: Run

    @classmethod
    def read(cls, value: float, name: str, of: Run) -> Score:
        """Return the value of the metric `name` of the run (or part of a run) `of`."""
        score = cls(value)
        score.name, score.of = name, of
        return score


@dataclass(frozen=True, slots=True)
class Run:
    """All outcomes of one model over one data set.

    Attributes:
        id: names the run and its folder.
        model: the model's name.
        dataset: the data set's name.
        expected: the ids of all cases that were to be evaluated.
        outcomes: of those that were, sorted by case id; whatever sequence is given becomes `Outcomes`.
        pick: the picker's name.
        empty: what a metric is where both masks are empty.
        threshold: the IoU below which a case has failed.
        part: which slice of the run this is (`"camera=C2"`); empty for the whole.
        condition: which slice of the run this is, as a condition that parses; empty for the whole, and for other parts.
        edges: how numeric attributes are cut into slices, see `slices.find_edges`.
        provenance: where the run comes from: command, commit, model fingerprint, data set digest, versions, times.
    """

    id: str
    model: str
    dataset: str
    expected: Sequence[str]
    outcomes: Sequence[Outcome] = field(repr=False)
    pick: str
    empty: EmptyPolicy = "one"
    threshold: float = 0.7
    part: str = ""
    condition: str = ""
    edges: Edges = field(default_factory=lambda: MappingProxyType({}), repr=False)
    provenance: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcomes", Outcomes.from_outcomes(self.outcomes))
        object.__setattr__(self, "expected", StringColumn.from_strings(self.expected))

    def __repr__(self) -> str:
        return f"<{self.title}: mean IoU {self.mean_iou:.4f}, {self.tally}>"

    @property
    def title(self) -> str:
        """Heading with model, data set and part."""
        return f"{self.model} on {self.dataset}" + (f", {self.part}" if self.part else "")

    @property
    def columns(self) -> Outcomes:
        """Outcomes as columns."""
        return cast(Outcomes, self.outcomes)

    @property
    def scored(self) -> Outcomes:
        """Outcomes that have an IoU."""
        return self.columns.take(~np.isnan(self.all_ious))

    @property
    def errors(self) -> Outcomes:
        """Outcomes of cases that could not be evaluated."""
        return self.columns.take(self.columns.failed)

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of the cases that have no outcome (yet)."""
        return tuple(StringColumn.from_strings(self.expected).exclude(self.columns.ids))

    @property
    def undefined(self) -> int:
        """Number of cases with an undefined IoU (both masks empty), whatever the policy for empty masks."""
        return int((np.isnan(self.columns.metric("iou")) & ~self.columns.failed).sum())

    @property
    def tally(self) -> str:
        """Case counts by status: `46 scored, 0 missing, 2 errors`."""
        unscored = len(self.outcomes) - len(self.scored) - len(self.errors)
        left_out = f", {unscored} undefined" if unscored else ""
        errors = format_count(len(self.errors), "error")
        return f"{len(self.scored)} scored, {len(self.missing)} missing, {errors}{left_out}"

    def iou(self, outcome: Outcome) -> float:
        """Return the IoU of an outcome under the run's policy for empty masks; NaN for an error."""
        return math.nan if outcome.counts is None else resolve_empty(outcome.counts.iou, self.empty)

    def kind(self, outcome: Outcome) -> str | None:
        """Return the failure kind, see `segqa.runs.failure_kinds.KINDS`; None where the case met the threshold."""
        return find_kind(outcome, self.threshold)

    @property
    def kind_codes(self) -> NDArray[np.int8]:
        """Failure kind of each outcome as an index into `KINDS`; -1 where the case met the threshold."""
        return compute_kind_codes(self.columns, self.threshold)

    def recoverable(self, outcome: Outcome) -> bool:
        """Return whether the picker chose the wrong mask although a proposal meets the threshold."""
        return bool(find_recoverable(Outcomes.from_outcomes([outcome]), self.threshold)[0])

    def values(self, metric: str) -> Floats:
        """Return a metric per outcome under the run's policy for empty masks, float64 `[n]`; NaN for an error."""
        values = self.columns.metric(metric)
        values[np.isnan(values) & ~self.columns.failed] = resolve_empty(math.nan, self.empty)
        return values

    @property
    def all_ious(self) -> Floats:
        """IoU of each outcome, see `values`."""
        return self.values("iou")

    @property
    def ious(self) -> Floats:
        """IoU of every scored case, float64 `[n]`, in the order of `scored`."""
        ious = self.all_ious
        return ious[~np.isnan(ious)]

    @property
    def mean_iou(self) -> Score:
        """Mean IoU over the scored cases; NaN where there are none."""
        return Score.read(compute_mean(self.ious), "mean IoU", self)

    def mean(self, metric: str) -> Score:
        """Return the mean `"iou"`, `"dice"`, `"precision"` or `"recall"` of the scored cases; NaN without any."""
        if metric not in ("iou", "dice", "precision", "recall"):
            raise SettingsError(f"unknown metric {metric!r}; {nearest(metric, ('iou', 'dice', 'precision', 'recall'))}")
        values = self.values(metric)
        return Score.read(compute_mean(values[~np.isnan(values)]), f"mean {metric}", self)

    @property
    def p05(self) -> Score:
        """5th percentile of the IoU over the scored cases (interpolated linearly); NaN without any."""
        value = float(np.percentile(self.ious, 5)) if len(self.ious) else math.nan
        return Score.read(value, "5th percentile of IoU", self)

    @property
    def pooled_iou(self) -> Score:
        """IoU over the pixels of all cases; large objects weigh more than in `mean_iou`."""
        total = Counts(*self.columns.counts.sum(axis=0).tolist())
        return Score.read(total.iou, "pooled IoU", self)

    @property
    def best_ious(self) -> Floats:
        """IoU of each outcome's best proposal, float64 `[n]`; meaningless for errors and undefined cases."""
        # in a scored case an undefined oracle is rightly nothing, whatever the policy for those who picked it
        best = compute_metric(self.columns.oracle, "iou")
        best[np.isnan(best)] = resolve_empty(math.nan, self.empty if self.empty != "nan" else "one")
        return best

    @property
    def oracle_iou(self) -> Score:
        """Mean IoU with the best proposal of each case picked."""
        return Score.read(compute_mean(self.best_ious[~np.isnan(self.all_ious)]), "oracle IoU", self)

    @property
    def regret(self) -> Score:
        """IoU lost by picking: `oracle_iou` minus `mean_iou`."""
        return Score.read(self.oracle_iou - self.mean_iou, "regret", self)

    @property
    def error_share(self) -> Score:
        """Share of the expected cases without a score: errors and missing cases."""
        lost = len(self.errors) + len(self.missing)
        share = lost / len(self.expected) if self.expected else math.nan
        return Score.read(share, "share of errors", self.only(self.errors, "errors"))

    def failures(self, kind: str | None = None) -> Failures:
        """Return the failed cases, of one failure kind or of all.

        Raises:
            SettingsError: there is no such kind.
        """
        if kind is not None and kind not in KINDS:
            raise SettingsError(f"unknown failure kind {kind!r}; {nearest(kind, KINDS)}")
        codes = self.kind_codes
        of_kind = codes >= 0 if kind is None else codes == KINDS[kind].code
        return Failures(self, kind or "failed", self.columns.take(of_kind))

    def kinds(self) -> Counter[str]:
        """Return the number of failed cases by failure kind."""
        codes = self.kind_codes
        return Counter({kind: many for code, kind in enumerate(KINDS) if (many := int((codes == code).sum()))})

    def worst(self, count: int = 5) -> Outcomes:
        """Return the `count` worst cases: errors, then by IoU and id, and last cases without score or error."""
        badness = np.where(self.columns.failed, -1.0, np.nan_to_num(self.all_ious, nan=2.0))
        by_id = self.columns.ids.sort_order()
        return self.columns.take(by_id[np.argsort(badness[by_id], kind="stable")][:count])

    @property
    def is_partial(self) -> bool:
        """True for a run over part of the data set: by limit, condition, shard or `--segqa-held-out`."""
        return bool(self.narrowed_by) or bool(self.provenance.get("options", {}).get("held-out"))

    @property
    def is_changed(self) -> bool:
        """True where the cases are perturbed by `segqa.analysis.robustness`."""
        return CHANGED in self.provenance.get("options", {})

    @property
    def narrowed_by(self) -> list[str]:
        """Options that left cases out, see `find_narrowing`."""
        return find_narrowing(self.provenance)

    def where(self, condition: str, name: str = "", *, strict: bool = True) -> Run:
        """Return the cases that meet a condition (`"camera=C2 and brightness=dark"`, see `segqa.runs.query`).

        Args:
            condition: which cases.
            name: of the part; the condition by default.
            strict: refuse what no case has; else it means no case.

        Raises:
            SettingsError: it is no condition, or names a tag, property or value that no case has.
        """
        parsed = parse_condition(condition)
        if strict:
            check_names(parsed, self.columns, self.edges)
        kept = self.columns.take(parsed.holds(self.columns, self.edges))
        return replace(self.only(kept, name or str(parsed)), condition=join_conditions(self.condition, condition))

    def slice(self, attribute: str, value: str) -> Run:
        """Return the part of the run with this value of a tag or a measured property (`"brightness", "dark"`).

        Raises:
            SettingsError: no case has this tag or property, or none has this value of it.
        """
        return self.where(str(Predicate(attribute, "=", value)))

    @property
    def how_to_repeat(self) -> str:
        """The command that evaluates just these cases again."""
        words = find_repeatable_options(str(self.provenance.get("command", "")))
        evaluated = str(self.provenance.get("options", {}).get("where", ""))
        condition = join_conditions(evaluated, self.condition)
        if not condition:
            return shlex.join(words)
        unknown = "proposals" in {predicate.name for predicate in parse_condition(condition).predicates()}
        if unknown or self.is_changed:
            # how many proposals there are is not known before the model has been asked; changed cases are no data set
            return shlex.join(["segqa", "show", self.id, "--where", self.condition])
        return shlex.join([*words, "--segqa-where", condition])

    def command_for(self, case_id: str) -> str:
        """The command that evaluates just this case again."""
        condition = str(Predicate("id", "=", case_id))
        return replace(self, condition=join_conditions(self.condition, condition)).how_to_repeat

    def only(self, outcomes: Iterable[Outcome], part: str) -> Run:
        """Return the part of the run with these outcomes, under a name and without missing cases."""
        kept = Outcomes.from_outcomes(outcomes)
        return replace(self, outcomes=kept, expected=kept.ids, part=part, condition="")

    def slices(self, *, min_cases: int = 1) -> Iterator[Run]:
        """Every slice by one tag or property that has at least `min_cases` cases, but fewer than all.

        Errors count as cases. Sorted by tag, then by property, and by value.
        """
        for condition, members in self.slice_members(min_cases=min_cases):
            part = self.only(self.columns.take(members), condition)
            yield replace(part, condition=join_conditions(self.condition, condition))

    def slice_members(self, *, min_cases: int = 1) -> Iterator[tuple[str, Mask]]:
        """The same as conditions, each with which of the outcomes it means, bool `[n]`."""
        for attribute in list_attributes(self.columns):
            names = assign_slices(self.columns, attribute, self.edges)
            for code, value in names.used:
                members = names.codes == code
                if min_cases <= members.sum() < len(self.outcomes):
                    yield str(Predicate(attribute, "=", value)), members

    def worst_slice(self, *, min_cases: int = 8) -> Run | None:
        """Return the slice with the lowest mean IoU, or without any score; None if no slice has `min_cases` cases."""
        parts = self.slices(min_cases=min_cases)
        return min(parts, key=lambda part: np.nan_to_num(part.mean_iou, nan=-1.0), default=None)


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed cases of a run, of one kind.

    Attributes:
        run: the run.
        kind: of the failures, or `"failed"` for all kinds together.
        outcomes: of the cases.
    """

    run: Run
    kind: str
    outcomes: Outcomes

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def share(self) -> Score:
        """The share of the run's cases, from 0 to 1; NaN where there are none.

        An error is no answer of the model, so it is left out of the cases, unless errors are what is counted.
        """
        total = len(self.run.outcomes) - (0 if self.kind in {"error", "failed"} else len(self.run.errors))
        part = self.run.only(self.outcomes, self.kind)
        return Score.read(len(self) / total if total else math.nan, f"share of {self.kind}", part)

    @property
    def recoverable(self) -> int:
        """Number of failures that another pick would have avoided."""
        return int(find_recoverable(self.outcomes, self.run.threshold).sum())

    @property
    def regret(self) -> Score:
        """IoU lost by picking: mean IoU of their best proposals minus their own; NaN for errors."""
        return self.run.only(self.outcomes, self.kind).regret


@lru_cache(maxsize=8)
def find_repeatable_options(command: str) -> tuple[str, ...]:
    """The words of a command that may be given again for a part of the cases; of another one than pytest the plain one.

    >>> find_repeatable_options("pytest suites --model=unet --segqa-update-baseline")
    ('pytest', 'suites', '--model=unet')
    """
    try:
        words = shlex.split(command)
    except ValueError:  # not by a shell
        words = []
    if words[:1] != ["pytest"]:
        return ("pytest", "suites")
    pairs = zip(words, ["", *words], strict=False)
    kept = [word for word, before in pairs if word not in _WITH_VALUE and before not in _WITH_VALUE]
    left_out = (*(f"{name}=" for name in _WITH_VALUE), *_FOR_ALL)
    return tuple(word for word in kept if not word.startswith(left_out))


def find_narrowing(provenance: Mapping[str, Any]) -> list[str]:
    """The options in a run's provenance that left cases of its data set out, or changed them, such as `limit`.

    A held-out part is not meant: it is a data set of its own.
    """
    return [name for name in ("limit", "where", "shard", CHANGED) if name in provenance.get("options", {})]


def describe(run: Run, outcome: Outcome) -> str:
    """One case in a line: IoU, kind, id, and what an oracle would have made of it.

    >>> from segqa.runs.outcome import ProposalScore
    >>> wrong, right = (ProposalScore(counts, counts) for counts in (Counts(0, 9, 9, 9), Counts(9, 0, 0, 18)))
    >>> empty = Counts(0, 0, 9, 18)
    >>> lost = Outcome(case_id="C2_00270", proposal_scores=(wrong, right), picked=0, empty_prediction=empty)
    >>> describe(Run("r", "m", "d", (), (lost,), "product"), lost)
    '0.0000  wrong_object  C2_00270  (proposal 1 has 1.0000)'
    """
    if outcome.error:
        # what to do stands at the end
        reason = outcome.reason
        if len(reason) > _REASON_LENGTH:
            reason = f"{reason[: _REASON_LENGTH - 1]}…"
        return f"error   {outcome.case_id}  {reason}"
    line = f"{run.iou(outcome):.4f}  {run.kind(outcome) or 'passed'}  {outcome.case_id}"
    if run.recoverable(outcome) and outcome.oracle is not None:
        line += f"  (proposal {outcome.best} has {outcome.oracle.iou:.4f})"
    return line


def compute_mean(values: Floats) -> float:
    """Return the mean, independent of the order of summation; NaN without values."""
    parts = (values[start : start + _CHUNK_SIZE].tolist() for start in range(0, len(values), _CHUNK_SIZE))
    return math.fsum(chain.from_iterable(parts)) / len(values) if len(values) else math.nan
