"""A roster is the cases of a data set, each made when it is asked for: a few dozen bytes a case beside its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import overload

import numpy as np

from segqa.data.case import Case, Source, Unreadable, case_errors
from segqa.data.string_columns import CategoricalBuilder, CategoricalColumn, Places, RowSequence, StringColumn
from segqa.errors import CaseError
from segqa.support.escaping import to_utf8
from segqa.support.plurals import format_count


@dataclass(frozen=True, slots=True, eq=False)
class CaseTable(RowSequence[Case]):
    """Cases by their places.

    Attributes:
        ids: sorted, each once.
        source: where the pixels of the case at a place come from.
        prompts: by the place; a case may have none.
        tags: by name, then by the place.
        places: which of them these are, in this order; None for all.
    """

    ids: StringColumn
    source: Callable[[int], Source]
    prompts: CategoricalColumn
    tags: Mapping[str, CategoricalColumn] = field(default_factory=lambda: MappingProxyType({}))
    places: Places | None = None

    @classmethod
    def of(cls, cases: Iterable[Case]) -> CaseTable:
        """Any cases, sorted by their ids; of each only what no other one has is kept.

        Texts that UTF-8 cannot encode are escaped, since nothing could store them. A case whose id or prompt is such a
        text is an error when it is read.
        """
        if isinstance(cases, CaseTable):
            return cases
        ids: list[str] = []
        sources: list[Source] = []
        prompts = CategoricalBuilder()
        tags: dict[str, CategoricalBuilder] = {}
        for place, case in enumerate(cases):
            ids.append(to_utf8(case.id))
            sources.append(_source_of(case))
            if case.prompt:
                prompts.put(place, to_utf8(case.prompt))
            for name, value in case.tags.items():
                tags.setdefault(to_utf8(name), CategoricalBuilder()).put(place, to_utf8(str(value)))
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
        return cls(
            ids=StringColumn.of(ids[place] for place in order),
            source=[sources[place] for place in order].__getitem__,
            prompts=prompts.names(len(ids)).take(order),
            tags={name: column.names(len(ids)).take(order) for name, column in sorted(tags.items())},
        )

    def take(self, chosen: Places) -> CaseTable:
        """Some of them, by their places."""
        return replace(self, places=chosen if self.places is None else self.places[chosen])

    def with_prompt(self, prompt: str) -> CaseTable:
        """The same, with this prompt for those that have none of their own."""
        everywhere = CategoricalColumn((prompt,), np.zeros(len(self.ids), np.int8))
        return replace(self, prompts=self.prompts.or_else(everywhere))

    @property
    def own_ids(self) -> StringColumn:
        """The ids of these cases."""
        return self.ids if self.places is None else self.ids.take(self.places)

    @property
    def tag_names(self) -> frozenset[str]:
        """The names of the tags that at least one of these cases has."""
        return frozenset(name for name, column in self.tags.items() if (self._own(column).codes >= 0).any())

    def __len__(self) -> int:
        return len(self.ids) if self.places is None else len(self.places)

    def __iter__(self) -> Iterator[Case]:
        places = range(len(self.ids)) if self.places is None else map(int, self.places)
        names, columns = list(self.tags), [self._own(column) for column in self.tags.values()]
        for place, case_id, prompt, *values in zip(
            places, self.own_ids, self._own(self.prompts), *columns, strict=True
        ):
            tags = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            yield Case(case_id, prompt or "", self._source(case_id, place), tags)

    @overload
    def __getitem__(self, place: int) -> Case: ...
    @overload
    def __getitem__(self, place: slice) -> CaseTable: ...

    def __getitem__(self, place: int | slice) -> Case | CaseTable:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        return next(iter(self.take(np.array([range(len(self))[place]]))))

    def __repr__(self) -> str:
        shown = ", ".join(case_id for case_id, _ in zip(self.own_ids, range(3), strict=False))
        return f"<{format_count(len(self), 'case')}: {shown}{', …' if len(self) > 3 else ''}>"

    def _source(self, case_id: str, place: int) -> Source:
        """The source at a place; one that cannot even be made is that of a broken case."""
        try:
            with case_errors(case_id):
                return self.source(place)
        except CaseError as error:
            return Unreadable(str(error))

    def _own(self, column: CategoricalColumn) -> CategoricalColumn:
        """A column of these cases."""
        return column if self.places is None else column.take(self.places)


def _source_of(case: Case) -> Source:
    """The source of a case, broken where its id or prompt could not be stored as it is."""
    for what, text in (("id", case.id), ("prompt", case.prompt)):
        if to_utf8(text) != text:
            return Unreadable(f"{what} {text!r} is no text that UTF-8 can encode; choose another {what}")
    return case.source
