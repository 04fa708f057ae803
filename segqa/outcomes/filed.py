"""Filed columns are in Parquet files: outcomes by the million, of which only what is asked for is read.

A run's cases are some part files, each with a block of rows sorted by id, and an index of them that is written last. A
part has a column for whatever one of its cases has; numbers that are asked for often (the counts of the prediction and
of the best offer) stand beside the offers that they are of.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segqa.breakdown import Breakdown
from segqa.errors import StoreError
from segqa.mask import Mask
from segqa.names import Names
from segqa.outcome import Outcome
from segqa.outcomes.columns import Columns, Held, Whole, hash_of
from segqa.proposals import Floats
from segqa.texts import Joining, Places, Texts

BLOCK = 1 << 16
"""Cases of a part file."""

NEEDED = "runs of more than {:,} cases are kept in Parquet files, which needs pyarrow: pip install 'segqa[scale]'"
"""What to say where it is missing."""

_INDEX = "index.json"
_TAG, _PROPERTY = "tag:", "property:"
_COUNTS = ("tp", "fp", "fn", "tn")


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


class PartWriter:
    """Writes part files, a block of cases each.

    Args:
        folder: gets them; made if it is not there. What is in it without an index is of a writer that was killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[int] = []
        self._last = ""
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()

    def add(self, block: Any) -> None:
        """A block of cases, as a table of pyarrow's (`table_of`); each id is greater than the one before it.

        Raises:
            StoreError: it is not.
        """
        from pyarrow import parquet

        ids = block.column("id").to_pylist()
        for before, after in pairwise([*([self._last] if self._rows else []), *ids]):
            if before >= after:
                raise StoreError(f"cases must be sorted by id, each once; got {after!r} after {before!r}")
        self._last = ids[-1]
        # a column of digests has no two alike, and a dictionary would only be tried
        plain = ["digest", "key", "id"]
        named = [name for name in block.column_names if name not in plain]
        path = self._folder / _name(len(self._rows))
        parquet.write_table(block, path, compression="zstd", compression_level=1, use_dictionary=named)
        self._rows.append(len(ids))

    def close(self) -> None:
        """Write the index: now it is whole."""
        (self._folder / _INDEX).write_text(json.dumps({"rows": self._rows}) + "\n", encoding="utf-8")


def is_filed(folder: Path) -> bool:
    """Whether there are parts, all of them."""
    return (folder / _INDEX).is_file()


def tables(folder: Path) -> Iterator[Any]:
    """The blocks in a folder, one after the other, as tables of pyarrow's.

    Raises:
        StoreError: they are damaged, or pyarrow is not installed.
    """
    return map(_read, _parts(folder), [None] * len(_parts(folder)))


