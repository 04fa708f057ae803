"""Outcome columns in Parquet files, read on demand: runs with millions of cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Mask
from segqa.data.string_columns import CategoricalColumn, Places, StringBuilder, StringColumn
from segqa.models.protocol import Floats
from segqa.runs.outcome import Outcome
from segqa.runs.outcome_columns import Columns, MemoryColumns, Whole, count_wrong_pixels, hash_string_parts
from segqa.runs.parquet_blocks import (
    COUNTS,
    PROPERTY,
    TAG,
    from_table,
    list_parts,
    read_breakdowns,
    read_part,
    to_smallest_dtype,
)
from segqa.scoring.error_breakdown import Breakdown


class ParquetColumns:
    """Columns in part files, see `Columns`. Short columns in frequent use stay in memory.

    Args:
        folder: has the parts.

    Raises:
        StoreError: there are none, they are damaged, or pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        parts = list_parts(folder)
        self._parts = list(parts)
        self._edges = np.concatenate([[0], np.cumsum(list(parts.values()), dtype=np.int64)])
        self._held = lru_cache(maxsize=2)(lambda number: from_table(read_part(self._parts[number])))

    @cached_property
    def ids(self) -> StringColumn:
        """Ids of the cases."""
        return self._read_strings("id")

    @cached_property
    def prompts(self) -> CategoricalColumn:
        """Prompts of the cases."""
        return self._read_categories("prompt")

    @cached_property
    def tags(self) -> Mapping[str, CategoricalColumn]:
        """Tags by name."""
        return {name.removeprefix(TAG): self._read_categories(name) for name in self._find_names(TAG)}

    @property
    def properties(self) -> Mapping[str, Floats]:
        """Properties by name, each read on first use."""
        names = [name.removeprefix(PROPERTY) for name in self._find_names(PROPERTY)]
        return _LazyColumns(names, lambda name: self._read_numbers(PROPERTY + name))

    @property
    def digests(self) -> StringColumn:
        """Digests of the image and target files."""
        return self._read_strings("digest")

    @property
    def pixels(self) -> StringColumn:
        """Digests of the image and target pixels; empty where unknown."""
        return self._read_strings("pixels")

    @property
    def contents(self) -> bytes:
        """Content numbers; two cases have equal numbers if and only if their digests are equal."""
        return hash_string_parts(column.to_pylist() for column in self._read_columns("digest"))

    @property
    def keys(self) -> StringColumn:
        """Keys of the proposals."""
        return self._read_strings("key")

    @property
    def offered(self) -> Whole:
        """Number of proposals of each case."""
        return to_smallest_dtype(self._read_numbers("offered"), np.int8)

    @cached_property
    def picked(self) -> Whole:
        """Index of the picked proposal."""
        return to_smallest_dtype(self._read_numbers("picked"), np.int8)

    @property
    def best(self) -> Whole:
        """Index of the proposal with the highest IoU."""
        return to_smallest_dtype(self._read_numbers("best"), np.int8)

    @cached_property
    def counts(self) -> Whole:
        """Counts of the predictions."""
        return self._read_counts("")

    @property
    def interior_counts(self) -> Whole:
        """Counts away from the targets' contours."""
        return self._read_counts("inside_")

    @cached_property
    def wrong(self) -> Whole:
        """Wrong pixels at the contour and elsewhere."""
        offered, picked = self.offered.astype(np.int64), self.picked
        edges, found = self._edges.tolist(), [np.zeros((0, 2), np.int64)]
        for column, start, end in zip(self._read_columns("broken"), edges, edges[1:], strict=False):
            starts = np.concatenate([[0], np.cumsum(offered[start:end])[:-1]])
            at, numbers = read_breakdowns(column, starts)
            picks = np.where(picked[start:end] < 0, -1, starts + picked[start:end])
            found.append(count_wrong_pixels(at, numbers, picks))
        return to_smallest_dtype(np.concatenate(found))

    @property
    def oracle(self) -> Whole:
        """Counts of the best proposals."""
        return self._read_counts("best_")

    @property
    def seconds(self) -> Floats:
        """Inference time in seconds."""
        return self._read_numbers("seconds")

    @property
    def cached(self) -> Mask:
        """Flags of the cases whose proposals come from the store."""
        return self._read_numbers("cached").astype(np.bool_)

    @cached_property
    def failed(self) -> Mask:
        """Flags of the cases that could not be evaluated."""
        return self._read_numbers("failed").astype(np.bool_)

    @cached_property
    def notes(self) -> Mapping[int, str]:
        """Notes by the index of the case."""
        notes = chain.from_iterable(column.to_pylist() for column in self._read_columns("note"))
        return {place: note for place, note in enumerate(notes) if note}

    def rows(self, places: Iterable[int]) -> Iterator[Outcome]:
        """Yield the outcomes of some cases."""
        for number, members in groupby(places, key=self._find_part):
            start = int(self._edges[number])
            yield from self._held(number).rows(place - start for place in members)

    def breakdowns(self, places: Places) -> Iterator[tuple[int, Breakdown]]:
        """Return the error breakdowns of these cases, by the case's index among them."""
        first = 0
        for held, some in self._read_blocks(places):
            for place, found in held.breakdowns(some):
                yield first + place, found
            first += len(some)

    def offer_scores(self, places: Places) -> Iterator[list[list[float]]]:
        """Return mask score, box score and IoU of each proposal of these cases."""
        return chain.from_iterable(held.offer_scores(some) for held, some in self._read_blocks(places))

    def repick(self, picked: Whole) -> Columns:
        """Return a copy with another pick for each case."""
        return _RepickedColumns(self._folder, picked)

    def _find_part(self, place: int) -> int:
        return int(np.searchsorted(self._edges, place, side="right")) - 1

    def _read_blocks(self, places: Places) -> Iterator[tuple[MemoryColumns, Places]]:
        """Yield the blocks of some cases with their row indices, in the order of the cases."""
        numbers = np.searchsorted(self._edges, places, side="right") - 1
        changes = np.flatnonzero(np.diff(numbers)) + 1
        for some in np.split(places, changes) if len(places) else []:
            number = self._find_part(some[0])
            yield self._held(number), some - self._edges[number]

    def _find_names(self, what: str) -> list[str]:
        """Return the names of the columns of one type in all parts."""
        from pyarrow import parquet

        schemas = [parquet.read_schema(path) for path in self._parts]
        return sorted({name for schema in schemas for name in schema.names if name.startswith(what)})

    def _read_columns(self, name: str) -> Iterator[Any]:
        """Yield a column part by part, with nulls for parts that lack it."""
        import pyarrow as pa

        for path, rows in zip(self._parts, np.diff(self._edges).tolist(), strict=True):
            table = read_part(path, [name])
            yield table.column(0).combine_chunks() if table.num_columns else pa.nulls(rows)
        pa.default_memory_pool().release_unused()

    def _read_numbers(self, name: str) -> NDArray[Any]:
        """Read a numeric column; NaN where a value is missing."""
        import pyarrow as pa

        parts = (
            np.full(len(column), math.nan) if pa.types.is_null(column.type) else column.to_numpy(zero_copy_only=False)
            for column in self._read_columns(name)
        )
        return np.concatenate([np.zeros(0, np.int8), *parts])

    def _read_counts(self, begin: str) -> Whole:
        """Read the four count columns as one array."""
        columns = [to_smallest_dtype(self._read_numbers(begin + name)) for name in COUNTS]
        return np.stack(columns, axis=1)

    def _read_strings(self, name: str) -> StringColumn:
        import pyarrow as pa

        joining = StringBuilder()
        for column in self._read_columns(name):
            joining.extend(column.fill_null("").to_pylist() if column.type != pa.null() else [""] * len(column))
        return joining.build()

    def _read_categories(self, name: str) -> CategoricalColumn:
        known: dict[str, int] = {}
        codes = []
        for column in self._read_columns(name):
            values = getattr(column, "dictionary", None)
            own = [] if values is None else values.to_pylist()
            to = np.array([*(known.setdefault(value, len(known)) for value in own), -1], np.int32)
            places = None if values is None else column.indices.fill_null(len(own)).to_numpy(zero_copy_only=False)
            codes.append(np.full(len(column), -1, np.int32) if places is None else to[places])
        return CategoricalColumn(tuple(known), np.concatenate([np.zeros(0, np.int32), *codes]))


class _RepickedColumns(ParquetColumns):
    """Parquet columns with another pick than the files have."""

    def __init__(self, folder: Path, picked: Whole) -> None:
        super().__init__(folder)
        own = self._held
        self._held = lru_cache(maxsize=2)(lambda number: own(number).repick(picked[slice(*self._find_bounds(number))]))
        self.picked = picked

    def _find_bounds(self, number: int) -> tuple[int, int]:
        return int(self._edges[number]), int(self._edges[number + 1])

    @cached_property
    def counts(self) -> Whole:
        """Counts of the predictions."""
        return np.concatenate([self._held(number).counts for number in range(len(self._parts))])

    @property
    def interior_counts(self) -> Whole:
        """Counts away from the targets' contours."""
        return np.concatenate([self._held(number).interior_counts for number in range(len(self._parts))])


class _LazyColumns(Mapping[str, NDArray[Any]]):
    """Mapping of columns by name, each read on first use."""

    def __init__(self, names: Sequence[str], read: Callable[[str], NDArray[Any]]) -> None:
        self._names, self._one = names, read

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        return self._one(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
