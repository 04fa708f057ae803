"""Keep the cases of a data set in columns; each `Case` is created on access. A few dozen bytes per case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import overload

import numpy as np

from segqa.data.case import Case, Source, Unreadable, catch_case_errors
from segqa.data.string_columns import CategoricalBuilder, CategoricalColumn, Places, RowSequence, StringColumn
from segqa.errors import CaseError
from segqa.support.escaping import to_utf8
from segqa.support.plurals import format_count


@dataclass(frozen=True, slots=True, eq=False)
class CaseTable(RowSequence[Case]):
    """A sequence of cases, stored in columns.

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
    def from_cases(cls, cases: Iterable[Case]) -> CaseTable:
        """Build the table of any cases, sorted by id; what cases share is stored once.

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
            sources.append(_get_source(case))
            if case.prompt:
                prompts.put(place, to_utf8(case.prompt))
            for name, value in case.tags.items():
                tags.setdefault(to_utf8(name), CategoricalBuilder()).put(place, to_utf8(str(value)))
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
        return cls(
            ids=StringColumn.from_strings(ids[place] for place in order),
            source=[sources[place] for place in order].__getitem__,
            prompts=prompts.build(len(ids)).take(order),
            tags={name: column.build(len(ids)).take(order) for name, column in sorted(tags.items())},
        )

    def take(self, chosen: Places) -> CaseTable:
        """Return some of the cases, by their indices."""
        return replace(self, places=chosen if self.places is None else self.places[chosen])

    def with_prompt(self, prompt: str) -> CaseTable:
        """Return the cases with this prompt where they have none of their own."""
        everywhere = CategoricalColumn((prompt,), np.zeros(len(self.ids), np.int8))
        return replace(self, prompts=self.prompts.fill_from(everywhere))

    @property
    def own_ids(self) -> StringColumn:
        """The ids of the cases."""
        return self.ids if self.places is None else self.ids.take(self.places)

    @property
    def tag_names(self) -> frozenset[str]:
        """The names of the tags that at least one case has."""
        return frozenset(name for name, column in self.tags.items() if (self._get_column(column).codes >= 0).any())

    def __len__(self) -> int:
        return len(self.ids) if self.places is None else len(self.places)

    def __iter__(self) -> Iterator[Case]:
        places = range(len(self.ids)) if self.places is None else map(int, self.places)
        names, columns = list(self.tags), [self._get_column(column) for column in self.tags.values()]
        for place, case_id, prompt, *values in zip(
            places, self.own_ids, self._get_column(self.prompts), *columns, strict=True
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
        """Return the source at an index; an `Unreadable` where it cannot be created."""
        try:
            with catch_case_errors(case_id):
                return self.source(place)
        except CaseError as error:
            return Unreadable(str(error))

    def _get_column(self, column: CategoricalColumn) -> CategoricalColumn:
        """Return a column of these cases."""
        return column if self.places is None else column.take(self.places)


def _get_source(case: Case) -> Source:
    """Return the source of a case; an `Unreadable` where its id or prompt cannot be stored."""
    for what, text in (("id", case.id), ("prompt", case.prompt)):
        if to_utf8(text) != text:
            return Unreadable(f"{what} {text!r} is no text that UTF-8 can encode; choose another {what}")
    return case.source
