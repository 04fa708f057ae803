"""Read and write blocks of outcomes as Arrow tables, and merge sorted blocks of several runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segqa.data.string_columns import CategoricalColumn, Places, StringColumn
from segqa.errors import StoreError
from segqa.runs.checksums import EVALUATE_AGAIN, add_checksum, compute_file_checksum, require_checksum, require_counts
from segqa.runs.outcome_columns import MemoryColumns, Whole
from segqa.scoring.error_breakdown import Breakdown

BLOCK = 1 << 16
"""Cases of a part file."""

PYARROW_NEEDED = (
    "runs of more than {:,} cases are kept in Parquet files, which needs pyarrow: pip install 'segqa[scale]'"
)
"""Advice where pyarrow is missing."""

_INDEX = "index.json"
TAG, PROPERTY = "tag:", "property:"
COUNTS = ("tp", "fp", "fn", "tn")


def has_parquet() -> bool:
    """Return whether pyarrow is installed."""
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


class PartWriter:
    """Writer of part files, one block of cases each.

    Args:
        folder: gets them; made if it is not there. What is in it without an index is of a writer that was killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[int] = []
        self._checksums: list[int] = []
        self._last = ""
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()

    def add(self, block: Any) -> None:
        """Add a block of cases as an Arrow table (`to_table`), with strictly increasing ids.

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
        plain = ["digest", "pixels", "key", "id"]
        named = [name for name in block.column_names if name not in plain]
        path = self._folder / _name_part(len(self._rows))
        parquet.write_table(block, path, compression="zstd", compression_level=1, use_dictionary=named)
        self._rows.append(len(ids))
        self._checksums.append(compute_file_checksum(path))

    def close(self) -> None:
        """Write the index, which completes the part files."""
        index = add_checksum({"rows": self._rows, "checksums": self._checksums})
        (self._folder / _INDEX).write_text(json.dumps(index) + "\n", encoding="utf-8")


def has_parts(folder: Path) -> bool:
    """Return whether a folder has a complete set of part files."""
    return (folder / _INDEX).is_file()


def verify_parts(folder: Path) -> str:
    """Check that the part files in a folder are unchanged since they were written.

    Files without checksums are of an earlier version: their counts have to add up.

    Returns:
        A digest of all of them; empty where they have no checksums.

    Raises:
        StoreError: one was changed, a file is missing, or pyarrow is not installed.
    """
    paths, index = list(list_parts(folder)), _read_index(folder)
    if "checksums" not in index:
        for path in paths:
            require_counts(from_table(read_part(path)), str(path))
        return ""
    for path, wanted in zip(paths, index["checksums"], strict=True):
        if compute_file_checksum(path) != wanted:
            raise StoreError(f"{path} is damaged: its content does not match its checksum; {EVALUATE_AGAIN}")
    return str(index["checksum"])


def read_tables(folder: Path) -> Iterator[Any]:
    """Yield the blocks in a folder as Arrow tables.

    Raises:
        StoreError: they are damaged, or pyarrow is not installed.
    """
    return map(read_part, list_parts(folder))


def to_table(held: MemoryColumns) -> Any:
    """Return in-memory columns as an Arrow table with the schema of the part files."""
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
        "prompt": _to_dictionary(held.prompts),
        "digest": pa.array(held.digests, pa.string()),
        "pixels": pa.array(held.pixels, pa.string()),
        "key": pa.array(held.keys, pa.string()),
        "offered": held.offered.astype(np.int32),
        "numbers": pa.LargeListArray.from_arrays(held.starts * 8, held.numbers.astype(np.int64).ravel()),
        "scores": pa.LargeListArray.from_arrays(held.starts * 2, held.scores.ravel()),
        "broken": pa.array([broken.get(place) for place in range(cases)], pa.list_(pa.int64())),
        "picked": held.picked.astype(np.int32),
        "best": held.best.astype(np.int32),
        "wanted": held.target_area.astype(np.int64),
        "size": held.sizes.astype(np.int64),
        "seconds": held.seconds,
        "cached": held.cached,
        "failed": held.failed,
        "note": pa.array([held.notes.get(place) for place in range(cases)], pa.string()),
        "error": pa.array([held.errors.get(place) for place in range(cases)], pa.string()),
    }
    for begin, counts in (("", held.counts), ("inside_", held.interior_counts), ("best_", held.oracle)):
        columns |= {begin + name: counts[:, at].astype(np.int64) for at, name in enumerate(COUNTS)}
    columns |= {TAG + name: _to_dictionary(names) for name, names in held.tags.items() if (names.codes >= 0).any()}
    for name, numbers in held.properties.items():
        if not np.isnan(numbers).all():
            columns[PROPERTY + name] = pa.array(numbers, pa.float64(), from_pandas=True)
    return pa.table(columns)


def read_breakdowns(column: Any, starts: Places) -> tuple[Places, Whole]:
    """Read the column `broken` of a table.

    Args:
        column: per case, eight numbers per proposal with a breakdown: its index and the breakdown.
        starts: the index of each case's first proposal.

    Returns:
        The places of these offers, and the numbers of their breakdowns, `[offers, 7]`.
    """
    from pyarrow import compute

    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    numbers = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 8).astype(np.int64)
    return np.repeat(starts, lengths // 8) + numbers[:, 0], numbers[:, 1:]


def from_table(table: Any) -> MemoryColumns:
    """Return the in-memory columns of an Arrow table."""
    numbers, scores, broken = (table.column(name).combine_chunks() for name in ("numbers", "scores", "broken"))
    starts = np.concatenate([[0], np.cumsum(_to_array(table, "offered"), dtype=np.int64)])
    by_offer = {
        at: Breakdown(*found)
        for at, found in zip(*(each.tolist() for each in read_breakdowns(broken, starts[:-1])), strict=True)
    }
    notes, errors = (
        {place: text for place, text in enumerate(column.to_pylist()) if text}
        for column in (table.column("note"), table.column("error"))
    )
    return MemoryColumns(
        ids=StringColumn.from_strings(table.column("id").to_pylist()),
        prompts=_from_dictionary(table.column("prompt")),
        tags={
            name.removeprefix(TAG): _from_dictionary(table.column(name))
            for name in table.column_names
            if TAG in name[:4]
        },
        properties={
            name.removeprefix(PROPERTY): _to_array(table, name)
            for name in table.column_names
            if name.startswith(PROPERTY)
        },
        digests=StringColumn.from_strings(table.column("digest").to_pylist()),
        pixels=_read_pixels(table),
        keys=StringColumn.from_strings(table.column("key").to_pylist()),
        starts=starts,
        numbers=to_smallest_dtype(numbers.flatten().to_numpy(zero_copy_only=False)).reshape(-1, 8),
        scores=scores.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2),
        broken=by_offer,
        picked=_to_array(table, "picked"),
        target_area=to_smallest_dtype(_to_array(table, "wanted")),
        sizes=to_smallest_dtype(_to_array(table, "size")),
        seconds=_to_array(table, "seconds"),
        cached=_to_array(table, "cached"),
        notes=notes,
        errors=errors,
    )


def list_parts(folder: Path) -> dict[Path, int]:
    """Return the part files in a folder, each with its number of cases.

    Raises:
        StoreError: the index is damaged, a file is missing, or pyarrow is not installed.
    """
    if not has_parquet():
        raise StoreError(f"{folder} has Parquet files, which needs pyarrow: pip install 'segqa[scale]'")
    found = {folder / _name_part(number): cases for number, cases in enumerate(_read_index(folder)["rows"])}
    if missing := [path.name for path in found if not path.is_file()]:
        raise StoreError(f"{folder} is damaged: {missing[0]} is not there")
    return found


def _read_index(folder: Path) -> dict[str, Any]:
    """Read and check the index of the part files in a folder."""
    path = folder / _INDEX
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        require_checksum(index, path, is_new="checksums" in index)
        index["rows"] = [int(cases) for cases in index["rows"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: {error}; {EVALUATE_AGAIN}") from error
    return index


def _name_part(number: int) -> str:
    return f"part-{number:05}.parquet"


def read_part(path: Path, names: Sequence[str] | None = None) -> Any:
    """Read a part, or those of some columns that it has."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            return file.read(names)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged: {error}") from error


