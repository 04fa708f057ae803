"""Judge a comparison by the rules of the gate: the verdict, and the findings that make it a regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import overload

import numpy as np

from segqa.data.mask import Mask
from segqa.errors import SettingsError
from segqa.gate.baseline import is_baseline
from segqa.gate.comparison import METRICS, Comparison, SliceChange
from segqa.gate.coverage import describe_coverage, require_judged
from segqa.gate.latency import NOISE
from segqa.gate.mean_change import MeanChange, describe_support, measure_mean_change
from segqa.gate.pairs import Pairs
from segqa.gate.rules import (
    HIGHER_IS_WORSE,
    KINDS_OF_RULES,
    LATENCIES,
    LOWER_IS_WORSE,
    MEANS,
    Rule,
    get_bound,
    resolve_rules,
)
from segqa.runs.failure_kinds import KINDS
from segqa.runs.groups import suggest_groups
from segqa.stats.permutation_test import Drop, Interval, compute_smallest_p, judge_drops, raise_p
from segqa.support.escaping import join_lines
from segqa.support.plurals import format_count, select_form

ALPHA = 0.05
MIN_CHANGED = 5
MIN_JUDGED = 30
MIN_GROUPS = 15
SHOWN = 5

_NOT_JUDGED = f"fewer than {MIN_JUDGED} cases, or fewer than {MIN_CHANGED} of them changed"
_NOT_JUDGED_IN_GROUPS = (
    f"fewer than {MIN_JUDGED} cases or {MIN_GROUPS} groups, or fewer than {MIN_CHANGED} groups with a case that changed"
)
_STILL_JUDGED = "broken cases, errors and missing cases are still judged"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was broken.

    Attributes:
        rule: the rule.
        text: the number, the bound, and how sure it is.
        cases: the ids of the cases that show it, the worst first.
        lines: the first of them, a line each.
        condition: which slice it is about; empty for the whole.
    """

    rule: str
    text: str
    cases: Sequence[str] = ()
    lines: tuple[str, ...] = ()
    condition: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Verdict:
    """The judgement of the gate on a comparison.

    Attributes:
        comparison: that was judged.
        rules: by which.
        findings: the rules that were broken.
        notes: what one should know beside that.
        change: of the mean IoU.
        relaxed: what of the rules, thresholds and known failures was relaxed since the baseline was written; in the
            notes, too.
    """

    comparison: Comparison
    rules: tuple[Rule, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    change: MeanChange
    relaxed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<verdict on {self.comparison.candidate.title}: {self.name}>"

    @property
    def passed(self) -> bool:
        """Return whether no rule is broken."""
        return not self.findings

    @property
    def name(self) -> str:
        """`identical`, `regressed`, `improved`, `inconclusive` or `similar`."""
        if self.findings:
            return "regressed"
        if self.comparison.identical:
            return "identical"
        return self.change.claim

    @property
    def mean(self) -> Drop | None:
        """The mean difference in IoU and its p-value; None without pairs."""
        return self.change.drop

    @property
    def interval(self) -> Interval:
        """The 90 % confidence interval of the mean difference."""
        return self.change.interval

    @property
    def detectable(self) -> float:
        """The smallest drop of the mean that would be detected with a power of 80 %."""
        return self.change.detectable

    @property
    def headline(self) -> str:
        """The verdict in one line; both means and the change are of the cases that have an IoU in both runs."""
        new, cases = len(self.comparison.new), len(self.comparison.candidate.expected)
        unjudged = (
            f"; {new} of {format_count(cases, 'case')} {select_form(new, 'is', 'are')} not in the baseline"
            if 2 * new > cases
            else ""
        )
        changed = self.comparison.changed
        unjudged += f"; {len(changed)} not judged: other data ({changed.summary})" if changed else ""
        return f"{self.comparison.candidate.model}: {self.name}, {self._means}{unjudged}"

    @property
    def support(self) -> str:
        """The number of cases that the change is measured on, as text; says so where others were scored."""
        return f"{self.change.support}{' scored in both runs' * self.comparison.is_partial}"

    @property
    def _means(self) -> str:
        if self.mean is None:
            return "no case has an IoU in both runs"
        before, after = self.comparison.paired_means
        return f"mean IoU {before:.4f} → {after:.4f} ({self.mean.mean:+.4f} over {self.support})"

    @property
    def story(self) -> str:
        """The verdict, each finding with its cases, and the notes."""
        lines = [self.headline]
        for finding in self.findings:
            lines += [f"{finding.rule}  {finding.text}", *(f"  {line}" for line in finding.lines)]
            if len(finding.cases) > len(finding.lines):
                lines.append(f"  … and {len(finding.cases) - len(finding.lines)} more")
        return join_lines([*lines, *(f"note: {note}" for note in self.notes)])


def judge(
    comparison: Comparison, rules: Sequence[Rule] | None = None, *, alpha: float = ALPHA, group_by: str = ""
) -> Verdict:
    """Judge a comparison.

    Args:
        comparison: to be judged.
        rules: by these; by default the default ones.
        alpha: how often, at most, a mean or a slice is found to have dropped where none has; all of them together.
        group_by: a tag; the cases that share its value are one sample, and those without it are one each.

    Raises:
        SettingsError: an attribute or tag that no case has, or seconds are to be compared with a baseline's.
        IncomparableError: no rule is broken, but fewer than half of the baseline's cases could be judged.
    """
    rules = resolve_rules(()) if rules is None else tuple(rules)
    findings = [finding for rule in rules if (finding := _check_rule(rule, comparison))]
    defined = comparison.defined
    change = measure_mean_change(defined, get_bound(rules, "mean_iou") or 0.0, group_by)
    tested, notes = _test_means(rules, defined, alpha, change)
    if not comparison.identical:
        notes += _describe_limits(rules, change, alpha, defined)
    if comparison.changed:
        notes.append(_describe_acceptance(comparison))
    notes += describe_coverage(comparison)
    if not findings and not tested:
        require_judged(comparison)
    order = [rule.key for rule in rules]
    found = sorted([*findings, *tested], key=lambda f: order.index(f.rule.partition(":")[0]))
    return Verdict(comparison, rules, tuple(found), tuple(notes), change)


def _describe_acceptance(comparison: Comparison) -> str:
    """Describe what to do about cases whose data have changed."""
    changed = comparison.changed
    by_files = f" (compared by files: {comparison.baseline.id} or the run has no digests of pixels)" * changed.by_files
    return (
        f"{describe_support(len(changed))} with other data (image, mask or prompt) "
        f"{select_form(len(changed), 'is', 'are')} not judged, such as {changed.pairs.ids[0]}{by_files}; if that "
        "is wanted, make them part of the baseline: "
        '`pytest suites --segqa-update-baseline --segqa-accept "labels corrected"`'
    )


def _check_rule(rule: Rule, comparison: Comparison) -> Finding | None:
    """Check a rule that is not tested statistically; None where it holds."""
    named = {
        "missing": (comparison.missing, "of the baseline without an outcome"),
        "errors": (comparison.new_errors, "cannot be evaluated any more"),
    }
    if rule.subject == "changed_data":
        return _check_changed_data(rule, comparison)
    if rule.subject == "broken":
        return _check_pairs(rule, comparison, comparison.broken, "collapsed")
    if rule.subject in named:
        return _check_cases(rule, comparison, *named[rule.subject])
    by_subjects = (
        (KINDS_OF_RULES, _check_kind),
        (LATENCIES, _check_latency),
        (LOWER_IS_WORSE | HIGHER_IS_WORSE, _check_number),
    )
    return next((find(rule, comparison) for subjects, find in by_subjects if rule.subject in subjects), None)


def _check_number(rule: Rule, comparison: Comparison) -> Finding | None:
    """Check a rule on a number that is not tested statistically."""
    before, after = (float(getattr(run, rule.subject)) for run in (comparison.baseline, comparison.candidate))
    lost = (before - after) * (-1 if rule.subject in HIGHER_IS_WORSE else 1)
    # this way round, so that NaN is never a pass
    if lost <= (rule.bound or 0.0) + 1e-12:
        return None
    cases = [len(run.scored) for run in (comparison.baseline, comparison.candidate)]
    over = f" (over {cases[0]}, then {format_count(cases[1], 'case')})" if comparison.is_partial else ""
    return Finding(str(rule), f"{rule.subject} {before:.4f} → {after:.4f}{over}")


def _check_pairs(rule: Rule, comparison: Comparison, pairs: Pairs, what: str) -> Finding | None:
    """Check a rule that allows a number of pairs; the finding lists them."""
    if len(pairs) <= (rule.bound or 0.0):
        return None
    ordered = pairs.sort_by_change()
    text = f"{describe_support(len(ordered))} {what}, allowed {rule.bound:g}"
    return Finding(str(rule), text, ordered.ids, _format_cases(comparison, ordered))


def _check_cases(rule: Rule, comparison: Comparison, case_ids: Sequence[str], what: str) -> Finding | None:
    """Check a rule that allows a number of cases without scores."""
    if len(case_ids) <= (rule.bound or 0.0):
        return None
    text = f"{describe_support(len(case_ids))} {what}, allowed {rule.bound:g}"
    shown = set(case_ids[:SHOWN])
    failed = (outcome for outcome in comparison.candidate.errors if outcome.case_id in shown)
    reasons = {outcome.case_id: f"  {outcome.reason[:120]}" for outcome in failed}
    lines = tuple(f"{case_id}{reasons.get(case_id, '')}" for case_id in case_ids[:SHOWN])
    return Finding(str(rule), text, tuple(case_ids), lines)


def _check_changed_data(rule: Rule, comparison: Comparison) -> Finding | None:
    """Check the rule on cases whose image, mask or prompt has changed."""
    changed = comparison.changed
    if len(changed) <= (rule.bound or 0.0):
        return None
    text = f"{describe_support(len(changed))} not judged: other data ({changed.summary}), allowed {rule.bound:g}"
    lines = (f"{case_id}  another {part}" for case_id, part in changed.by_id.items())
    return Finding(str(rule), text, changed.pairs.ids, tuple(islice(lines, SHOWN)))


def _check_kind(rule: Rule, comparison: Comparison) -> Finding | None:
    """Check a rule on a failure kind."""
    before, after = (codes == KINDS[rule.subject].code for codes in comparison.kind_codes())
    counts = int(before.sum()), int(after.sum())
    allowed = (rule.bound or 0.0) * (len(comparison.pairs) / 100 if rule.percent else 1)
    if counts[1] - counts[0] <= allowed + 1e-9:
        return None
    turned = comparison.pairs.take(after & ~before).sort_by_change()
    text = f"{rule.subject} {counts[0]} → {counts[1]} of {describe_support(len(comparison.pairs))}"
    return Finding(str(rule), text, turned.ids, _format_cases(comparison, turned))


def _check_latency(rule: Rule, comparison: Comparison) -> Finding | None:
    """Check a rule on latency."""
    if is_baseline(comparison.baseline):
        raise SettingsError(f"rule {rule}: a baseline keeps no seconds; `segqa compare RUN RUN` compares those of runs")
    before, after = comparison.latencies(float(rule.subject.removeprefix("latency_p")))
    if after <= max((1 + (rule.bound or 0.0) / 100) * before, before + NOISE):
        return None
    return Finding(str(rule), f"seconds a case are {after / before:.2f} times those before")


def _test_means(
    rules: Sequence[Rule], comparison: Comparison, alpha: float, change: MeanChange
) -> tuple[list[Finding], list[str]]:
    """Test the rules on means; return their findings and notes on what could not be judged."""
    findings: list[Finding] = []
    groups = comparison.groups(change.group_by)
    few = 0
    for metric in METRICS:
        claims: list[tuple[Rule, SliceChange | None]] = []
        for rule in (rule for rule in rules if rule.subject == f"mean_{metric}"):
            if not rule.attribute:
                claims.append((rule, None))
                continue
            slices = comparison.slices(rule.attribute, groups=groups)
            judged = [each for each in slices if _has_enough_samples(each, alpha)]
            claims += [(rule, each) for each in judged]
            few += sum(each.changed > 0 for each in slices) - len(judged)
        if not claims:
            continue
        differences = comparison.metric_differences(metric)
        tolerances = [rule.bound or 0.0 for rule, _ in claims]
        members = _Members([each for _, each in claims], len(differences))
        samples = [each.samples if each else change.samples for _, each in claims]
        drops = judge_drops(differences, members, tolerances, groups=groups)
        drops = [
            replace(drop, p=raise_p(drop.p, many), corrected=raise_p(drop.corrected, many))
            for drop, many in zip(drops, samples, strict=True)
        ]
        proven = [(*claim, drop) for claim, drop in zip(claims, drops, strict=True) if drop.corrected <= alpha]
        proven.sort(key=lambda claim: (claim[2].corrected, claim[2].p, _format_slice(claim[1])))
        findings += [
            _find_drop(rule, [claim[1:] for claim in proven if claim[0] == rule], comparison, metric, change)
            for rule in dict.fromkeys(rule for rule, *_ in proven)
        ]
    told = _NOT_JUDGED_IN_GROUPS if change.group_by else _NOT_JUDGED
    return findings, [f"{format_count(few, 'slice is', 'slices are')} not judged: {told}"] if few else []


def _has_enough_samples(each: SliceChange, alpha: float) -> bool:
    """Return whether a slice has enough cases and independent samples to prove a drop of its mean."""
    enough = each.size >= MIN_JUDGED and each.samples >= MIN_GROUPS and each.changed >= MIN_CHANGED
    return enough and compute_smallest_p(each.samples) <= alpha


def _describe_limits(rules: Sequence[Rule], change: MeanChange, alpha: float, comparison: Comparison) -> list[str]:
    """Describe what the tests of means cannot show and what they assume."""
    if not any(rule.subject in MEANS for rule in rules) or not change.cases:
        return []
    if compute_smallest_p(change.samples) > alpha:
        return [f"with {change.sample_name} nothing can be proven about means; {_STILL_JUDGED}"]
    notes = []
    tolerance = get_bound(rules, "mean_iou")
    what = "groups" if change.group_by else "cases"
    if change.claim == "inconclusive" and raise_p(0.5**change.changed, change.samples) > alpha:
        # a sign for each that changed: all of them may have come down by chance
        few = f"only {change.changed} of {change.samples} {what} changed, too few to prove a drop of the mean"
        notes.append(f"{few}, however large; {_STILL_JUDGED}")
    elif tolerance is not None and change.detectable > tolerance:
        least = f"only a drop of {change.detectable:.4f} or more would be seen, in 80 % of such comparisons"
        notes.append(f"with so few or so different {what} {least}")
    suggested = None if change.group_by else suggest_groups(comparison.pairs.after)
    return notes if suggested is None else [*notes, suggested.advice]


class _Members(Sequence[Mask]):
    """Which pairs are in some slices, each made when it is asked for; None stands for all pairs."""

    def __init__(self, slices: Sequence[SliceChange | None], pairs: int) -> None:
        self._slices, self._all = slices, np.ones(pairs, np.bool_)

    def __len__(self) -> int:
        return len(self._slices)

    @overload
    def __getitem__(self, place: int) -> Mask: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Mask]: ...

    def __getitem__(self, place: int | slice) -> Mask | Sequence[Mask]:
        if isinstance(place, slice):
            return _Members(self._slices[place], len(self._all))
        each = self._slices[place]
        return self._all if each is None else each.members


