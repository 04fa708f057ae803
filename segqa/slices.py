"""A slice is a named subset of cases: `camera=C2`, `brightness=dark`. It is one value of an attribute.

Attributes are tags and measured properties; a tag hides a property of its name. Numbers are cut into thirds, and the
edges of the cuts stay with the run, so that `brightness=dark` means the same in the next one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from segqa.properties import BORDER, COUNTS, LEVELS

Edges: TypeAlias = Mapping[str, tuple[float, ...]]
"""For each numeric attribute the upper ends of its slices but the last: none, one or two, rising."""

_TAG_LEVELS = ("low", "medium", "high")
_MANY, _FEW = 10, 8
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


class Described(Protocol):
    """What has an id, tags and properties: an outcome, or a case that has been measured."""

    @property
    def case_id(self) -> str:
        """The case."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """What is known beside the pixels."""
        ...

    @property
    def properties(self) -> Mapping[str, float]:
        """What has been measured on the pixels."""
        ...


def find_edges(cases: Sequence[Described]) -> dict[str, tuple[float, ...]]:
    """Where to cut the numeric attributes of these cases: at the thirds of their values, as far as these differ.

    A tag is numeric if all its values are numbers (`12.5`, not `012`), more than ten different ones, of which none but
    the odd one returns: with eight cases to a value it is a name.

    >>> from segqa.outcome import Outcome
    >>> find_edges([Outcome(case_id=str(n), properties={"brightness": n / 10}) for n in range(1, 10)])
    {'brightness': (0.3, 0.6)}
    """
    found = {}
    for name in sorted({name for case in cases for name in case.tags}):
        texts = [case.tags[name] for case in cases if name in case.tags]
        different = set(texts)
        many = len(different) > _MANY and len(texts) < _FEW * len(different)
        if many and all(_NUMBER.fullmatch(text) for text in different):
            found[name] = _thirds([number(text) for text in texts])
    tags = {name for case in cases for name in case.tags}
    for name in sorted({*LEVELS, *COUNTS} - tags):
        values = [case.properties[name] for case in cases if name in case.properties]
        if values:
            found[name] = _thirds(values)
    return found


def attributes_of(cases: Iterable[Described]) -> list[str]:
    """The names of all attributes of these cases: tags first, then properties, each in order."""
    cases = list(cases)
    tags = {name for case in cases for name in case.tags}
    return [*sorted(tags), *sorted({name for case in cases for name in case.properties} - tags)]


def slice_of(case: Described, attribute: str, edges: Edges) -> str | None:
    """The value of an attribute, by which slices are named; None where the case does not have it.

    >>> from segqa.outcome import Outcome
    >>> slice_of(Outcome(case_id="x", properties={"brightness": 0.2}), "brightness", {"brightness": (0.3, 0.6)})
    'dark'
    """
    if attribute in case.tags:
        text = case.tags[attribute]
        value = number(text) if attribute in edges else math.nan
        return text if math.isnan(value) else _name_of(value, edges[attribute], _TAG_LEVELS)
    if attribute not in case.properties:
        return None
    value = case.properties[attribute]
    if attribute == "border":
        return BORDER[value]
    if attribute not in edges:
        return None
    return _name_of(value, edges[attribute], LEVELS.get(attribute))


def number(text: str) -> float:
    """The number that a text is; NaN where it is none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    if "_" in text:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _thirds(values: Sequence[float]) -> tuple[float, ...]:
    """The values at one and two thirds of the way; fewer where they would cut nothing off."""
    # an observed value and not one between two: a count has whole edges then, and a file holds what was measured
    ordered = np.sort(np.array(values, dtype=np.float64))
    cuts = {float(ordered[(len(ordered) * part + 2) // 3 - 1]) for part in (1, 2)}
    return tuple(sorted(cut for cut in cuts if cut < ordered[-1]))


def _name_of(value: float, cuts: tuple[float, ...], levels: tuple[str, str, str] | None) -> str:
    """The name of the slice that a number falls into; without levels it is named by the numbers in it."""
    place = sum(value > cut for cut in cuts)
    if levels is None:
        return _range(place, cuts)
    if not cuts:
        return levels[1]
    return levels[-1] if place == len(cuts) else levels[place]


def _range(place: int, cuts: tuple[float, ...]) -> str:
    """The whole numbers of a slice: `0-1`, `2`, `3+`."""
    low = int(cuts[place - 1]) + 1 if place else 0
    if place == len(cuts):
        return f"{low}+"
    high = int(cuts[place])
    return str(high) if low == high else f"{low}-{high}"
