"""Test the gate itself: damage a finished run in known ways, and check that the gate detects what it promises.

It must also stay silent where there is nothing to see: at an identical copy, and at noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segqa.errors import SettingsError
from segqa.gate.comparison import compare
from segqa.gate.rules import Rule, resolve_rules
from segqa.gate.verdict import ALPHA, judge
from segqa.runs.groups import Groups, number_groups
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from segqa.stats.permutation_test import compute_smallest_p

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
        """Return whether the gate did what it must."""
        if self.promised is None:
            return True
        # a level of 5 % on 20 copies: more than four by chance in one of 400 tests
        return self.fired == self.trials if self.promised else self.fired <= self.trials // 5


def run_self_test(
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
    rules = resolve_rules(()) if rules is None else tuple(rules)
    groups = number_groups(run.columns, group_by)
    scored = ~np.isnan(run.all_ious)
    samples = int(scored.sum()) if groups is None else len(np.unique(groups[scored]))
    if compute_smallest_p(samples) > alpha:
        # of so few samples no mean is judged, so that none of its rules promises anything
        damages = _list_damages(run, [rule for rule in rules if not rule.subject.startswith("mean_")], groups)
    else:
        damages = _list_damages(run, rules, groups)
    return [_run_trial(run, rules, alpha, group_by, *damage) for damage in damages]


def _list_damages(
    run: Run, rules: Sequence[Rule], groups: Groups | None
) -> Iterator[tuple[str, Damage, int, bool | None]]:
    """Yield the damages: name, function, trials, and whether the gate must see it (None: its rules do not say)."""
    bounds = {rule.key: rule.bound for rule in rules if rule.bound is not None}
    good = int((run.kind_codes < 0).sum())
    for count in (1, 3, 10):
        if count <= good:
            yield f"{count} good cases to zero", _zero_cases(count), 1, bounds.get("broken", 1e9) < count or None
    mean = bounds.get("mean_iou", 1.0)
    yield "all cases 0.5 points worse", lambda run, _: _shift_all(run, -0.005), 1, mean < 0.004 or None
    yield "one slice 2 points worse", _worsen_slice, 1, None
    yield "predictions shuffled, half of another's IoU each", _shuffle_predictions, 1, mean < 0.1 or None
    yield "one case an error", _break_case, 1, bounds.get("errors", 1) < 1 or None
    yield "one case missing", _remove_case, 1, bounds.get("missing", 1) < 1 or None
    yield "an identical copy", lambda run, _: run, 1, False
    yield "noise of 1 point", _add_noise(groups), NOISE, False


def _run_trial(
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


def _zero_cases(count: int) -> Damage:
    """Turn `count` random cases that passed into zero-IoU failures."""

    def damage(run: Run, random: np.random.Generator) -> Run:
        lost = set(random.choice(np.flatnonzero(run.kind_codes < 0), count, replace=False).tolist())
        outcomes = (_replace_prediction(each, 0) if place in lost else each for place, each in enumerate(run.outcomes))
        return replace(run, outcomes=tuple(outcomes))

    return damage


def _worsen_slice(run: Run, _random: np.random.Generator) -> Run:
    """Take 0.02 of IoU from each case of the largest slice that has at most half of all cases."""
    slices = [part for part in run.slices(min_cases=8) if 2 * len(part.outcomes) <= len(run.outcomes)]
    chosen = max(slices, key=lambda part: len(part.outcomes), default=run)
    inside = {outcome.case_id for outcome in chosen.outcomes}
    return _change_ious(run, lambda outcome: run.iou(outcome) - 0.02 if outcome.case_id in inside else None)


def _shuffle_predictions(run: Run, random: np.random.Generator) -> Run:
    """Give each case half of the IoU of another case: a mask from another image hardly ever fits."""
    ious = dict(zip([o.case_id for o in run.scored], random.permutation(run.ious).tolist(), strict=True))
    return _change_ious(run, lambda outcome: 0.5 * ious[outcome.case_id] if outcome.case_id in ious else None)


def _break_case(run: Run, random: np.random.Generator) -> Run:
    lost = random.choice([outcome.case_id for outcome in run.scored])
    outcomes = (
        Outcome(case_id=o.case_id, tags=o.tags, error="Traceback\nRuntimeError: damaged") if o.case_id == lost else o
        for o in run.outcomes
    )
    return replace(run, outcomes=tuple(outcomes))


def _remove_case(run: Run, _random: np.random.Generator) -> Run:
    return replace(run, outcomes=run.outcomes[1:])


def _add_noise(groups: Groups | None) -> Damage:
    """Move the IoU of each case up or down with equal probability, by 0.01 or as far as there is room.

    The cases of a group get better or worse together.
    """

    def damage(run: Run, random: np.random.Generator) -> Run:
        own = np.arange(len(run.outcomes)) if groups is None else groups
        drawn = random.uniform(-1, 1, int(own.max()) + 1)[own]
        by: dict[str, float] = dict(zip(run.columns.ids, drawn.tolist(), strict=True))

        def noisy(outcome: Outcome) -> float:
            iou = run.iou(outcome)
            return iou + by[outcome.case_id] * min(0.01 * math.sqrt(3), iou, 1 - iou)

        return _change_ious(run, noisy)

    return damage


def _shift_all(run: Run, by: float) -> Run:
    return _change_ious(run, lambda outcome: run.iou(outcome) + by)


def _change_ious(run: Run, iou_of: Callable[[Outcome], float | None]) -> Run:
    """Return the run with other predictions that give the IoUs of `iou_of`, as near as whole pixels allow."""
    return replace(run, outcomes=tuple(_set_iou(run, outcome, iou_of(outcome)) for outcome in run.outcomes))


def _set_iou(run: Run, outcome: Outcome, iou: float | None) -> Outcome:
    """Return an outcome whose prediction covers as much of the target as the IoU says, and nothing else."""
    nothing = outcome.empty_prediction
    if iou is None or nothing is None or not nothing.target or run.kind(outcome) == "missed":
        return outcome
    return _replace_prediction(outcome, round(min(max(iou, 0.0), 1.0) * nothing.target))


def _replace_prediction(outcome: Outcome, tp: int) -> Outcome:
    """Return the outcome with a prediction of `tp` pixels of its target; with 0, of a pixel beside it if there is one.

    Where the target is empty that makes a rightly empty answer a hallucination.
    """
    nothing = outcome.empty_prediction
    if nothing is None:
        return outcome
    # of a zero something has to be predicted, or it would be a missed case
    fp = 0 if tp else min(1, nothing.tn)
    counts = Counts(tp, fp, nothing.target - tp, nothing.tn - fp)
    return replace(outcome, proposal_scores=(ProposalScore(counts, counts),), picked=0)