def _read_pixels(table: Any) -> StringColumn:
    """Read the pixel digests; empty for parts of versions without them."""
    known = table.column("pixels").to_pylist() if "pixels" in table.column_names else [None] * len(table)
    return StringColumn.from_strings(digest or "" for digest in known)


def _to_dictionary(names: CategoricalColumn) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(
        pa.array(names.codes.astype(np.int32), mask=names.codes < 0), pa.array(names.values, pa.string())
    )


def _from_dictionary(column: Any) -> CategoricalColumn:
    """Return the names in a dictionary column."""
    whole = column.combine_chunks()
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return CategoricalColumn(tuple(whole.dictionary.to_pylist()), codes)


def _to_array(table: Any, name: str) -> NDArray[Any]:
    found: NDArray[Any] = table.column(name).to_numpy()
    return found


def to_smallest_dtype(numbers: NDArray[Any], least: type[np.signedinteger[Any]] = np.int32) -> Whole:
    """Return integers in the smallest type that holds them all."""
    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    fits = np.result_type(np.min_scalar_type(min(low, -1)), np.min_scalar_type(-max(high, 1) - 1), least)
    return numbers.astype(fits)


def merge_blocks(feeds: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """Merge all feeds in the order of their ids, into Arrow tables with `BLOCK` cases each.

    Args:
        feeds: tables (`blocks.to_table`), of each feed in the order of their ids.
    """
    return _split_into_blocks(_merge_in_order(feeds))


def _merge_in_order(feeds: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """Yield merged tables of any size, in the order of their ids."""
    heads = [(feed, head) for feed in feeds if (head := next(feed, None)) is not None]
    while heads:
        # up to here nothing can come any more
        bound = min(head.column("id")[-1].as_py() for _, head in heads)
        taken, left = [], []
        for feed, head in heads:
            many = _count_up_to(head, bound)
            taken.append(head.slice(0, many))
            rest = head.slice(many) if many < len(head) else next(feed, None)
            if rest is not None:
                left.append((feed, rest))
        heads = left
        yield _concatenate(taken).sort_by("id")


def _count_up_to(head: Any, bound: str) -> int:
    """Return the number of rows with an id up to this one."""
    from pyarrow import compute

    return int(compute.sum(compute.less_equal(head.column("id"), bound)).as_py())


def _split_into_blocks(tables: Iterable[Any]) -> Iterator[Any]:
    """Yield the rows in blocks of equal size."""
    waiting: list[Any] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) < BLOCK:
            continue
        whole = _concatenate(waiting)
        full = len(whole) - len(whole) % BLOCK
        yield from (whole.slice(start, BLOCK) for start in range(0, full, BLOCK))
        waiting = [whole.slice(full)]
    if rest := [table for table in waiting if len(table)]:
        yield _concatenate(rest)


def _concatenate(tables: Sequence[Any]) -> Any:
    """Concatenate tables, each with possibly different names and columns."""
    import pyarrow as pa

    joined = pa.concat_tables(tables, promote_options="default")
    return joined.unify_dictionaries().combine_chunks()
