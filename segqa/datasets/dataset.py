"""A data set is a named list of cases, sorted by id; listing it reads no pixel."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from segqa.case import Case
from segqa.datasets.roster import Roster
from segqa.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Dataset:
    """Cases under a name.

    Attributes:
        name: as it stands in reports and file names.
        cases: at least one, ids unique; they are sorted by id. Of a large data set a `Roster`.
        notes: what the listing left out or found odd, a sentence each.

    Raises:
        DatasetError: there is no case, or two have the same id.
    """

    name: str
    cases: Sequence[Case]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, cases: Iterable[Case], notes: Iterable[str] = ()) -> Dataset:
        """A data set of any iterable of cases."""
        return cls(name, cases if isinstance(cases, Roster) else tuple(cases), tuple(notes))

    def __post_init__(self) -> None:
        if isinstance(self.cases, Roster):
            _require_fit(self.name, self.cases)
            return
        shared: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
        cases = (_with_shared(case, shared) for case in self.cases)
        object.__setattr__(self, "cases", tuple(sorted(cases, key=lambda case: case.id)))
        if not self.cases:
            raise DatasetError(f"data set {self.name!r} has no cases")
        twice = [case_id for case_id, times in Counter(case.id for case in self.cases).items() if times > 1]
        if any("id" in case.tags for case in self.cases):
            raise DatasetError(f"data set {self.name!r} has a tag called id, which is the case's own; rename the tag")
        if twice:
            came = f"{len(twice)} ids twice, such as {twice[0]!r}"
            raise DatasetError(f"data set {self.name!r} has {came}; ids must be unique")

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def by_id(self, case_ids: Collection[str]) -> dict[str, Case]:
        """Those of the cases with these ids that there are."""
        if isinstance(self.cases, Roster):
            own = self.cases.own_ids
            found = self.cases.take(np.flatnonzero(own.among(case_ids)))
            return {case.id: case for case in found}
        return {case.id: case for case in self.cases if case.id in case_ids}

    def limit(self, count: int, *, seed: int = 0) -> Dataset:
        """The first `count` cases of a seeded shuffle, sorted again: a fair small part, the same each time."""
        if count < 1:
            raise DatasetError(f"limit must be 1 or more, got {count}")
        chosen = sorted(random.Random(seed).sample(range(len(self.cases)), len(self.cases))[:count])  # noqa: S311 - no secret
        cases = self.cases.take(np.array(chosen)) if isinstance(self.cases, Roster) else [self.cases[n] for n in chosen]
        return Dataset.of(self.name, cases, self.notes)

    def with_prompt(self, prompt: str) -> Dataset:
        """The same cases, with this prompt for those that have none of their own."""
        if isinstance(self.cases, Roster):
            return replace(self, cases=self.cases.with_prompt(prompt))
        return replace(self, cases=tuple(case if case.prompt else replace(case, prompt=prompt) for case in self.cases))

    def stamp(self) -> str:
        """A hex digest that changes when a case or one of its files does; from names, sizes and times alone."""
        digest = hashlib.sha256()
        for case in self.cases:
            digest.update(repr((case.id, case.prompt, sorted(case.tags.items()), case.source.stamp())).encode())
        return digest.hexdigest()[:16]

    def listing(self) -> str:
        """A hex digest that is the same for every copy of the data set: of ids, prompts, tags and the sizes of files.

        Unlike `stamp` it leaves the times of files out, which a copy on another machine does not keep. A source that
        does not say how large its files are (`sizes`) counts by its id alone.
        """
        digest = hashlib.sha256()
        for case in self.cases:
            sizes = getattr(case.source, "sizes", str)()
            digest.update(repr((case.id, case.prompt, sorted(case.tags.items()), sizes)).encode())
        return digest.hexdigest()[:32]


def _require_fit(name: str, roster: Roster) -> None:
    """Refuse a roster that is no data set."""
    if not len(roster):
        raise DatasetError(f"data set {name!r} has no cases")
    if not roster.ids.joined.is_rising:
        raise DatasetError(f"data set {name!r} must have sorted ids, each once, since its cases are made when needed")
    if "id" in roster.tags:
        raise DatasetError(f"data set {name!r} has a tag called id, which is the case's own; rename the tag")


def _with_shared(case: Case, shared: dict[tuple[tuple[str, str], ...], Mapping[str, str]]) -> Case:
    """The case with the tags of an earlier one that has the same: they are most of what a large data set takes."""
    if isinstance(case.tags, MappingProxyType):
        return case
    key = tuple(sorted(case.tags.items()))
    return replace(case, tags=shared.setdefault(key, MappingProxyType(dict(key))))
