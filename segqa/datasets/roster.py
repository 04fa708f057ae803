"""A roster is the cases of a large data set, each made when it is asked for; a few dozen bytes a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import overload

import numpy as np

from segqa.case import Case, Source
from segqa.names import Names
from segqa.texts import Places, Texts


@dataclass(frozen=True, slots=True, eq=False)
class Roster(Sequence[Case]):
    """Cases by their places.

    Attributes:
        ids: sorted, each once.
        source: where the pixels of the case at a place come from.
        prompts: by the place; a case may have none.
        tags: by name, then by the place.
        places: which of them these are, in this order; None for all.
    """

    ids: Texts
    source: Callable[[int], Source]
    prompts: Names
    tags: Mapping[str, Names] = field(default_factory=lambda: MappingProxyType({}))
    places: Places | None = None

    def take(self, chosen: Places) -> Roster:
        """Some of them, by their places."""
        return replace(self, places=chosen if self.places is None else self.places[chosen])

    def with_prompt(self, prompt: str) -> Roster:
        """The same, with this prompt for those that have none of their own."""
        everywhere = Names((prompt,), np.zeros(len(self.ids), np.int8))
        return replace(self, prompts=self.prompts.or_else(everywhere))

    @property
    def own_ids(self) -> Texts:
        """The ids of these cases."""
        return self.ids if self.places is None else self.ids.take(self.places)

    def __len__(self) -> int:
        return len(self.ids) if self.places is None else len(self.places)

    def __iter__(self) -> Iterator[Case]:
        return map(self._case, range(len(self.ids)) if self.places is None else map(int, self.places))

    @overload
    def __getitem__(self, place: int) -> Case: ...
    @overload
    def __getitem__(self, place: slice) -> Roster: ...

    def __getitem__(self, place: int | slice) -> Case | Roster:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        return self._case(range(len(self))[place] if self.places is None else int(self.places[place]))

    def _case(self, place: int) -> Case:
        prompt = int(self.prompts.codes[place])
        tags = {name: each.values[code] for name, each in self.tags.items() if (code := int(each.codes[place])) >= 0}
        return Case(self.ids[place], self.prompts.values[prompt] if prompt >= 0 else "", self.source(place), tags)
