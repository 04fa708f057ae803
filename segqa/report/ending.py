"""An ending is how the tests of a session went; kept with its runs, so that a report made later can say it, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

from segqa.store import Store, write_whole

_FILE = "ending.json"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the tests of a session went.

    Attributes:
        failing: the tests that failed, name and reason each.
        counts: how many passed, failed, were skipped, …, as pytest names it.
        complete: whether all tests had their turn.
    """

    failing: tuple[tuple[str, str], ...] = ()
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    complete: bool = True

    @property
    def passed(self) -> bool:
        """Whether all tests had their turn, and all of them hold."""
        return self.complete and not self.failing

    @property
    def name(self) -> str:
        """In a word."""
        return "failed" if self.failing else "passed" if self.complete else "incomplete"


def write_ending(ending: Ending, store: Store, run_id: str) -> None:
    """Keep it with a run."""
    text = json.dumps({**asdict(ending), "counts": dict(ending.counts)}, indent=2, ensure_ascii=False)
    write_whole(store.run_folder(run_id) / _FILE, text + "\n")


def read_ending(store: Store, run_id: str) -> Ending | None:
    """How the tests of the run's session went; None for a run that no test asked for."""
    path = store.run_folder(run_id) / _FILE
    if not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Ending(tuple((name, why) for name, why in kept["failing"]), kept["counts"], kept["complete"])
