"""Describe the flaws that an audit finds: one flaw of a case, and all flaws of one kind."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from segqa.runs.query import Or, Predicate
from segqa.support.escaping import join_lines
from segqa.support.plurals import format_count, select_form

SHOWN = 5
"""Maximum number of cases that are listed."""

_SINGULAR = {"have": "has", "lack": "lacks", "repeat": "repeats"}
"""Singular forms of the verbs that titles begin with."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One flaw of one case.

    Attributes:
        case_id: the case.
        what: details; empty if the kind of flaw says everything.
        other: id of another case involved, such as the original of a duplicate; empty if there is none.
    """

    case_id: str
    what: str = ""
    other: str = ""

    def __str__(self) -> str:
        """Return the case id and the details."""
        return f"{self.case_id}  {self.what}".rstrip()


@dataclass(frozen=True, slots=True, repr=False)
class Flaws:
    """The cases with one kind of flaw; true if there are any.

    Attributes:
        title: description of the flaw, as it follows "3 of 804 cases".
        found: the flaws, sorted by case.
        cases: total number of cases.
        words: the words of the command that evaluates these cases; empty for cases of another data set.
    """

    title: str
    found: tuple[Flaw, ...]
    cases: int
    words: tuple[str, ...] = ("pytest", "suites")

    def __repr__(self) -> str:
        """Return a short text for failing assertions."""
        return f"<{self._headline}>"

    def __len__(self) -> int:
        return len(self.found)

    @property
    def share(self) -> float:
        """Share of the cases that have the flaw, 0 to 1."""
        return len(self.found) / self.cases if self.cases else 0.0

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Ids of the cases that have the flaw."""
        return tuple(flaw.case_id for flaw in self.found)

    @property
    def story(self) -> str:
        """The number of cases, the first few with details, and the command that evaluates just these."""
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
        """Return the command that evaluates the listed cases."""
        shown = self.found[:SHOWN]
        ids = dict.fromkeys(each for flaw in shown for each in (flaw.case_id, flaw.other) if each)
        condition = Or(tuple(Predicate("id", "=", each) for each in ids))
        return shlex.join([*self.words, "--segqa-where", str(condition)])
