"""Slices: named subsets of cases by one attribute value, such as `camera=C2` or `brightness=dark`.

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
"""Upper slice edges of each numeric attribute except the last: none, one or two, ascending."""

_TAG_LEVELS = ("low", "medium", "high")
_MANY, _FEW = 10, 8
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


def find_edges(cases: Iterable[Outcome]) -> dict[str, tuple[float, ...]]:
    """Compute the slice edges of the numeric attributes: the terciles of their values, where these differ.

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
    """Return the names of all attributes of these cases: tags, then properties, each in order."""
    cases = Outcomes.from_outcomes(cases)
    tags = set(cases.tags)
    return [*sorted(tags), *sorted(set(cases.properties) - tags)]


def assign_slices(cases: Iterable[Outcome], attribute: str, edges: Edges) -> CategoricalColumn:
    """Return the slice value of an attribute for each case; none where the case lacks it.

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
    """Return a tag or property of each case as a number, float64 `[n]`; NaN where it is not numeric."""
    tag, known = cases.tags.get(attribute), cases.properties.get(attribute)
    values = np.full(len(cases), np.nan) if known is None else known
    found: Floats = values if tag is None else np.where(tag.codes >= 0, _parse_numbers(tag), values)
    return found


def parse_number(text: str) -> float:
    """Parse a number; NaN where the text is not one."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    if "_" in text:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _parse_numbers(column: CategoricalColumn) -> Floats:
    """Parse the strings of a column as numbers; NaN where one is not numeric."""
    found: Floats = np.array([*map(parse_number, column.values), math.nan])[column.codes]  # -1 is the last
    return found


def _compute_thirds(values: Floats) -> tuple[float, ...]:
    """Return the terciles of the values; fewer where an edge would separate nothing."""
    # an observed value and not one between two: a count has whole edges then, and a file holds what was measured
    ordered = np.sort(values[~np.isnan(values)])
    cuts = {float(ordered[(len(ordered) * part + 2) // 3 - 1]) for part in (1, 2)}
    return tuple(sorted(cut for cut in cuts if cut < ordered[-1]))


def _find_tag_level(text: str, cuts: tuple[float, ...] | None) -> str:
    """Return the slice of a tag: the tag itself, or the interval of its number."""
    value = math.nan if cuts is None else parse_number(text)
    return (
        text if cuts is None or math.isnan(value) else _name_level(sum(value > cut for cut in cuts), cuts, _TAG_LEVELS)
    )


def _assign_property_slices(attribute: str, values: Floats, edges: Edges) -> CategoricalColumn:
    """Return the slices of a property."""
    if attribute == "border":
        names = tuple(BORDER[each] for each in (0.0, 1.0))
        return CategoricalColumn(names, np.nan_to_num(values, nan=-1).astype(np.int8))
    if attribute not in edges:
        return CategoricalColumn((), np.full(len(values), -1, np.int32))
    cuts, levels = edges[attribute], LEVELS.get(attribute)
    places = np.where(np.isnan(values), -1, np.searchsorted(cuts, values)).astype(np.int32)
    return CategoricalColumn(tuple(_name_level(place, cuts, levels) for place in range(len(cuts) + 1)), places)


def _name_level(place: int, cuts: tuple[float, ...], levels: tuple[str, str, str] | None) -> str:
    """Return the name of the slice after a number of edges; without levels, the range of its numbers."""
    if levels is None:
        return _name_range(place, cuts)
    if not cuts:
        return levels[1]
    return levels[-1] if place == len(cuts) else levels[place]


def _name_range(place: int, cuts: tuple[float, ...]) -> str:
    """Return the integer range of a slice: `0-1`, `2`, `3+`."""
    low = int(cuts[place - 1]) + 1 if place else 0
    if place == len(cuts):
        return f"{low}+"
    high = int(cuts[place])
    return str(high) if low == high else f"{low}-{high}"
