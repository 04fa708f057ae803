"""An ending is how the tests of a session went; kept with its runs, so that a report made later can say it, too."""

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
    """How the tests of one capability and kind of behaviour went.

    Attributes:
        capability: what the model has to cope with.
        kind: `MFT`, `INV` or `DIR`.
        passed: so many.
        failed: so many, errors among them.
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
    """How the tests of a session went.

    Attributes:
        failing: the tests that failed, name and reason each.
        counts: how many passed, failed, were skipped, …, as pytest names it.
        complete: whether all tests had their turn.
        behaviour: how those went that are marked with `segqa_behaviour`.
        findings: reasons to fail although no test has failed.
        warnings: what weakens a pass without failing it.
        problem: why the session could not be judged; empty if it could.
        titles: what failing tests expect, in a sentence, by name; of a test without a docstring there is none.
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
        """Return whether all tests ran and passed, and nothing else was found."""
        return self.name == "passed"

    @property
    def name(self) -> str:
        """In a word."""
        if self.failing or self.findings:
            return "failed"
        return "passed" if self.complete and not self.problem else "incomplete"


def behaviour_table(found: Sequence[BehaviourResult]) -> Table:
    """Capabilities down, kinds of behaviour across."""
    cells = {(each.capability, each.kind): str(each) for each in found}
    rows = [(name, *(cells.get((name, kind)) for kind in _KINDS)) for name in sorted({name for name, _ in cells})]
    return Table(("capability", *_KINDS), tuple(rows))


def write_ending(ending: SessionResult, store: Store, run_id: str) -> None:
    """Keep it with a run.

    Raises:
        StoreError: the disk is full, say.
    """
    path = store.run_folder(run_id) / _FILE
    document = add_checksum(asdict(replace(ending, counts=dict(ending.counts))))
    with explain_disk_errors("result of a session", path, _ADVICE):
        write_whole(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_ending(store: Store, run_id: str) -> SessionResult | None:
    """How the tests of the run's session went; None for a run that no test asked for.

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
    """How tests went, from JSON."""
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
