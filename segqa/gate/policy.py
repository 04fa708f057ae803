"""The policy of a gate: the rules, known failures and thresholds in force. A verdict names what was relaxed.

A baseline keeps the policy that it was written under. A later verdict compares it with its own, so that nobody makes a
gate pass by relaxing it without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from segqa.errors import SettingsError
from segqa.gate.baseline import describe_unchecked, is_baseline
from segqa.gate.comparison import Comparison
from segqa.gate.rules import DEFAULT_RULES, Rule, parse_rule, resolve_rules
from segqa.gate.verdict import Verdict, judge
from segqa.runs.failure_kinds import read_expected_kinds
from segqa.runs.run import Run
from segqa.settings import GateSettings, Settings, Thresholds

_AT_LEAST = frozenset({"mean_iou", "p05", "invariance"})
"""The thresholds that are stricter when they are higher."""

_SHOWN_REASONS = 3

_BOTH_WAYS = frozenset({"iou"})
"""The thresholds that decide which cases fail, so that any change can excuse some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules, thresholds and known failures in force for one model.

    Attributes:
        rules: of the gate; those that are off are left out.
        alpha: the level of its tests.
        group_by: the tag of its groups; empty for none.
        thresholds: the bounds that the suites assert; None where they are not known.
        known: where a known failure is expected, the last day and the kinds; None where they are not known.
        suites: how much the suites beside the gate look at, by name; less is weaker. None where it is not known.
    """

    rules: tuple[Rule, ...]
    alpha: float
    group_by: str
    thresholds: Mapping[str, float | None] | None = None
    known: tuple[tuple[str, str, str], ...] | None = None
    suites: Mapping[str, float] | None = None

    def to_header(self) -> dict[str, Any]:
        """Return the policy in JSON types, in an order that does not depend on the settings."""
        known = None if self.known is None else sorted(map(list, self.known))
        return {**asdict(self), "rules": sorted(map(str, self.rules)), "known": known}


def build_policy(
    settings: Settings | GateSettings, model: str, *, fail_on: Iterable[str] = (), group_by: str | None = None
) -> Policy:
    """Return the policy for a model.

    Args:
        settings: all of `[tool.segqa]`; with those of the gate alone, thresholds and known failures are not known.
        model: its name.
        fail_on: rules of the command line, in the place of their like.
        group_by: a tag in place of the settings' own; None for theirs.

    Raises:
        SettingsError: a rule makes no sense.
    """
    gate = settings.gate if isinstance(settings, Settings) else settings
    policy = Policy(
        rules=resolve_rules([*gate.fail_on, *fail_on]),
        alpha=gate.alpha,
        group_by=gate.group_by if group_by is None else group_by,
    )
    if not isinstance(settings, Settings):
        return policy
    known = tuple(
        (each.where, each.until.isoformat(), " ".join(sorted(read_expected_kinds(each)))) for each in settings.known
    )
    robustness = settings.robustness_for(model)
    suites = {
        "robustness cases": robustness.cases,
        "robustness minutes": robustness.minutes,
        "training data sets": int(bool(settings.train_dataset)),
    }
    return replace(policy, thresholds=asdict(settings.thresholds_for(model)), known=known, suites=suites)


def judge_with_settings(
    settings: Settings | GateSettings,
    comparison: Comparison,
    *,
    fail_on: Iterable[str] = (),
    group_by: str | None = None,
) -> Verdict:
    """Judge a comparison as `[tool.segqa]` says, and name what was relaxed since the baseline was written.

    Args:
        settings: see `build_policy`.
        comparison: to be judged.
        fail_on: more rules, in the place of their like.
        group_by: a tag in place of the settings' own; None for theirs.

    Raises:
        SettingsError: as `judge` and `resolve_rules` do.
        IncomparableError: as `judge` does.
    """
    policy = build_policy(settings, comparison.candidate.model, fail_on=fail_on, group_by=group_by)
    verdict = judge(comparison, policy.rules, alpha=policy.alpha, group_by=policy.group_by)
    notes: list[str] = []
    relaxed: tuple[str, ...] = ()
    if is_baseline(comparison.baseline):
        relaxed = find_relaxed(comparison.baseline.provenance.get("policy") or {}, policy)
        notes += [f"relaxed since the baseline: {each}" for each in relaxed]
        notes += filter(None, [_describe_accepted(comparison.baseline), describe_unchecked(comparison.baseline)])
    if looser := list(_find_relaxed_rules(DEFAULT_RULES, policy.rules)):
        notes.append(f"looser than the default rules: {', '.join(looser)}")
    if idle := [str(rule) for rule in policy.rules if not _can_fire(rule, comparison)]:
        notes.append(f"no run over these cases can break {', '.join(idle)}")
    return replace(verdict, relaxed=relaxed, notes=(*notes, *verdict.notes))


def _describe_accepted(baseline: Run) -> str:
    """Name the losses that a baseline contains, by the reasons that were given; empty without any."""
    reasons = baseline.provenance.get("accepted") or ()
    earlier = len(reasons) - _SHOWN_REASONS
    more = f" and {earlier} earlier" if earlier > 0 else ""
    return f"accepted in the baseline: {'; '.join(reasons[-_SHOWN_REASONS:])}{more}" if reasons else ""


def find_relaxed(before: Mapping[str, Any], now: Policy) -> tuple[str, ...]:
    """Find what a policy allows that the one of a baseline's header did not.

    Args:
        before: from `Policy.to_header`; what it does not have is not compared.
        now: the policy in force.

    >>> now = Policy(rules=(parse_rule("broken:2"),), alpha=0.05, group_by="")
    >>> find_relaxed({"rules": ["broken:0", "errors:+0"], "alpha": 0.05, "group_by": ""}, now)
    ('rule broken:0 → broken:2', 'rule errors:+0 → off')
    """
    found = [f"rule {change}" for change in _find_relaxed_rules(before.get("rules") or (), now.rules)]
    alpha, group_by = before.get("alpha", now.alpha), before.get("group_by", now.group_by)
    if now.alpha < alpha:
        found.append(f"alpha {alpha:g} → {now.alpha:g}")
    if now.group_by != group_by:
        found.append(f"group_by {group_by or 'none'} → {now.group_by or 'none'}")
    if now.thresholds is not None:
        found += _find_relaxed_thresholds(before.get("thresholds") or {}, now.thresholds)
    if now.known is not None and before.get("known") is not None:
        found += _find_added_known(before["known"], now.known)
    for name, was in (before.get("suites") or {}).items():
        value = (now.suites or {}).get(name, was)
        if value < was:
            found.append(f"{name} {was:g} → {value:g}")
    return tuple(found)


def find_idle_thresholds(thresholds: Thresholds, run: Run) -> list[str]:
    """Find the thresholds that no run can miss, though their defaults can be missed.

    Args:
        thresholds: of the run's model.
        run: its mean IoU says how far a slice can lie below it.
    """
    mean = float(run.mean_iou)
    most = {"slice_drop": mean, "robustness_drop": mean}
    defaults, values = asdict(Thresholds()), asdict(thresholds)
    bounded = values.keys() - {"iou", "seconds_p95", "slowdown"}

    def idle(name: str, value: float) -> bool:
        return value <= 0 if name in _AT_LEAST else value >= most.get(name, 1)

    found = [name for name in sorted(bounded) if idle(name, values[name]) and values[name] != defaults[name]]
    return [f"{name} = {values[name]:g}" for name in found]


def _find_relaxed_rules(before: Iterable[str], now: Iterable[Rule]) -> Iterator[str]:
    """Find the rules that now fire later or not at all, each with its present form."""
    today = {rule.key: rule for rule in now}
    for text in before:
        try:
            rule = parse_rule(text)
        except SettingsError:  # of another version
            continue
        other = today.get(rule.key)
        if other is None:
            yield f"{rule} → off"
        elif rule.percent != other.percent or (other.bound or 0) > (rule.bound or 0):
            yield f"{rule} → {other}"


def _find_relaxed_thresholds(before: Mapping[str, Any], now: Mapping[str, float | None]) -> Iterator[str]:
    """Find the thresholds that are easier to meet than before."""
    for name, value in now.items():
        if name not in before or before[name] == value:
            continue
        was = before[name]
        looser = value is None or (was is not None and (value < was if name in _AT_LEAST else value > was))
        if looser or name in _BOTH_WAYS:
            yield f"threshold {name} {_format_bound(was)} → {_format_bound(value)}"


def _format_bound(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _find_added_known(before: Iterable[Sequence[str]], now: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Find the known failures that are new, last longer or cover more kinds."""
    kept = {where: (until, set(kinds.split())) for where, until, kinds in before}
    for where, until, kinds in now:
        was, named = kept.get(where, ("", set()))
        if until > was or not set(kinds.split()) <= named:
            yield f"known failure {where} (until {until}{f', before {was}' if was else ''})"


def _can_fire(rule: Rule, comparison: Comparison) -> bool:
    """Return whether any run over the same cases could break a rule."""
    baseline, bound = comparison.baseline, rule.bound or 0.0
    if rule.subject.startswith("mean_"):
        return not bound >= float(baseline.mean(rule.subject.removeprefix("mean_")))
    if rule.subject in {"p05", "pooled_iou", "oracle_iou"}:
        return not bound >= float(getattr(baseline, rule.subject))
    if rule.subject == "regret" or rule.subject.startswith("latency"):
        return True
    return bound < (100 if rule.percent else len(baseline.expected))