class Filed:
    """Columns in part files, see `Columns`; the short ones that are asked for often stay in memory.

    Args:
        folder: has the parts.

    Raises:
        StoreError: there are none, they are damaged, or pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts = _parts(folder)
        rows = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["rows"]
        self._edges = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        self._held = lru_cache(maxsize=2)(lambda number: held_of(_read(self._parts[number])))

    @cached_property
    def ids(self) -> Texts:
        """Of the cases."""
        return self._texts("id")

    @cached_property
    def prompts(self) -> Names:
        """What the model was asked for."""
        return self._names("prompt")

    @cached_property
    def tags(self) -> Mapping[str, Names]:
        """By name."""
        return {name.removeprefix(_TAG): self._names(name) for name in self._beginning(_TAG)}

    @property
    def properties(self) -> Mapping[str, Floats]:
        """By name, each read when it is asked for."""
        names = [name.removeprefix(_PROPERTY) for name in self._beginning(_PROPERTY)]
        return _Read(names, lambda name: self._numbers(_PROPERTY + name))

    @property
    def digests(self) -> Texts:
        """Of image and target."""
        return self._texts("digest")

    @property
    def contents(self) -> bytes:
        """The same for two if and only if the digests are."""
        return hash_of(column.to_pylist() for column in self._columns("digest"))

    @property
    def keys(self) -> Texts:
        """Of the proposals."""
        return self._texts("key")

    @property
    def offered(self) -> Whole:
        """How many offers there are."""
        return _small(self._numbers("offered"), np.int8)

    @cached_property
    def picked(self) -> Whole:
        """Which offer is the prediction."""
        return _small(self._numbers("picked"), np.int8)

    @property
    def best(self) -> Whole:
        """Which offer has the highest IoU."""
        return _small(self._numbers("best"), np.int8)

    @cached_property
    def counts(self) -> Whole:
        """Of the predictions."""
        return self._four("")

    @property
    def inside(self) -> Whole:
        """The same away from the contours."""
        return self._four("inside_")

    @property
    def oracle(self) -> Whole:
        """The counts of the best offers."""
        return self._four("best_")

    @property
    def seconds(self) -> Floats:
        """Of inference."""
        return self._numbers("seconds")

    @property
    def cached(self) -> Mask:
        """Whether the proposals come from the store."""
        return self._numbers("cached").astype(np.bool_)

    @cached_property
    def failed(self) -> Mask:
        """Which cases could not be evaluated."""
        return self._numbers("failed").astype(np.bool_)

    @cached_property
    def notes(self) -> Mapping[int, str]:
        """By the place of the case."""
        notes = chain.from_iterable(column.to_pylist() for column in self._columns("note"))
        return {place: note for place, note in enumerate(notes) if note}

    def rows(self, places: Iterable[int]) -> Iterator[Outcome]:
        """The outcomes of some cases, one by one."""
        for number, members in groupby(places, key=self._part_of):
            start = int(self._edges[number])
            yield from self._held(number).rows(place - start for place in members)

    def breakdowns(self, places: Places) -> Iterator[tuple[int, Breakdown]]:
        """The places among these whose prediction was broken down, with the breakdown."""
        first = 0
        for held, some in self._blocks(places):
            for place, found in held.breakdowns(some):
                yield first + place, found
            first += len(some)

    def offer_scores(self, places: Places) -> Iterator[list[list[float]]]:
        """Mask score, box score and IoU of each offer of these cases."""
        return chain.from_iterable(held.offer_scores(some) for held, some in self._blocks(places))

    def picked_again(self, picked: Whole) -> Columns:
        """The same with another pick."""
        return _Repicked(self._folder, picked)

    def _part_of(self, place: int) -> int:
        return int(np.searchsorted(self._edges, place, side="right")) - 1

    def _blocks(self, places: Places) -> Iterator[tuple[Held, Places]]:
        """The blocks that some cases are in, each with their places in it; in the order of the cases."""
        numbers = np.searchsorted(self._edges, places, side="right") - 1
        changes = np.flatnonzero(np.diff(numbers)) + 1
        for some in np.split(places, changes) if len(places) else []:
            number = self._part_of(some[0])
            yield self._held(number), some - self._edges[number]

    def _beginning(self, what: str) -> list[str]:
        """The names of the columns of a sort, of all parts."""
        from pyarrow import parquet

        schemas = [parquet.read_schema(path) for path in self._parts]
        return sorted({name for schema in schemas for name in schema.names if name.startswith(what)})

    def _columns(self, name: str) -> Iterator[Any]:
        """A column, part by part; of a part that does not have it, nulls."""
        import pyarrow as pa

        for path, rows in zip(self._parts, np.diff(self._edges).tolist(), strict=True):
            table = _read(path, [name])
            yield table.column(0).combine_chunks() if table.num_columns else pa.nulls(rows)
        pa.default_memory_pool().release_unused()

    def _numbers(self, name: str) -> NDArray[Any]:
        """A column of numbers; NaN where there is none."""
        import pyarrow as pa

        parts = (
            np.full(len(column), math.nan) if pa.types.is_null(column.type) else column.to_numpy(zero_copy_only=False)
            for column in self._columns(name)
        )
        return np.concatenate([np.zeros(0, np.int8), *parts])

    def _four(self, begin: str) -> Whole:
        """Four columns of counts side by side."""
        columns = [_small(self._numbers(begin + name)) for name in _COUNTS]
        return np.stack(columns, axis=1)

    def _texts(self, name: str) -> Texts:
        joining = Joining()
        for column in self._columns(name):
            joining.extend(column.to_pylist())
        return joining.texts()

    def _names(self, name: str) -> Names:
        known: dict[str, int] = {}
        codes = []
        for column in self._columns(name):
            values = getattr(column, "dictionary", None)
            own = [] if values is None else values.to_pylist()
            to = np.array([*(known.setdefault(value, len(known)) for value in own), -1], np.int32)
            places = None if values is None else column.indices.fill_null(len(own)).to_numpy(zero_copy_only=False)
            codes.append(np.full(len(column), -1, np.int32) if places is None else to[places])
        return Names(tuple(known), np.concatenate([np.zeros(0, np.int32), *codes]))


class _Repicked(Filed):
    """Filed columns with another pick than the files have."""

    def __init__(self, folder: Path, picked: Whole) -> None:
        super().__init__(folder)
        own = self._held
        self._held = lru_cache(maxsize=2)(lambda number: own(number).picked_again(picked[slice(*self._ends(number))]))
        self.picked = picked

    def _ends(self, number: int) -> tuple[int, int]:
        return int(self._edges[number]), int(self._edges[number + 1])

    @cached_property
    def counts(self) -> Whole:
        """Of the predictions."""
        return np.concatenate([self._held(number).counts for number in range(len(self._parts))])

    @property
    def inside(self) -> Whole:
        """The same away from the contours."""
        return np.concatenate([self._held(number).inside for number in range(len(self._parts))])


class _Read(Mapping[str, NDArray[Any]]):
    """Columns by name, each read when it is asked for."""

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


def table_of(held: Held) -> Any:
    """Columns in memory as a table of pyarrow's, as part files have it."""
    import pyarrow as pa

    cases = len(held.ids)
    broken: dict[int, list[int]] = {}
    if held.broken:
        owners = np.repeat(np.arange(cases), np.diff(held.starts))
        for at in sorted(held.broken):
            place = int(owners[at])
            broken.setdefault(place, []).extend([at - int(held.starts[place]), *held.broken[at].numbers])
    columns: dict[str, Any] = {
        "id": pa.array(held.ids, pa.string()),
        "prompt": _dictionary(held.prompts),
        "digest": pa.array(held.digests, pa.string()),
        "key": pa.array(held.keys, pa.string()),
        "offered": held.offered.astype(np.int32),
        "numbers": pa.LargeListArray.from_arrays(held.starts * 8, held.numbers.astype(np.int64).ravel()),
        "scores": pa.LargeListArray.from_arrays(held.starts * 2, held.scores.ravel()),
        "broken": pa.array([broken.get(place) for place in range(cases)], pa.list_(pa.int64())),
        "picked": held.picked.astype(np.int32),
        "best": held.best.astype(np.int32),
        "wanted": held.wanted.astype(np.int64),
        "size": held.sizes.astype(np.int64),
        "seconds": held.seconds,
        "cached": held.cached,
        "failed": held.failed,
        "note": pa.array([held.notes.get(place) for place in range(cases)], pa.string()),
        "error": pa.array([held.errors.get(place) for place in range(cases)], pa.string()),
    }
    for begin, counts in (("", held.counts), ("inside_", held.inside), ("best_", held.oracle)):
        columns |= {begin + name: counts[:, at].astype(np.int64) for at, name in enumerate(_COUNTS)}
    columns |= {_TAG + name: _dictionary(names) for name, names in held.tags.items() if (names.codes >= 0).any()}
    for name, numbers in held.properties.items():
        if not np.isnan(numbers).all():
            columns[_PROPERTY + name] = pa.array(numbers, pa.float64(), from_pandas=True)
    return pa.table(columns)