def _format_slice(each: SliceChange | None) -> str:
    """Format the name of a slice; empty for all pairs."""
    return "" if each is None else each.name


def _find_drop(
    rule: Rule,
    proven: Sequence[tuple[SliceChange | None, Drop]],
    comparison: Comparison,
    metric: str,
    change: MeanChange,
) -> Finding:
    """Find a mean, or means of slices, with a proven drop; the most certain one with its cases."""
    surest, drop = proven[0]
    name = _format_slice(surest)
    inside = comparison.pairs if surest is None else comparison.pairs.take(surest.members)
    lost = inside.take(inside.differences < 0).sort_by_change()
    where = f" in {name}" if name else ""
    groups = surest.samples if surest else change.samples
    support = describe_support(len(inside), groups if change.group_by else None)
    text = (
        f"mean {'IoU' if metric == 'iou' else metric}{where} changed by {drop.mean:+.4f} over {support}, "
        f"proven below {0 - (rule.bound or 0.0):g} (p {drop.corrected:.2g})"
    )
    if others := [f"{_format_slice(each)} ({drop.mean:+.4f})" for each, drop in proven[1:]]:
        more = f", and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        text += f"; also {', '.join(others[:SHOWN])}{more}"
    return Finding(
        str(rule), text, lost.ids, _format_cases(comparison, lost), "" if surest and surest.is_former else name
    )


def _format_cases(comparison: Comparison, pairs: Pairs) -> tuple[str, ...]:
    """Format the first cases, one per line."""
    kinds = [comparison.candidate.kind(pair.after) or "passed" for pair in pairs[:SHOWN]]
    changed = {case_id: f"  (another {part} than before)" for case_id, part in comparison.changed.by_id.items()}
    return tuple(
        f"{pair.change}  {kind}  {pair.case_id}{changed.get(pair.case_id, '')}"
        for pair, kind in zip(pairs, kinds, strict=False)
    )
