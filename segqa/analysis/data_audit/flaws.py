"""A flaw is what is wrong with one case of a data set; flaws of one sort are told, listed and counted together."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from segqa.runs.query import Or, Predicate
from segqa.support.escaping import join_lines
from segqa.support.plurals import format_count, select_form

SHOWN = 5
"""So many cases are listed."""

_SINGULAR = {"have": "has", "lack": "lacks", "repeat": "repeats"}
"""The verbs that titles begin with, for one case."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a case.

    Attributes:
        case_id: the case.
        what: is wrong; empty where the sort of flaw says it all.
        other: the id of another case that has to be looked at with it, if any.
    """

    case_id: str
    what: str = ""
    other: str = ""

    def __str__(self) -> str:
        """The case, and what is wrong with it."""
        return f"{self.case_id}  {self.what}".rstrip()


@dataclass(frozen=True, slots=True, repr=False)
class Flaws:
    """The cases with one sort of flaw; true where there are any.

    Attributes:
        title: what is wrong with them, as it stands behind "3 of 804 cases".
        found: sorted by case.
        cases: of how many.
        words: of the command that is given for looking at them; none where cases of another data set are meant.
    """

    title: str
    found: tuple[Flaw, ...]
    cases: int
    words: tuple[str, ...] = ("pytest", "suites")

    def __repr__(self) -> str:
        """Short: a failing assertion shows it, and the story beside it."""
        return f"<{self._headline}>"

    def __len__(self) -> int:
        return len(self.found)

    @property
    def share(self) -> float:
        """Of the cases that have the flaw, 0 to 1."""
        return len(self.found) / self.cases if self.cases else 0.0

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Of the cases that have the flaw."""
        return tuple(flaw.case_id for flaw in self.found)

    @property
    def story(self) -> str:
        """How many cases, the first few with what is wrong, and the command that evaluates just these."""
        lines = [self._headline]
        lines += [f"  {flaw}" for flaw in self.found[:SHOWN]]
        if len(self.found) > SHOWN:
            lines.append(f"  … and {len(self.found) - SHOWN} more")
        if self.found and self.words:
            lines.append(f"  just these: {self._build_command()}")
        return join_lines(lines)

    @property
    def _headline(self) -> str:
        verb, _, rest = self.title.partition(" ")
        verb = select_form(len(self.found), _SINGULAR.get(verb, verb), verb)
        return f"{len(self.found)} of {format_count(self.cases, 'case')} {verb} {rest}"

    def _build_command(self) -> str:
        """The command that evaluates the cases that are listed."""
        shown = self.found[:SHOWN]
        ids = dict.fromkeys(each for flaw in shown for each in (flaw.case_id, flaw.other) if each)
        condition = Or(tuple(Predicate("id", "=", each) for each in ids))
        return shlex.join([*self.words, "--segqa-where", str(condition)])
