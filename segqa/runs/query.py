"""Query language for selecting cases, such as `camera=C2 and brightness=dark`: parser and evaluation.

```
condition = all ("or" all)*
all       = one ("and" one)*
one       = "not" one | "(" condition ")" | "tag:" NAME | ["tag:"] NAME OPERATOR VALUE
OPERATOR  = "=" | "!=" | "<" | "<=" | ">" | ">="
```

`NAME` is a tag or a measured property, `VALUE` one of its slices (`brightness=dark`) or, after a comparison, a number
(`target_area<0.05`). `id=Jazz_C2_00270` means one case. `tag:city` holds where there is a tag `city` that is not `no`,
`false` or `0`. Names and values with a space or another odd sign stand in quotes.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np

from segqa.data.mask import Mask
from segqa.data.string_columns import CategoricalColumn
from segqa.errors import SettingsError
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.slices import Edges, assign_slices, parse_number, read_numbers
from segqa.scoring.properties import PROPERTIES
from segqa.settings.checks import nearest

Compare: TypeAlias = Callable[[Any, Any], Any]

_ORDERS: MappingProxyType[str, Compare] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)
_NO = frozenset({"", "no", "false", "0"})
_PLAIN = re.compile(r"[^\s()=!<>'\"]+")
_TOKEN = re.compile(
    r"""\s*(?:([()])|(!=|<=|>=|=|<|>)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([^\s()=!<>'"]+))""", re.DOTALL
)
_WORDS = frozenset({"and", "or", "not"})
_ID = "id"


class Condition(Protocol):
    """A condition that selects cases."""

    def holds(self, cases: Outcomes, edges: Edges) -> Mask:
        """Return which cases meet the condition, bool `[n]`."""
        ...

    def predicates(self) -> Iterator[Predicate]:
        """Return the predicates of the condition, from left to right."""
        ...


@dataclass(frozen=True, slots=True)
class Predicate:
    """A comparison of one attribute with a value.

    Attributes:
        name: of a tag or a property.
        sign: `=`, `!=`, `<`, `<=`, `>`, `>=`, or `has`.
        value: of a slice, or a number.
        only_tag: whether a property of that name is not meant.
    """

    name: str
    sign: str
    value: str = ""
    only_tag: bool = False

    def __str__(self) -> str:
        """Return the predicate as written in a condition."""
        name = ("tag:" if self.only_tag or self.sign == "has" else "") + _quote(self.name)
        return name if self.sign == "has" else f"{name}{self.sign}{_quote(self.value)}"

    def holds(self, cases: Outcomes, edges: Edges) -> Mask:
        """Return which cases meet the predicate. Cases without the attribute never do, whatever the operator."""
        tag = cases.tags.get(self.name) or CategoricalColumn((), np.full(len(cases), -1, np.int32))
        if self.sign == "has":
            return tag.map_values(lambda text: "no" if text.lower() in _NO else "yes").equals("yes")
        if self.sign in _ORDERS:
            found: Mask = _ORDERS[self.sign](read_numbers(cases, self.name), parse_number(self.value))
        else:
            columns = _find_columns(self, cases, edges)
            named = np.logical_or.reduce([column.equals(self.value) for column in columns])
            there = np.logical_or.reduce([column.codes >= 0 for column in columns])
            found = named if self.sign == "=" else there & ~named
        return found & (tag.codes >= 0) if self.only_tag else found

    def predicates(self) -> Iterator[Predicate]:
        """Return the predicate itself."""
        yield self


@dataclass(frozen=True, slots=True)
class And:
    """Conjunction of several conditions."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        """Return the condition as written."""
        return " and ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)

    def holds(self, cases: Outcomes, edges: Edges) -> Mask:
        """Return which cases meet all conditions."""
        found: Mask = np.logical_and.reduce([part.holds(cases, edges) for part in self.parts])
        return found

    def predicates(self) -> Iterator[Predicate]:
        """Return the predicates of all parts."""
        for part in self.parts:
            yield from part.predicates()


@dataclass(frozen=True, slots=True)
class Or:
    """Disjunction of several conditions."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        """Return the condition as written."""
        return " or ".join(map(str, self.parts))

    def holds(self, cases: Outcomes, edges: Edges) -> Mask:
        """Return which cases meet at least one condition."""
        found: Mask = np.logical_or.reduce([part.holds(cases, edges) for part in self.parts])
        return found

    def predicates(self) -> Iterator[Predicate]:
        """Return the predicates of all parts."""
        for part in self.parts:
            yield from part.predicates()


@dataclass(frozen=True, slots=True)
class Not:
    """Negation of a condition."""

    part: Condition

    def __str__(self) -> str:
        """Return the condition as written."""
        return f"not {self.part}" if isinstance(self.part, (Predicate, Not)) else f"not ({self.part})"

    def holds(self, cases: Outcomes, edges: Edges) -> Mask:
        """Return which cases do not meet the condition."""
        return ~self.part.holds(cases, edges)

    def predicates(self) -> Iterator[Predicate]:
        """Return the predicates of the negated condition."""
        return self.part.predicates()


def parse_condition(text: str) -> Condition:
    """Parse a condition; see the module for the grammar.

    Raises:
        SettingsError: it is no condition; says where and what was expected.

    >>> str(parse_condition("camera=C2 and ( action = 'Modern Jazz' or tag:night )"))
    "camera=C2 and (action='Modern Jazz' or tag:night)"
    """
    return _Parser(text).parse()


def join_conditions(first: str, second: str) -> str:
    """Return the text of the conjunction of two conditions. An empty condition always holds.

    >>> join_conditions("a=1 or b=2", "c=3")
    '(a=1 or b=2) and c=3'
    """
    parts = [parse_condition(text) for text in (first, second) if text]
    return str(And(tuple(parts))) if len(parts) > 1 else "".join(map(str, parts))


def check_names(condition: Condition, cases: Iterable[Outcome], edges: Edges, *, values: bool = True) -> None:
    """Refuse names that no case has and, if `values` says so, values of them that no case has.

    Raises:
        SettingsError: with the nearest name or value that there is.
    """
    cases = Outcomes.from_outcomes(cases)
    check_attributes(condition, cases.tags, cases.properties)
    if values:
        for predicate in condition.predicates():
            _check_value(predicate, cases, edges)


def check_attributes(condition: Condition, tags: Iterable[str], properties: Iterable[str]) -> None:
    """Refuse a condition with an unknown tag or property, whatever its values.

    Raises:
        SettingsError: with the nearest name that there is.
    """
    tags = set(tags)
    known = tags | set(properties) | {_ID}
    for predicate in condition.predicates():
        only_tag = predicate.only_tag or predicate.sign == "has"
        if predicate.name not in (tags if only_tag else known):
            what = "tag" if only_tag else "tag or property"
            raise SettingsError(
                f"no case has a {what} {predicate.name!r}; {nearest(predicate.name, tags if only_tag else known)}"
            )


def needs_pixels(condition: Condition, tags: Iterable[str]) -> bool:
    """Return whether a condition needs measured properties, beyond these tags."""
    known = set(tags)
    return any(
        predicate.name in PROPERTIES - known and not predicate.only_tag and predicate.sign != "has"
        for predicate in condition.predicates()
    )


def _check_value(predicate: Predicate, cases: Outcomes, edges: Edges) -> None:
    """Refuse a value that no case has, and an ordering comparison with a non-number."""
    if predicate.sign in _ORDERS:
        if math.isnan(parse_number(predicate.value)):
            raise SettingsError(f"{predicate} compares with {predicate.value!r}; expected a number")
        return
    if predicate.sign == "has":
        return
    values = {value for column in _find_columns(predicate, cases, edges) for _, value in column.used}
    if predicate.value not in values:
        raise SettingsError(f"no case has {predicate.name}={predicate.value}; {nearest(predicate.value, values)}")


def _find_columns(predicate: Predicate, cases: Outcomes, edges: Edges) -> list[CategoricalColumn]:
    """Return the columns that a predicate's name refers to: slice and tag as written, or the id."""
    if predicate.name == _ID:
        return [CategoricalColumn(tuple(cases.ids), np.arange(len(cases), dtype=np.int32))]
    tag = cases.tags.get(predicate.name)
    return [assign_slices(cases, predicate.name, edges), *([] if tag is None else [tag])]


class _Parser:
    """Recursive-descent parser of conditions."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._tokenize())
        self._at = 0

    def parse(self) -> Condition:
        found = self._parse_or()
        if self._at < len(self._tokens):
            raise self._make_error("'and', 'or' or the end")
        return found

    def _parse_or(self) -> Condition:
        parts = [self._parse_and()]
        while self._take("or"):
            parts.append(self._parse_and())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _parse_and(self) -> Condition:
        parts = [self._parse_term()]
        while self._take("and"):
            parts.append(self._parse_term())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _parse_term(self) -> Condition:
        if self._take("not"):
            return Not(self._parse_term())
        if self._take("("):
            found = self._parse_or()
            if not self._take(")"):
                raise self._make_error("')'")
            return found
        return self._parse_predicate()

    def _parse_predicate(self) -> Predicate:
        only_tag = self._peek().startswith("tag:")
        name = self._parse_word("the name of a tag or a property")
        if only_tag:
            name = name.removeprefix("tag:") or self._parse_word("the name of a tag")
        sign = self._peek()
        if sign not in {"=", "!=", *_ORDERS}:
            if only_tag:
                return Predicate(name, "has")
            raise self._make_error("'=' or another comparison")
        self._at += 1
        return Predicate(name, sign, self._parse_word("a value"), only_tag)

    def _parse_word(self, what: str) -> str:
        token = self._peek()
        if token in {"(", ")", "=", "!=", "", *_ORDERS} or token in _WORDS:
            raise self._make_error(what)
        self._at += 1
        return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL) if token[0] in "'\"" else token

    def _take(self, token: str) -> bool:
        taken = self._peek() == token
        self._at += taken
        return taken

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _make_error(self, expected: str) -> SettingsError:
        place = self._tokens[self._at][1] if self._at < len(self._tokens) else len(self._text)
        came = repr(self._text[place : place + 20].strip()) if place < len(self._text) else "the end"
        return SettingsError(f"condition {self._text!r}: expected {expected}, got {came}")

    def _tokenize(self) -> Iterator[tuple[str, int]]:
        """Return the tokens, each with its start position."""
        place = 0
        while self._text[place:].strip():
            match = _TOKEN.match(self._text, place)
            if match is None:
                raise SettingsError(f"condition {self._text!r}: cannot read {self._text[place:].strip()!r}")
            yield match[0].strip(), match.end() - len(match[0].lstrip())
            place = match.end()


def _quote(text: str) -> str:
    """Return a name or a value, quoted where it would be ambiguous."""
    if _PLAIN.fullmatch(text) and text not in _WORDS and not text.startswith("tag:"):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
