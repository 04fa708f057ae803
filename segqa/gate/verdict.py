"""The gate: rules that say which change is a regression, and the verdict on a comparison.

A rule reads `SUBJECT:BOUND`. Means and slices are tested: the rule fires on a drop that is *proven* larger than its
bound. Everything else is counted.

| rule | fires if |
|---|---|
| `broken:0` | more cases than that collapse: they lose 0.5 and fail, or passed and are a zero-IoU failure now |
| `errors:+0` | so many more cases cannot be evaluated |
| `missing:0` | more cases of the baseline than that have no outcome |
| `changed_data:0` | more cases than that have another image, mask or prompt than in the baseline, so cannot be judged |
| `mean_iou:-0.002` | the mean is proven to have dropped by more; `mean_dice`, `mean_precision`, `mean_recall` as well |
| `slice(camera).mean_iou:-0.03` | that of a slice has; `slice(*)` for every attribute |
| `wrong_object:+0`, `missed:+1%` | so many more failures of a kind, or so many more in % of the cases |
| `p05:-0.05`, `pooled_iou:-0.01`, `oracle_iou:-0.01`, `regret:+0.01` | the number changed by more |
| `latency_p95:+20%` | seconds a case grew by more; between two runs only |

`SUBJECT:off` switches a default rule off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
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
from segqa.runs.failure_kinds import KINDS
from segqa.runs.groups import suggest_groups
from segqa.settings.checks import nearest
from segqa.stats.permutation_test import Drop, Interval, judge_drops, raise_p, smallest_p
from segqa.support.escaping import join_lines
from segqa.support.plurals import format_count, select_form

DEFAULT_RULES = ("broken:0", "errors:+0", "missing:0", "changed_data:0", "mean_iou:-0.002", "slice(*).mean_iou:-0.002")
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
_RULE = re.compile(
    r"(?:slice\((?P<attribute>[^()]+)\)\.)?(?P<subject>\w+)"
    r":(?P<bound>off|(?P<sign>[+-]?)(?P<size>\d+(?:\.\d+)?)(?P<percent>%?))"
)
_TESTED = frozenset(f"mean_{metric}" for metric in METRICS)
_DROPS = frozenset({"p05", "pooled_iou", "oracle_iou"})
_RISES = frozenset({"regret"})
_COUNTS = frozenset({"broken", "missing", "changed_data"})
_LATENCIES = frozenset({"latency_p50", "latency_p95"})
_KINDS = frozenset(KINDS) - {"error"}
_BOUNDS: tuple[tuple[frozenset[str], str, str, Callable[[float, bool], bool]], ...] = (
    (_TESTED | _DROPS, "-", "-0.01", lambda size, percent: not percent and size < 1),
    (_RISES, "+", "+0.01", lambda size, percent: not percent and size < 1),
    (_COUNTS, "", "0", lambda size, percent: not percent and size.is_integer()),
    (_LATENCIES, "+", "+20%", lambda _, percent: percent),
    (_KINDS | {"errors"}, "+", "+0", lambda size, percent: percent or size.is_integer()),
)
"""What a bound of some subjects looks like: its sign, an example, and whether a number, in % or not, is one."""

_SUBJECTS = frozenset(subject for subjects, *_ in _BOUNDS for subject in subjects)


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as a regression.

    Attributes:
        subject: what is looked at.
        bound: how much it may change, as a positive number; None where the rule is off.
        percent: whether that is in % (of the cases, or of the seconds).
        attribute: of the slices that are looked at, `*` for all; empty for the whole.
    """

    subject: str
    bound: float | None
    percent: bool = False
    attribute: str = ""

    @property
    def key(self) -> str:
        """What a later rule replaces."""
        return f"slice({self.attribute}).{self.subject}" if self.attribute else self.subject

    def __str__(self) -> str:
        """As it is written."""
        if self.bound is None:
            return f"{self.key}:off"
        sign = "-" if self.subject in _TESTED | _DROPS else "" if self.subject in _COUNTS else "+"
        # never as 1e-05, which cannot be read again
        size = np.format_float_positional(self.bound, trim="-")
        return f"{self.key}:{sign}{size}{'%' * self.percent}"


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
    """What the gate says of a comparison.

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
        """Whether no rule was broken."""
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
        """The mean difference in IoU, and how likely so low a one is by chance; None without pairs."""
        return self.change.drop

    @property
    def interval(self) -> Interval:
        """In which the true mean difference lies, 5 % left out on each side."""
        return self.change.interval

    @property
    def detectable(self) -> float:
        """The smallest drop of the mean that would have been seen in 80 % of the cases."""
        return self.change.detectable

    @property
    def headline(self) -> str:
        """The verdict in a line; both means and the change are of the cases that have an IoU in both runs."""
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
        """How many cases the change is measured on; says so where that is not all that were scored."""
        return f"{self.change.support}{' scored in both runs' * self.comparison.is_partial}"

    @property
    def _means(self) -> str:
        if self.mean is None:
            return "no case has an IoU in both runs"
        before, after = self.comparison.paired_means
        return f"mean IoU {before:.4f} → {after:.4f} ({self.mean.mean:+.4f} over {self.support})"

    @property
    def story(self) -> str:
        """The verdict, each finding with its cases, and what one should know."""
        lines = [self.headline]
        for finding in self.findings:
            lines += [f"{finding.rule}  {finding.text}", *(f"  {line}" for line in finding.lines)]
            if len(finding.cases) > len(finding.lines):
                lines.append(f"  … and {len(finding.cases) - len(finding.lines)} more")
        return join_lines([*lines, *(f"note: {note}" for note in self.notes)])


def parse_rule(text: str) -> Rule:
    """The rule that a text states, see the module.

    Raises:
        SettingsError: it is none, or its bound makes no sense.

    >>> parse_rule("mean_iou:-0.01").bound
    0.01
    >>> parse_rule("mean_iou:nan")
    Traceback (most recent call last):
    segqa.errors.SettingsError: rule 'mean_iou:nan' must read SUBJECT:BOUND, such as mean_iou:-0.01 or broken:0
    """
    match = _RULE.fullmatch(text.replace(" ", ""))
    if match is None:
        raise SettingsError(f"rule {text!r} must read SUBJECT:BOUND, such as mean_iou:-0.01 or broken:0")
    subject, attribute = match["subject"], match["attribute"] or ""
    if subject not in _SUBJECTS:
        raise SettingsError(f"rule {text!r}: unknown subject {subject!r}; {nearest(subject, _SUBJECTS)}")
    if attribute and subject not in _TESTED:
        raise SettingsError(f"rule {text!r}: of a slice only a mean is judged, such as mean_iou")
    if match["bound"] == "off":
        return Rule(subject, None, attribute=attribute)
    percent, size = bool(match["percent"]), float(match["size"])
    _check_bound(text, subject, match["sign"], size, percent=percent)
    return Rule(subject, size, percent, attribute)


def rules_of(texts: Iterable[str]) -> tuple[Rule, ...]:
    """The default rules, with those in the place of their like; of several on one subject the last counts.

    Raises:
        SettingsError: one is none.
    """
    rules = {rule.key: rule for rule in map(parse_rule, [*DEFAULT_RULES, *texts])}
    return tuple(rule for rule in rules.values() if rule.bound is not None)


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
    rules = rules_of(()) if rules is None else tuple(rules)
    findings = [finding for rule in rules if (finding := _counted(rule, comparison))]
    defined = comparison.defined
    change = measure_mean_change(defined, _tolerance_of(rules) or 0.0, group_by)
    tested, notes = _tested(rules, defined, alpha, change)
    if not comparison.identical:
        notes += _notes_on_means(rules, change, alpha, defined)
    if comparison.changed:
        notes.append(_how_to_accept(comparison))
    notes += describe_coverage(comparison)
    if not findings and not tested:
        require_judged(comparison)
    order = [rule.key for rule in rules]
    found = sorted([*findings, *tested], key=lambda f: order.index(f.rule.partition(":")[0]))
    return Verdict(comparison, rules, tuple(found), tuple(notes), change)


def _how_to_accept(comparison: Comparison) -> str:
    """What to do about cases whose data have changed."""
    changed = comparison.changed
    by_files = f" (compared by files: {comparison.baseline.id} or the run has no digests of pixels)" * changed.by_files
    return (
        f"{describe_support(len(changed))} with other data (image, mask or prompt) "
        f"{select_form(len(changed), 'is', 'are')} not judged, such as {changed.pairs.ids[0]}{by_files}; if that "
        "is wanted, make them part of the baseline: "
        '`pytest suites --segqa-update-baseline --segqa-accept "labels corrected"`'
    )


def _tolerance_of(rules: Iterable[Rule]) -> float | None:
    """By how much the mean IoU may drop; None where no rule says."""
    return next((rule.bound for rule in rules if rule.key == "mean_iou"), None)


def _check_bound(text: str, subject: str, sign: str, size: float, *, percent: bool) -> None:
    """Refuse a bound that no value of the subject could break, or that any value does."""
    for subjects, wanted, example, fits in _BOUNDS:
        if subject in subjects and (sign != wanted or not fits(size, percent)):
            raise SettingsError(f"rule {text!r}: the bound makes no sense; expected one like {subject}:{example}")


def _counted(rule: Rule, comparison: Comparison) -> Finding | None:
    """The finding of a rule that only counts; None where it holds or is of another sort."""
    named = {
        "missing": (comparison.missing, "of the baseline without an outcome"),
        "errors": (comparison.new_errors, "cannot be evaluated any more"),
    }
    if rule.subject == "changed_data":
        return _changed_data(rule, comparison)
    if rule.subject == "broken":
        return _listed(rule, comparison, comparison.broken, "collapsed")
    if rule.subject in named:
        return _named(rule, comparison, *named[rule.subject])
    by_subjects = ((_KINDS, _kind), (_LATENCIES, _latency), (_DROPS | _RISES, _changed))
    return next((find(rule, comparison) for subjects, find in by_subjects if rule.subject in subjects), None)


def _changed(rule: Rule, comparison: Comparison) -> Finding | None:
    """The finding of a rule on a number that is not tested."""
    before, after = (float(getattr(run, rule.subject)) for run in (comparison.baseline, comparison.candidate))
    lost = (before - after) * (-1 if rule.subject in _RISES else 1)
    # this way round, so that NaN is never a pass
    if lost <= (rule.bound or 0.0) + 1e-12:
        return None
    cases = [len(run.scored) for run in (comparison.baseline, comparison.candidate)]
    over = f" (over {cases[0]}, then {format_count(cases[1], 'case')})" if comparison.is_partial else ""
    return Finding(str(rule), f"{rule.subject} {before:.4f} → {after:.4f}{over}")


def _listed(rule: Rule, comparison: Comparison, pairs: Pairs, what: str) -> Finding | None:
    """The finding of a rule that allows some cases, which are worth showing."""
    if len(pairs) <= (rule.bound or 0.0):
        return None
    ordered = pairs.by_change()
    text = f"{describe_support(len(ordered))} {what}, allowed {rule.bound:g}"
    return Finding(str(rule), text, ordered.ids, _lines(comparison, ordered))


def _named(rule: Rule, comparison: Comparison, case_ids: Sequence[str], what: str) -> Finding | None:
    """The finding of a rule that allows some cases, of which there are no numbers."""
    if len(case_ids) <= (rule.bound or 0.0):
        return None
    text = f"{describe_support(len(case_ids))} {what}, allowed {rule.bound:g}"
    shown = set(case_ids[:SHOWN])
    failed = (outcome for outcome in comparison.candidate.errors if outcome.case_id in shown)
    reasons = {outcome.case_id: f"  {outcome.reason[:120]}" for outcome in failed}
    lines = tuple(f"{case_id}{reasons.get(case_id, '')}" for case_id in case_ids[:SHOWN])
    return Finding(str(rule), text, tuple(case_ids), lines)


def _changed_data(rule: Rule, comparison: Comparison) -> Finding | None:
    """The finding of the rule on cases whose image, mask or prompt has changed."""
    changed = comparison.changed
    if len(changed) <= (rule.bound or 0.0):
        return None
    text = f"{describe_support(len(changed))} not judged: other data ({changed.summary}), allowed {rule.bound:g}"
    lines = (f"{case_id}  another {part}" for case_id, part in changed.by_id.items())
    return Finding(str(rule), text, changed.pairs.ids, tuple(islice(lines, SHOWN)))


def _kind(rule: Rule, comparison: Comparison) -> Finding | None:
    """The finding of a rule on a kind of failure."""
    before, after = (codes == KINDS[rule.subject].code for codes in comparison.kind_codes())
    counts = int(before.sum()), int(after.sum())
    allowed = (rule.bound or 0.0) * (len(comparison.pairs) / 100 if rule.percent else 1)
    if counts[1] - counts[0] <= allowed + 1e-9:
        return None
    turned = comparison.pairs.take(after & ~before).by_change()
    text = f"{rule.subject} {counts[0]} → {counts[1]} of {describe_support(len(comparison.pairs))}"
    return Finding(str(rule), text, turned.ids, _lines(comparison, turned))


def _latency(rule: Rule, comparison: Comparison) -> Finding | None:
    """The finding of a rule on seconds."""
    if is_baseline(comparison.baseline):
        raise SettingsError(f"rule {rule}: a baseline keeps no seconds; `segqa compare RUN RUN` compares those of runs")
    before, after = comparison.latencies(float(rule.subject.removeprefix("latency_p")))
    if after <= max((1 + (rule.bound or 0.0) / 100) * before, before + NOISE):
        return None
    return Finding(str(rule), f"seconds a case are {after / before:.2f} times those before")


def _tested(
    rules: Sequence[Rule], comparison: Comparison, alpha: float, change: MeanChange
) -> tuple[list[Finding], list[str]]:
    """The findings of the rules on means, and what could not be judged."""
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
            judged = [each for each in slices if _can_be_judged(each, alpha)]
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
        proven.sort(key=lambda claim: (claim[2].corrected, claim[2].p, _name(claim[1])))
        findings += [
            _dropped(rule, [claim[1:] for claim in proven if claim[0] == rule], comparison, metric, change)
            for rule in dict.fromkeys(rule for rule, *_ in proven)
        ]
    told = _NOT_JUDGED_IN_GROUPS if change.group_by else _NOT_JUDGED
    return findings, [f"{format_count(few, 'slice is', 'slices are')} not judged: {told}"] if few else []


def _can_be_judged(each: SliceChange, alpha: float) -> bool:
    """Whether a slice has enough cases, and enough independent samples, for a drop of its mean to be proven."""
    enough = each.size >= MIN_JUDGED and each.samples >= MIN_GROUPS and each.changed >= MIN_CHANGED
    return enough and smallest_p(each.samples) <= alpha


def _notes_on_means(rules: Sequence[Rule], change: MeanChange, alpha: float, comparison: Comparison) -> list[str]:
    """What the tests of means cannot show, and what they take for granted."""
    if not any(rule.subject in _TESTED for rule in rules) or not change.cases:
        return []
    if smallest_p(change.samples) > alpha:
        return [f"with {change.sample_name} nothing can be proven about means; {_STILL_JUDGED}"]
    notes = []
    tolerance = _tolerance_of(rules)
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


def _name(each: SliceChange | None) -> str:
    """Of a slice; nothing for all pairs."""
    return "" if each is None else each.name


def _dropped(
    rule: Rule,
    proven: Sequence[tuple[SliceChange | None, Drop]],
    comparison: Comparison,
    metric: str,
    change: MeanChange,
) -> Finding:
    """A mean, or those of some slices, that are proven to have dropped; the surest one with its cases."""
    surest, drop = proven[0]
    name = _name(surest)
    inside = comparison.pairs if surest is None else comparison.pairs.take(surest.members)
    lost = inside.take(inside.differences < 0).by_change()
    where = f" in {name}" if name else ""
    groups = surest.samples if surest else change.samples
    support = describe_support(len(inside), groups if change.group_by else None)
    text = (
        f"mean {'IoU' if metric == 'iou' else metric}{where} changed by {drop.mean:+.4f} over {support}, "
        f"proven below {0 - (rule.bound or 0.0):g} (p {drop.corrected:.2g})"
    )
    if others := [f"{_name(each)} ({drop.mean:+.4f})" for each, drop in proven[1:]]:
        more = f", and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        text += f"; also {', '.join(others[:SHOWN])}{more}"
    return Finding(str(rule), text, lost.ids, _lines(comparison, lost), "" if surest and surest.is_former else name)


def _lines(comparison: Comparison, pairs: Pairs) -> tuple[str, ...]:
    """The first of some cases, a line each."""
    kinds = [comparison.candidate.kind(pair.after) or "passed" for pair in pairs[:SHOWN]]
    changed = {case_id: f"  (another {part} than before)" for case_id, part in comparison.changed.by_id.items()}
    return tuple(
        f"{pair.change}  {kind}  {pair.case_id}{changed.get(pair.case_id, '')}"
        for pair, kind in zip(pairs, kinds, strict=False)
    )
