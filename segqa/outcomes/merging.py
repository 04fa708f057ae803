"""Merging brings the blocks of several runs, each sorted by id, into one order; a few blocks of each are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from segqa.outcomes.blocks import BLOCK


def merge_blocks(feeds: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """The cases of all feeds in the order of their ids, as tables of pyarrow's with `BLOCK` cases each.

    Args:
        feeds: tables (`blocks.table_of`), of each feed in the order of their ids.
    """
    return _in_blocks(_in_order(feeds))


def _in_order(feeds: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """Tables of any size, one behind the other in the order of their ids."""
    heads = [(feed, head) for feed in feeds if (head := next(feed, None)) is not None]
    while heads:
        # up to here nothing can come any more
        bound = min(head.column("id")[-1].as_py() for _, head in heads)
        taken, left = [], []
        for feed, head in heads:
            many = _up_to(head, bound)
            taken.append(head.slice(0, many))
            rest = head.slice(many) if many < len(head) else next(feed, None)
            if rest is not None:
                left.append((feed, rest))
        heads = left
        yield _joined(taken).sort_by("id")


def _up_to(head: Any, bound: str) -> int:
    """How many rows of a table have an id up to this one."""
    from pyarrow import compute

    return int(compute.sum(compute.less_equal(head.column("id"), bound)).as_py())


def _in_blocks(tables: Iterable[Any]) -> Iterator[Any]:
    """The same rows, in blocks of one size."""
    waiting: list[Any] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) < BLOCK:
            continue
        whole = _joined(waiting)
        full = len(whole) - len(whole) % BLOCK
        yield from (whole.slice(start, BLOCK) for start in range(0, full, BLOCK))
        waiting = [whole.slice(full)]
    if rest := [table for table in waiting if len(table)]:
        yield _joined(rest)


def _joined(tables: Sequence[Any]) -> Any:
    """Tables one behind the other; each may have names and columns of its own."""
    import pyarrow as pa

    joined = pa.concat_tables(tables, promote_options="default")
    return joined.unify_dictionaries().combine_chunks()
