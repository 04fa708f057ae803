"""A data set is a named list of cases, sorted by id; listing it reads no pixel."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from segqa.case import Case
from segqa.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Dataset:
    """Cases under a name.

    Attributes:
        name: as it stands in reports and file names.
        cases: sorted by id, ids unique.
        notes: what the listing left out or found odd, a sentence each.
    """

    name: str
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, cases: Iterable[Case], notes: Iterable[str] = ()) -> Dataset:
        """A data set of these cases, sorted.

        Raises:
            DatasetError: there is no case, or two have the same id.
        """
        ordered = tuple(sorted(cases, key=lambda case: case.id))
        if not ordered:
            raise DatasetError(f"data set {name!r} has no cases")
        twice = [name for name, times in Counter(case.id for case in ordered).items() if times > 1]
        if twice:
            raise DatasetError(
                f"data set {name!r} has {len(twice)} ids twice, such as {twice[0]!r}; ids must be unique"
            )
        return cls(name, ordered, tuple(notes))

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def limit(self, count: int, *, seed: int = 0) -> Dataset:
        """The first `count` cases of a seeded shuffle, sorted again: a fair small part, the same each time."""
        if count < 1:
            raise DatasetError(f"limit must be 1 or more, got {count}")
        shuffled = random.Random(seed).sample(self.cases, len(self.cases))  # noqa: S311 - no secret
        return Dataset.of(self.name, shuffled[:count], self.notes)

    def with_prompt(self, prompt: str) -> Dataset:
        """The same cases, with this prompt for those that have none of their own."""
        return replace(self, cases=tuple(case if case.prompt else replace(case, prompt=prompt) for case in self.cases))

    def stamp(self) -> str:
        """A hex digest that changes when a case or one of its files does; from names, sizes and times alone."""
        digest = hashlib.sha256()
        for case in self.cases:
            digest.update(repr((case.id, case.prompt, sorted(case.tags.items()), case.source.stamp())).encode())
        return digest.hexdigest()[:16]
