"""`[[tool.segqa.known]]`: failures that are expected until a day."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from segqa.settings import checks
from segqa.settings.declaration import declare, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """Cases that are expected to fail; `docs/settings.md` lists the keys.

    `segqa.runs.failure_kinds.read_expected_kinds` checks `kinds` and fills in its default.
    """

    where: str = field(
        metadata=declare(checks.text, 'Condition that selects the cases, such as `"camera=C2 and brightness=dark"`')
    )
    reason: str = field(metadata=declare(checks.text, "Why the cases fail"))
    until: date = field(metadata=declare(checks.day_within_a_year, "Last day on which the failures are expected"))
    kinds: tuple[str, ...] = setting(
        (),
        checks.names,
        "The [kinds of failure](failures.md#kinds) that are expected",
        shown_default="all but `error`",
    )
