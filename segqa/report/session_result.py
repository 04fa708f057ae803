"""Test results of a session, stored with its runs so that later reports can include them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from segqa.errors import StoreError
from segqa.report.tables import Table
from segqa.runs.checksums import add_checksum, require_checksum
from segqa.runs.store import Store, write_whole
from segqa.support.disk_errors import explain_disk_errors

_FILE = "ending.json"
_ADVICE = "remove it, and a report says nothing of the tests"
_KINDS = ("MFT", "INV", "DIR")


@dataclass(frozen=True, slots=True)
class BehaviourResult:
    """The test results of one capability and behaviour test type.

    Attributes:
        capability: the tested capability of the model.
        kind: `MFT`, `INV` or `DIR`.
        passed: number of passed tests.
        failed: number of failed tests, errors included.
    """

    capability: str
    kind: str
    passed: int
    failed: int

    def __str__(self) -> str:
        """In a cell."""
        counts = {"passed": self.passed, "failed": self.failed}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


@dataclass(frozen=True, slots=True)
class SessionResult:
    """The test results of a session.

    Attributes:
        failing: the tests that failed, name and reason each.
        counts: number of tests by outcome, with pytest's names (passed, failed, skipped, …).
        complete: true if all tests ran.
        behaviour: results of the tests marked with `segqa_behaviour`.
        findings: reasons to fail other than failed tests.
        warnings: problems that weaken a pass without failing it.
        problem: the reason why the session could not be judged; empty if it could.
        titles: by test name, the expectation of a failing test in a sentence; tests without a docstring have none.
    """

    failing: tuple[tuple[str, str], ...] = ()
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    complete: bool = True
    behaviour: tuple[BehaviourResult, ...] = ()
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True if all tests ran and passed, and there are no other findings."""
        return self.name == "passed"

    @property
    def name(self) -> str:
        """The result in one word."""
        if self.failing or self.findings:
            return "failed"
        return "passed" if self.complete and not self.problem else "incomplete"


def behaviour_table(found: Sequence[BehaviourResult]) -> Table:
    """Return a table with one row per capability and one column per behaviour test type."""
    cells = {(each.capability, each.kind): str(each) for each in found}
    rows = [(name, *(cells.get((name, kind)) for kind in _KINDS)) for name in sorted({name for name, _ in cells})]
    return Table(("capability", *_KINDS), tuple(rows))


def write_ending(ending: SessionResult, store: Store, run_id: str) -> None:
    """Store the session result with a run.

    Raises:
        StoreError: the disk is full, say.
    """
    path = store.run_folder(run_id) / _FILE
    document = add_checksum(asdict(replace(ending, counts=dict(ending.counts))))
    with explain_disk_errors("result of a session", path, _ADVICE):
        write_whole(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_ending(store: Store, run_id: str) -> SessionResult | None:
    """Read the result of the run's session, or return None for a run outside a test session.

    Raises:
        StoreError: the file is damaged.
    """
    path = store.run_folder(run_id) / _FILE
    if not path.is_file():
        return None
    try:
        with explain_disk_errors("result of a session", path, _ADVICE):
            kept = json.loads(path.read_text(encoding="utf-8"))
        require_checksum(kept, path, _ADVICE)
        return _parse_result(kept)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: {error}; {_ADVICE}") from error


def _parse_result(kept: Mapping[str, Any]) -> SessionResult:
    """Parse a session result from JSON."""
    return SessionResult(
        failing=tuple((name, why) for name, why in kept["failing"]),
        counts=kept["counts"],
        complete=kept["complete"],
        behaviour=tuple(BehaviourResult(**each) for each in kept.get("behaviour", ())),
        findings=tuple(kept.get("findings", ())),
        warnings=tuple(kept.get("warnings", ())),
        problem=kept.get("problem", ""),
        titles=kept.get("titles", {}),
    )
