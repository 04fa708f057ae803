"""A slice is a named subset of cases: `camera=C2`, `brightness=dark`. It is one value of an attribute.

Attributes are tags and measured properties; a tag hides a property of its name. Numbers are cut into thirds, and the
edges of the cuts stay with the run, so that `brightness=dark` means the same in the next one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from segqa.data.string_columns import CategoricalColumn
from segqa.models.protocol import Floats
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.scoring.properties import BORDER, COUNTS, LEVELS

Edges: TypeAlias = Mapping[str, tuple[float, ...]]
"""For each numeric attribute the upper ends of its slices but the last: none, one or two, rising."""

_TAG_LEVELS = ("low", "medium", "high")
_MANY, _FEW = 10, 8
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


def find_edges(cases: Iterable[Outcome]) -> dict[str, tuple[float, ...]]:
    """Where to cut the numeric attributes of these cases: at the thirds of their values, as far as these differ.

    A tag is numeric if all its values are numbers (`12.5`, not `012`), more than ten different ones, of which none but
    the odd one returns: with eight cases to a value it is a name.

    >>> find_edges([Outcome(case_id=str(n), properties={"brightness": n / 10}) for n in range(1, 10)])
    {'brightness': (0.3, 0.6)}
    """
    cases = Outcomes.from_outcomes(cases)
    tags, properties = cases.tags, cases.properties
    found = {}
    for name, column in sorted(tags.items()):
        different = [text for _, text in column.used]
        many = len(different) > _MANY and np.count_nonzero(column.codes >= 0) < _FEW * len(different)
        if many and all(_NUMBER.fullmatch(text) for text in different):
            found[name] = _compute_thirds(_parse_numbers(column))
    for name in sorted({*LEVELS, *COUNTS} & set(properties) - set(tags)):
        found[name] = _compute_thirds(properties[name])
    return found


def list_attributes(cases: Iterable[Outcome]) -> list[str]:
    """The names of all attributes of these cases: tags first, then properties, each in order."""
    cases = Outcomes.from_outcomes(cases)
    tags = set(cases.tags)
    return [*sorted(tags), *sorted(set(cases.properties) - tags)]


def assign_slices(cases: Iterable[Outcome], attribute: str, edges: Edges) -> CategoricalColumn:
    """For each case the value of an attribute, by which slices are named; none where it does not have it.

    >>> dim, none = Outcome(case_id="x", properties={"brightness": 0.2}), Outcome(case_id="y")
    >>> list(assign_slices([dim, none], "brightness", {"brightness": (0.3, 0.6)}))
    ['dark', None]
    """
    cases = Outcomes.from_outcomes(cases)
    tag, values = cases.tags.get(attribute), cases.properties.get(attribute)
    by_tag = None if tag is None else tag.map_values(lambda text: _find_tag_level(text, edges.get(attribute)))
    if values is None:
        return by_tag or CategoricalColumn((), np.full(len(cases), -1, np.int32))
    by_number = _assign_property_slices(attribute, values, edges)
    return by_number if by_tag is None else by_tag.fill_from(by_number)


def read_numbers(cases: Outcomes, attribute: str) -> Floats:
    """For each case the number that a tag or property is, float64 `[n]`; NaN where it is none."""
    tag, known = cases.tags.get(attribute), cases.properties.get(attribute)
    values = np.full(len(cases), np.nan) if known is None else known
    found: Floats = values if tag is None else np.where(tag.codes >= 0, _parse_numbers(tag), values)
    return found


def parse_number(text: str) -> float:
    """The number that a text is; NaN where it is none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    if "_" in text:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _parse_numbers(column: CategoricalColumn) -> Floats:
    """The numbers that the texts of a column are, NaN where there is none."""
    found: Floats = np.array([*map(parse_number, column.values), math.nan])[column.codes]  # -1 is the last
    return found


def _compute_thirds(values: Floats) -> tuple[float, ...]:
    """The values at one and two thirds of the way; fewer where they would cut nothing off."""
    # an observed value and not one between two: a count has whole edges then, and a file holds what was measured
    ordered = np.sort(values[~np.isnan(values)])
    cuts = {float(ordered[(len(ordered) * part + 2) // 3 - 1]) for part in (1, 2)}
    return tuple(sorted(cut for cut in cuts if cut < ordered[-1]))


def _find_tag_level(text: str, cuts: tuple[float, ...] | None) -> str:
    """The slice of a tag: the tag itself, or where its number lies."""
    value = math.nan if cuts is None else parse_number(text)
    return (
        text if cuts is None or math.isnan(value) else _name_level(sum(value > cut for cut in cuts), cuts, _TAG_LEVELS)
    )


def _assign_property_slices(attribute: str, values: Floats, edges: Edges) -> CategoricalColumn:
    """The slices of a property."""
    if attribute == "border":
        names = tuple(BORDER[each] for each in (0.0, 1.0))
        return CategoricalColumn(names, np.nan_to_num(values, nan=-1).astype(np.int8))
    if attribute not in edges:
        return CategoricalColumn((), np.full(len(values), -1, np.int32))
    cuts, levels = edges[attribute], LEVELS.get(attribute)
    places = np.where(np.isnan(values), -1, np.searchsorted(cuts, values)).astype(np.int32)
    return CategoricalColumn(tuple(_name_level(place, cuts, levels) for place in range(len(cuts) + 1)), places)


def _name_level(place: int, cuts: tuple[float, ...], levels: tuple[str, str, str] | None) -> str:
    """The name of the slice after so many cuts; without levels it is named by the numbers in it."""
    if levels is None:
        return _name_range(place, cuts)
    if not cuts:
        return levels[1]
    return levels[-1] if place == len(cuts) else levels[place]


def _name_range(place: int, cuts: tuple[float, ...]) -> str:
    """The whole numbers of a slice: `0-1`, `2`, `3+`."""
    low = int(cuts[place - 1]) + 1 if place else 0
    if place == len(cuts):
        return f"{low}+"
    high = int(cuts[place])
    return str(high) if low == high else f"{low}-{high}"