def held_of(table: Any) -> Held:
    """The columns of a table, in memory."""
    numbers, scores, broken = (table.column(name).combine_chunks() for name in ("numbers", "scores", "broken"))
    starts = np.concatenate([[0], np.cumsum(_array(table, "offered"), dtype=np.int64)])
    by_offer = {
        int(starts[place]) + found[at]: Breakdown(*found[at + 1 : at + 8])
        for place, found in enumerate(broken.to_pylist() if broken.null_count < len(broken) else [])
        if found
        for at in range(0, len(found), 8)
    }
    notes, errors = (
        {place: text for place, text in enumerate(column.to_pylist()) if text}
        for column in (table.column("note"), table.column("error"))
    )
    return Held(
        ids=Texts.of(table.column("id").to_pylist()),
        prompts=_undone(table.column("prompt")),
        tags={name.removeprefix(_TAG): _undone(table.column(name)) for name in table.column_names if _TAG in name[:4]},
        properties={
            name.removeprefix(_PROPERTY): _array(table, name)
            for name in table.column_names
            if name.startswith(_PROPERTY)
        },
        digests=Texts.of(table.column("digest").to_pylist()),
        keys=Texts.of(table.column("key").to_pylist()),
        starts=starts,
        numbers=_small(numbers.flatten().to_numpy(zero_copy_only=False)).reshape(-1, 8),
        scores=scores.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2),
        broken=by_offer,
        picked=_array(table, "picked"),
        wanted=_small(_array(table, "wanted")),
        sizes=_small(_array(table, "size")),
        seconds=_array(table, "seconds"),
        cached=_array(table, "cached"),
        notes=notes,
        errors=errors,
    )


def _parts(folder: Path) -> list[Path]:
    """The part files in a folder."""
    if not has_parquet():
        raise StoreError(f"{folder} has Parquet files, which needs pyarrow: pip install 'segqa[scale]'")
    try:
        rows = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["rows"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{folder / _INDEX} is damaged: {error}") from error
    found = [folder / _name(number) for number in range(len(rows))]
    if missing := [path.name for path in found if not path.is_file()]:
        raise StoreError(f"{folder} is damaged: {missing[0]} is not there")
    return found


def _name(number: int) -> str:
    return f"part-{number:05}.parquet"


def _read(path: Path, names: Sequence[str] | None = None) -> Any:
    """A part, or some columns of it, as far as it has them."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            return file.read(names)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged: {error}") from error


def _dictionary(names: Names) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(
        pa.array(names.codes.astype(np.int32), mask=names.codes < 0), pa.array(names.values, pa.string())
    )


def _undone(column: Any) -> Names:
    """The names in a column."""
    whole = column.combine_chunks()
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Names(tuple(whole.dictionary.to_pylist()), codes)


def _array(table: Any, name: str) -> NDArray[Any]:
    found: NDArray[Any] = table.column(name).to_numpy()
    return found


def _small(numbers: NDArray[Any], least: type[np.signedinteger[Any]] = np.int32) -> Whole:
    """Whole numbers in the smallest type that holds them all."""
    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    fits = np.result_type(np.min_scalar_type(min(low, -1)), np.min_scalar_type(-max(high, 1) - 1), least)
    return numbers.astype(fits)
