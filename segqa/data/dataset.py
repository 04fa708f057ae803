"""Define a data set: a named list of cases, sorted by id. Listing it reads no pixel."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from segqa.data.case import Case, catch_case_errors
from segqa.data.case_table import CaseTable
from segqa.data.reading_rules import ReadingRules
from segqa.data.string_columns import StringColumn
from segqa.errors import CaseError, DatasetError
from segqa.support.escaping import to_utf8
from segqa.support.plurals import format_count


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named sequence of cases, sorted by id.

    Attributes:
        name: as it stands in reports and file names.
        cases: at least one, ids unique; any iterable of them is kept as a `CaseTable`, sorted by id.
        notes: what the listing left out or found odd, a sentence each.
        reading: how the files are read; None where there are none.

    Raises:
        DatasetError: there is no case, or two have the same id.
    """

    name: str
    cases: CaseTable
    notes: tuple[str, ...] = ()
    reading: ReadingRules | None = None

    @classmethod
    def from_cases(cls, name: str, cases: Iterable[Case], notes: Iterable[str] = ()) -> Dataset:
        """Build a data set from any iterable of cases."""
        return cls(name, CaseTable.from_cases(cases), tuple(notes))

    def __post_init__(self) -> None:
        object.__setattr__(self, "cases", CaseTable.from_cases(self.cases))
        object.__setattr__(self, "name", to_utf8(self.name))
        object.__setattr__(self, "notes", tuple(map(to_utf8, self.notes)))
        if not len(self):
            raise DatasetError(f"data set {self.name!r} has no cases")
        if "id" in self.tag_names:
            raise DatasetError(f"data set {self.name!r} has a tag called id, which is the case's own; rename the tag")
        if not self.cases.ids.joined.is_rising:
            twice = [case_id for case_id, times in Counter(self.cases.ids).items() if times > 1]
            came = (
                f"has {format_count(len(twice), 'id')} twice, such as {twice[0]!r}"
                if twice
                else "has ids that are not sorted"
            )
            raise DatasetError(f"data set {self.name!r} {came}; ids must be unique, and those of a CaseTable sorted")

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    @property
    def ids(self) -> StringColumn:
        """The ids of all cases."""
        return self.cases.own_ids

    @property
    def tag_names(self) -> frozenset[str]:
        """The names of the tags that at least one case has."""
        return self.cases.tag_names

    def select_ids(self, case_ids: Collection[str]) -> dict[str, Case]:
        """Return the cases with these ids, as far as they exist."""
        found = self.cases.take(np.flatnonzero(self.ids.is_among(case_ids)))
        return {case.id: case for case in found}

    def limit(self, count: int, *, seed: int = 0) -> Dataset:
        """Return the first `count` cases of a seeded shuffle, sorted by id: a fair sample, the same each time."""
        if count < 1:
            raise DatasetError(f"limit must be 1 or more, got {count}")
        chosen = sorted(random.Random(seed).sample(range(len(self)), len(self))[:count])  # noqa: S311 - no secret
        return replace(self, cases=self.cases.take(np.array(chosen)))

    def with_prompt(self, prompt: str) -> Dataset:
        """Return the cases with this prompt where they have none of their own.

        Raises:
            DatasetError: UTF-8 cannot encode it.
        """
        if to_utf8(prompt) != prompt:
            raise DatasetError(f"prompt must be a text that UTF-8 can encode, got {prompt!r}")
        return replace(self, cases=self.cases.with_prompt(prompt))

    def stamp(self) -> str:
        """Return a hex digest that changes with any case or file; it uses names, sizes and times alone."""
        digest = hashlib.sha256()
        for case in self.cases:
            digest.update(repr((case.id, case.prompt, sorted(case.tags.items()), _call_source(case, "stamp"))).encode())
        return digest.hexdigest()[:16]

    def listing(self) -> str:
        """Return a hex digest that is equal for every copy of the data set: of ids, prompts, tags and file sizes.

        Unlike `stamp` it leaves the times of files out, which a copy on another machine does not keep. A source that
        does not say how large its files are (`sizes`) counts by its id alone.
        """
        digest = hashlib.sha256()
        for case in self.cases:
            sizes = _call_source(case, "sizes")
            digest.update(repr((case.id, case.prompt, sorted(case.tags.items()), sizes)).encode())
        return digest.hexdigest()[:32]


def _call_source(case: Case, what: str) -> str:
    """Call `stamp` or `sizes` of a source; empty where it has none, the reason where it fails."""
    try:
        with catch_case_errors(case.id):
            return str(getattr(case.source, what, str)())
    except CaseError as error:
        return str(error)
