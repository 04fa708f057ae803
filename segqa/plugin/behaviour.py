"""Behaviour: `@pytest.mark.segqa_behaviour("INV", capability="lighting")` says what a test is of, after CheckList."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from segqa.plugin.marks import read_mark

if TYPE_CHECKING:
    from segqa.report.session_result import Behaved

KINDS = ("MFT", "INV", "DIR")
"""Minimum functionality, invariance, directional expectation."""

NAME = "segqa_behaviour"

_KIND, _CAPABILITY = "segqa.behaviour", "segqa.capability"


@dataclass(frozen=True, slots=True)
class BehaviourMark:
    """What the marker says.

    Attributes:
        kind: of behaviour.
        capability: what a model has to cope with.
    """

    kind: str
    capability: str

    def __post_init__(self) -> None:
        capability: object = self.capability
        if self.kind not in KINDS or not isinstance(capability, str) or not capability:
            raise TypeError(f"expected one of {', '.join(KINDS)} and a text, got {self.kind!r}, {self.capability!r}")

    @property
    def properties(self) -> list[tuple[str, object]]:
        """What reaches JUnit XML, and passes from worker to controller."""
        return [(_KIND, self.kind), (_CAPABILITY, self.capability)]


def behaviour_mark(node: pytest.Item) -> BehaviourMark | None:
    """The nearest marker of a test; None where there is none.

    Raises:
        UsageError: it does not say what it has to say.
    """
    return read_mark(node, NAME, BehaviourMark, "(kind, capability=…)")


def behaved(stats: Mapping[str, Iterable[Any]]) -> tuple[Behaved, ...]:
    """How many marked tests have passed and failed, by capability and kind.

    Args:
        stats: the reports of the terminal, by category.
    """
    from segqa.report.session_result import Behaved

    passed, failed = _count(stats, "passed"), _count(stats, "failed", "error")
    return tuple(Behaved(*each, passed[each], failed[each]) for each in sorted(passed.keys() | failed.keys()))


def _count(stats: Mapping[str, Iterable[Any]], *categories: str) -> Counter[tuple[str, str]]:
    """How many tests are in some categories, by capability and kind."""
    reports = (report for category in categories for report in stats.get(category, ()))
    known = (dict(getattr(report, "user_properties", ())) for report in reports)
    return Counter((about[_CAPABILITY], about[_KIND]) for about in known if _KIND in about)
