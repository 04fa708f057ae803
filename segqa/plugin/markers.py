"""Read the markers `segqa_slice` and `segqa_behaviour`, and count the tests that have the latter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from segqa.errors import SettingsError, UsageError
from segqa.plugin.context import get_session
from segqa.support.plurals import format_count

if TYPE_CHECKING:
    from segqa.report.session_result import BehaviourResult
    from segqa.runs.run import Run

Read = TypeVar("Read")

SLICE_MARKER = "segqa_slice"


@dataclass(frozen=True, slots=True)
class SliceMarker:
    """The arguments of the marker `segqa_slice`.

    Attributes:
        name: the name of the slice in findings.
        where: the condition that its cases match.
        min_cases: the minimum number of cases; with fewer the test is skipped.
    """

    name: str
    where: str
    min_cases: int = 8

    def __post_init__(self) -> None:
        texts: tuple[object, ...] = (self.name, self.where)
        count: object = self.min_cases
        if not all(isinstance(text, str) and text for text in texts) or not isinstance(count, int):
            raise TypeError(f"expected two texts and a number, got {self.name!r}, {self.where!r}, {self.min_cases!r}")


def select_slice(node: pytest.Item, run: Run) -> Run:
    """Return the slice of the run that a test is marked with; the whole run without a marker."""
    mark = read_slice_marker(node)
    if mark is None:
        return run
    problem = ""
    try:
        # in a part of the data set a slice may have no case
        part = run.where(mark.where, mark.name, strict=not run.is_partial)
    except SettingsError as error:
        problem = f"segqa: slice {mark.name!r}: {error}"
    if problem:
        pytest.fail(problem, pytrace=False)
    if len(part.outcomes) < mark.min_cases:
        cases = format_count(len(part.outcomes), "case")
        text = f"slice {mark.name!r} ({mark.where}) has {cases}, fewer than {mark.min_cases}"
        if not run.is_partial:
            get_session(node.config).warn(f"{text}: its tests judge nothing")
        pytest.skip(text)
    return part


def check_slice_marker(node: pytest.Item) -> None:
    """Refuse a marker with wrong arguments or a condition that cannot be parsed.

    Raises:
        UsageError: names the test.
    """
    mark = read_slice_marker(node)
    if mark is None:
        return
    from segqa.runs.query import parse_condition

    try:
        parse_condition(mark.where)
    except SettingsError as error:
        raise UsageError(f"{node.nodeid}: {error}") from error


def read_slice_marker(node: pytest.Item) -> SliceMarker | None:
    """Return the nearest slice marker of a test; None if it has none.

    Raises:
        UsageError: the arguments of the marker are wrong.
    """
    return read_marker(node, SLICE_MARKER, SliceMarker, "(name, where=…, min_cases=8)")


def read_marker(node: pytest.Item, name: str, make: Callable[..., Read], expected: str) -> Read | None:
    """Return the nearest marker of a test with a given name, converted; None if it has none.

    Args:
        node: the test.
        name: the name of the marker.
        make: converts the arguments of the marker; raises a TypeError if they are wrong.
        expected: the arguments as a user writes them, for the error.

    Raises:
        UsageError: the arguments are wrong.
    """
    mark = node.get_closest_marker(name)
    if mark is None:
        return None
    try:
        return make(*mark.args, **mark.kwargs)
    except TypeError as error:
        raise UsageError(f"{node.nodeid}: expected {name}{expected}: {error}") from error


KINDS = ("MFT", "INV", "DIR")
"""Minimum functionality, invariance, directional expectation."""

BEHAVIOUR_MARKER = "segqa_behaviour"

_KIND, _CAPABILITY = "segqa.behaviour", "segqa.capability"


@dataclass(frozen=True, slots=True)
class BehaviourMarker:
    """The arguments of the marker `segqa_behaviour`.

    Attributes:
        kind: the kind of behaviour, one of `KINDS`.
        capability: the capability that the test checks, such as robustness to blur.
    """

    kind: str
    capability: str

    def __post_init__(self) -> None:
        capability: object = self.capability
        if self.kind not in KINDS or not isinstance(capability, str) or not capability:
            raise TypeError(f"expected one of {', '.join(KINDS)} and a text, got {self.kind!r}, {self.capability!r}")

    @property
    def properties(self) -> list[tuple[str, object]]:
        """The properties of the test, which reach JUnit XML and pass from worker to controller."""
        return [(_KIND, self.kind), (_CAPABILITY, self.capability)]


def read_behaviour_marker(node: pytest.Item) -> BehaviourMarker | None:
    """Return the nearest behaviour marker of a test; None if it has none.

    Raises:
        UsageError: the arguments of the marker are wrong.
    """
    return read_marker(node, BEHAVIOUR_MARKER, BehaviourMarker, "(kind, capability=…)")


def count_behaviours(stats: Mapping[str, Iterable[Any]]) -> tuple[BehaviourResult, ...]:
    """Count the marked tests that have passed and failed, by capability and kind.

    Args:
        stats: the test reports, by category.
    """
    from segqa.report.session_result import BehaviourResult

    passed, failed = _count_reports(stats, "passed"), _count_reports(stats, "failed", "error")
    return tuple(BehaviourResult(*each, passed[each], failed[each]) for each in sorted(passed.keys() | failed.keys()))


def _count_reports(stats: Mapping[str, Iterable[Any]], *categories: str) -> Counter[tuple[str, str]]:
    """Count the tests in some categories, by capability and kind."""
    reports = (report for category in categories for report in stats.get(category, ()))
    known = (dict(getattr(report, "user_properties", ())) for report in reports)
    return Counter((about[_CAPABILITY], about[_KIND]) for about in known if _KIND in about)
