"""The gate's own test: a finished run is damaged in known ways, and the gate has to see what it promises to see.

It must also stay silent where there is nothing to see: at an identical copy, and at noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segqa.errors import SettingsError
from segqa.gate.comparison import compare
from segqa.gate.verdict import ALPHA, Rule, judge, rules_of
from segqa.runs.groups import Groups, group_numbers
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from segqa.stats.permutation_test import smallest_p

NOISE = 20
"""So many noisy copies are judged; by chance one in twenty may be found worse."""

_SEED = 20240101
Damage = Callable[[Run, np.random.Generator], Run]


@dataclass(frozen=True, slots=True)
class DamageTrial:
    """One way of damaging a run, and whether the gate saw it.

    Attributes:
        name: what was done.
        fired: how often the gate found a regression.
        trials: of how many.
        promised: whether it has to; None where that depends on the run.
        text: the first finding.
    """

    name: str
    fired: int
    trials: int
    promised: bool | None
    text: str

    @property
    def passed(self) -> bool:
        """Whether the gate did what it has to."""
        if self.promised is None:
            return True
        # a level of 5 % on 20 copies: more than four by chance in one of 400 tests
        return self.fired == self.trials if self.promised else self.fired <= self.trials // 5


def selftest(
    run: Run, rules: Sequence[Rule] | None = None, *, alpha: float = ALPHA, group_by: str = ""
) -> list[DamageTrial]:
    """Damage copies of a run, and judge each against it.

    Args:
        run: a finished one, with ten scored cases or more.
        rules: of the gate.
        alpha: of the gate.
        group_by: of the gate.

    Raises:
        SettingsError: the run is too small to be damaged, or no case has the tag to group by.
    """
    if len(run.scored) < 10:
        raise SettingsError(f"a selftest needs a run with 10 scored cases or more, got {len(run.scored)}")
    rules = rules_of(()) if rules is None else tuple(rules)
    groups = group_numbers(run.columns, group_by)
    scored = ~np.isnan(run.all_ious)
    samples = int(scored.sum()) if groups is None else len(np.unique(groups[scored]))
    if smallest_p(samples) > alpha:
        # of so few samples no mean is judged, so that none of its rules promises anything
        damages = _damages(run, [rule for rule in rules if not rule.subject.startswith("mean_")], groups)
    else:
        damages = _damages(run, rules, groups)
    return [_tried(run, rules, alpha, group_by, *damage) for damage in damages]


def _damages(run: Run, rules: Sequence[Rule], groups: Groups | None) -> Iterator[tuple[str, Damage, int, bool | None]]:
    """What is done: a name, how, how often, and whether the gate has to see it; None where its rules do not say."""
    bounds = {rule.key: rule.bound for rule in rules if rule.bound is not None}
    good = int((run.kind_codes < 0).sum())
    for count in (1, 3, 10):
        if count <= good:
            yield f"{count} good cases to zero", _zeroed(count), 1, bounds.get("broken", 1e9) < count or None
    mean = bounds.get("mean_iou", 1.0)
    yield "all cases 0.5 points worse", lambda run, _: _all(run, -0.005), 1, mean < 0.004 or None
    yield "one slice 2 points worse", _slice_worse, 1, None
    yield "predictions shuffled, half of another's IoU each", _shuffled, 1, mean < 0.1 or None
    yield "one case an error", _error, 1, bounds.get("errors", 1) < 1 or None
    yield "one case missing", _without_one, 1, bounds.get("missing", 1) < 1 or None
    yield "an identical copy", lambda run, _: run, 1, False
    yield "noise of 1 point", _noisy(groups), NOISE, False


def _tried(
    run: Run,
    rules: Sequence[Rule] | None,
    alpha: float,
    group_by: str,
    name: str,
    damage: Damage,
    trials: int,
    promised: bool | None,
) -> DamageTrial:
    random = np.random.default_rng(_SEED)
    fired, text = 0, ""
    for _ in range(trials):
        verdict = judge(compare(run, damage(run, random)), rules, alpha=alpha, group_by=group_by)
        fired += not verdict.passed
        text = text or next((f"{finding.rule}  {finding.text}" for finding in verdict.findings), "")
    return DamageTrial(name, fired, trials, promised, text)


def _zeroed(count: int) -> Damage:
    """So many of the cases that passed, at random, become a zero-IoU failure."""

    def damage(run: Run, random: np.random.Generator) -> Run:
        lost = set(random.choice(np.flatnonzero(run.kind_codes < 0), count, replace=False).tolist())
        outcomes = (_predict(each, 0) if place in lost else each for place, each in enumerate(run.outcomes))
        return replace(run, outcomes=tuple(outcomes))

    return damage


def _slice_worse(run: Run, _random: np.random.Generator) -> Run:
    """The cases of the largest slice with at most half of all lose 2 points."""
    slices = [part for part in run.slices(min_cases=8) if 2 * len(part.outcomes) <= len(run.outcomes)]
    chosen = max(slices, key=lambda part: len(part.outcomes), default=run)
    inside = {outcome.case_id for outcome in chosen.outcomes}
    return _changed(run, lambda outcome: run.iou(outcome) - 0.02 if outcome.case_id in inside else None)


def _shuffled(run: Run, random: np.random.Generator) -> Run:
    """Every case has the IoU of another one, and half of it: a mask from another image hardly ever fits."""
    ious = dict(zip([o.case_id for o in run.scored], random.permutation(run.ious).tolist(), strict=True))
    return _changed(run, lambda outcome: 0.5 * ious[outcome.case_id] if outcome.case_id in ious else None)


def _error(run: Run, random: np.random.Generator) -> Run:
    lost = random.choice([outcome.case_id for outcome in run.scored])
    outcomes = (
        Outcome(case_id=o.case_id, tags=o.tags, error="Traceback\nRuntimeError: damaged") if o.case_id == lost else o
        for o in run.outcomes
    )
    return replace(run, outcomes=tuple(outcomes))


def _without_one(run: Run, _random: np.random.Generator) -> Run:
    return replace(run, outcomes=run.outcomes[1:])


def _noisy(groups: Groups | None) -> Damage:
    """Every case a little better or worse, as likely the one as the other, by 1 point or as far as there is room.

    The cases of a group get better or worse together.
    """

    def damage(run: Run, random: np.random.Generator) -> Run:
        own = np.arange(len(run.outcomes)) if groups is None else groups
        drawn = random.uniform(-1, 1, int(own.max()) + 1)[own]
        by: dict[str, float] = dict(zip(run.columns.ids, drawn.tolist(), strict=True))

        def noisy(outcome: Outcome) -> float:
            iou = run.iou(outcome)
            return iou + by[outcome.case_id] * min(0.01 * math.sqrt(3), iou, 1 - iou)

        return _changed(run, noisy)

    return damage


def _all(run: Run, by: float) -> Run:
    return _changed(run, lambda outcome: run.iou(outcome) + by)


def _changed(run: Run, iou_of: Callable[[Outcome], float | None]) -> Run:
    """The run with other predictions: cases that are given an IoU have it, as near as whole pixels go."""
    return replace(run, outcomes=tuple(_with(run, outcome, iou_of(outcome)) for outcome in run.outcomes))


def _with(run: Run, outcome: Outcome, iou: float | None) -> Outcome:
    """An outcome with another prediction: as much of the target as its IoU says, and nothing beside it."""
    nothing = outcome.nothing
    if iou is None or nothing is None or not nothing.target or run.kind(outcome) == "missed":
        return outcome
    return _predict(outcome, round(min(max(iou, 0.0), 1.0) * nothing.target))


def _predict(outcome: Outcome, tp: int) -> Outcome:
    """The outcome with a prediction of so many pixels of its target; without any, of a pixel beside it if there is one.

    Where the target is empty that makes a rightly empty answer a hallucination.
    """
    nothing = outcome.nothing
    if nothing is None:
        return outcome
    # of a zero something has to be predicted, or it would be a missed case
    fp = 0 if tp else min(1, nothing.tn)
    counts = Counts(tp, fp, nothing.target - tp, nothing.tn - fp)
    return replace(outcome, proposal_scores=(ProposalScore(counts, counts),), picked=0)
