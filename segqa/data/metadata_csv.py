"""Read `metadata.csv`: one row of tags per case, as editors, spreadsheets and pandas write it."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from segqa.errors import DatasetError
from segqa.settings.checks import nearest
from segqa.support.git import describe_pointer

Tags: TypeAlias = dict[str, dict[str, str]]
"""The tags of each case, by its id."""

_INDEX = re.compile(r"(Unnamed: \d+)?")
"""A column without a name, such as the index of pandas; read and written again, pandas gives it this one."""

_OTHER_SIGNS = (";", "\t")


def read_metadata(content: bytes, path: str) -> tuple[Tags, list[str]]:
    """Read the tags in a CSV file with a column `id`.

    Spaces around names and cells do not count, nor do empty cells, rows without any text and columns without a name.

    Args:
        content: of the file.
        path: what errors call it.

    Returns:
        The tags, and a note for each column that was left out.

    Raises:
        DatasetError: it is no such file; says in which line.
    """
    if problem := describe_pointer(path, content):
        raise DatasetError(problem)
    tags: Tags = {}
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        names = [name.strip() for name in next(rows, [])]
        _check_names(names, path)
        for line, cells in _skip_empty_rows(rows):
            stem, row = _read_row(names, cells, f"{path} line {line}")
            if stem in tags:
                raise DatasetError(f"{path} line {line} has id {stem!r} a second time; ids must be unique")
            tags[stem] = row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"cannot read {path}: {error}; expected a UTF-8 CSV file with a column 'id'") from error
    unnamed = [str(number) for number, name in enumerate(names, start=1) if _INDEX.fullmatch(name)]
    return tags, [f"metadata.csv: column {number} has no name, left out" for number in unnamed]


def _check_names(names: Sequence[str], path: str) -> None:
    """Refuse a header row without `id`, or with a repeated name."""
    if "id" not in names:
        signs = [sign for sign in _OTHER_SIGNS if "id" in [part.strip() for part in sign.join(names).split(sign)]]
        hint = f"expected commas between columns, got {signs[0]!r}" if signs else nearest("id", names)
        got = ", ".join(names) or "nothing"
        raise DatasetError(f"{path} has no column 'id', got {got}; {hint}; an id is the stem of a case's files")
    for name in names:
        if names.count(name) > 1 and not _INDEX.fullmatch(name):
            raise DatasetError(f"{path} has {names.count(name)} columns called {name!r}; keep or rename one of them")


def _skip_empty_rows(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, with their line numbers; spreadsheets leave empty rows at the end."""
    for cells in rows:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield rows.line_num, stripped  # type: ignore[attr-defined]  # a reader of csv has it


def _read_row(names: Sequence[str], cells: Sequence[str], where: str) -> tuple[str, dict[str, str]]:
    """Return the id and the tags of a row; refuse a row of another length than the header row."""
    if len(cells) != len(names):
        raise DatasetError(f"{where} has {'more' if len(cells) > len(names) else 'fewer'} cells than the header")
    row = {name: cell for name, cell in zip(names, cells, strict=True) if cell and not _INDEX.fullmatch(name)}
    if "id" not in row:
        raise DatasetError(f"{where} has no id, got {', '.join(row.values()) or 'a number alone'}")
    return unicodedata.normalize("NFC", row.pop("id")), row
