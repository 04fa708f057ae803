"""The rules of the gate: which change between two runs is a regression.

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
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from segqa.errors import SettingsError
from segqa.gate.comparison import METRICS
from segqa.runs.failure_kinds import KINDS
from segqa.settings.checks import nearest

DEFAULT_RULES = ("broken:0", "errors:+0", "missing:0", "changed_data:0", "mean_iou:-0.002", "slice(*).mean_iou:-0.002")
_RULE = re.compile(
    r"(?:slice\((?P<attribute>[^()]+)\)\.)?(?P<subject>\w+)"
    r":(?P<bound>off|(?P<sign>[+-]?)(?P<size>\d+(?:\.\d+)?)(?P<percent>%?))"
)
MEANS = frozenset(f"mean_{metric}" for metric in METRICS)
LOWER_IS_WORSE = frozenset({"p05", "pooled_iou", "oracle_iou"})
HIGHER_IS_WORSE = frozenset({"regret"})
COUNTS = frozenset({"broken", "missing", "changed_data"})
LATENCIES = frozenset({"latency_p50", "latency_p95"})
KINDS_OF_RULES = frozenset(KINDS) - {"error"}
_BOUNDS: tuple[tuple[frozenset[str], str, str, Callable[[float, bool], bool]], ...] = (
    (MEANS | LOWER_IS_WORSE, "-", "-0.01", lambda size, percent: not percent and size < 1),
    (HIGHER_IS_WORSE, "+", "+0.01", lambda size, percent: not percent and size < 1),
    (COUNTS, "", "0", lambda size, percent: not percent and size.is_integer()),
    (LATENCIES, "+", "+20%", lambda _, percent: percent),
    (KINDS_OF_RULES | {"errors"}, "+", "+0", lambda size, percent: percent or size.is_integer()),
)
"""The form of a bound by subject: its sign, an example, and a check of the number, in % or not."""
_SUBJECTS = frozenset(subject for subjects, *_ in _BOUNDS for subject in subjects)


@dataclass(frozen=True, slots=True)
class Rule:
    """A change that counts as a regression.

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
        """The part of a rule by which a later rule replaces it."""
        return f"slice({self.attribute}).{self.subject}" if self.attribute else self.subject

    def __str__(self) -> str:
        """Return the rule in its written form."""
        if self.bound is None:
            return f"{self.key}:off"
        sign = "-" if self.subject in MEANS | LOWER_IS_WORSE else "" if self.subject in COUNTS else "+"
        # never as 1e-05, which cannot be read again
        size = np.format_float_positional(self.bound, trim="-")
        return f"{self.key}:{sign}{size}{'%' * self.percent}"


def parse_rule(text: str) -> Rule:
    """Parse a rule; see the module for its form.

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
    if attribute and subject not in MEANS:
        raise SettingsError(f"rule {text!r}: of a slice only a mean is judged, such as mean_iou")
    if match["bound"] == "off":
        return Rule(subject, None, attribute=attribute)
    percent, size = bool(match["percent"]), float(match["size"])
    _check_bound(text, subject, match["sign"], size, percent=percent)
    return Rule(subject, size, percent, attribute)


def resolve_rules(texts: Iterable[str]) -> tuple[Rule, ...]:
    """Return the default rules, overridden by the given ones; of several on one subject the last counts.

    Raises:
        SettingsError: one is none.
    """
    rules = {rule.key: rule for rule in map(parse_rule, [*DEFAULT_RULES, *texts])}
    return tuple(rule for rule in rules.values() if rule.bound is not None)


def get_bound(rules: Iterable[Rule], key: str) -> float | None:
    """Return the bound of the rule with a key, such as `mean_iou`; None without that rule."""
    return next((rule.bound for rule in rules if rule.key == key), None)


def _check_bound(text: str, subject: str, sign: str, size: float, *, percent: bool) -> None:
    """Refuse a bound that no value of the subject could break, or that any value does."""
    for subjects, wanted, example, fits in _BOUNDS:
        if subject in subjects and (sign != wanted or not fits(size, percent)):
            raise SettingsError(f"rule {text!r}: the bound makes no sense; expected one like {subject}:{example}")
