"""A table of a few columns, as text for a terminal, as Markdown, as CSV or as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from segqa.support.escaping import to_line

Format: TypeAlias = Literal["text", "md", "csv", "json"]
Cell: TypeAlias = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading. Floats are shown with four digits, and in full in CSV and JSON; None is not known."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def render(self, form: Format = "text") -> str:
        """The table as text.

        >>> print(Table(("model", "mean IoU"), (("unet", 0.91671), ("x", None))).render("md"))
        | model | mean IoU |
        | :--- | ---: |
        | unet | 0.9167 |
        | x | – |
        """
        return {"text": self._text, "md": self._markdown, "csv": self._csv, "json": self._json}[form]()

    def shown(self) -> list[tuple[str, ...]]:
        """Heading and rows as they are shown."""
        return [self.columns, *(tuple(map(_shown, row)) for row in self.rows)]

    def without(self, name: str) -> Table:
        """Return the same without a column.

        >>> Table(("model", "pick"), (("unet", "first"),)).without("pick").shown()
        [('model',), ('unet',)]
        """
        at = self.columns.index(name)
        head, *rows = (row[:at] + row[at + 1 :] for row in (self.columns, *self.rows))
        return Table(tuple(map(str, head)), tuple(rows))

    def _text(self) -> str:
        shown = self.shown()
        widths = [max(len(row[index]) for row in shown) for index in range(len(self.columns))]
        return "\n".join(self._line(row, widths) for row in shown)

    def _line(self, row: tuple[str, ...], widths: list[int]) -> str:
        aligned = [
            cell.ljust(width) if self._is_text(index) else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(aligned).rstrip()

    def _markdown(self) -> str:
        rule = [":---" if self._is_text(index) else "---:" for index in range(len(self.columns))]
        head, *body = ([_escaped(cell) for cell in row] for row in self.shown())
        rows = [head, rule, *body]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _csv(self) -> str:
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if _unknown(cell) else cell for cell in row] for row in self.rows)
        return file.getvalue().rstrip("\n")

    def _json(self) -> str:
        rows = [[None if _unknown(cell) else cell for cell in row] for row in self.rows]
        objects = [dict(zip(self.columns, row, strict=True)) for row in rows]
        return json.dumps(objects, indent=2, ensure_ascii=False)

    def _is_text(self, index: int) -> bool:
        """Whether a column holds words, which begin at the left, and not numbers."""
        return any(isinstance(row[index], str) for row in self.rows)


def _unknown(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _shown(cell: Cell) -> str:
    if _unknown(cell):
        return "–"
    return f"{cell:.4f}" if isinstance(cell, float) else to_line(str(cell))


def _escaped(text: str) -> str:
    """What would end a cell, a row or start a tag in Markdown, made harmless."""
    for found, harmless in (("\\", "\\\\"), ("|", "\\|"), ("`", "\\`"), ("<", "&lt;"), ("@", "&#64;")):
        text = text.replace(found, harmless)
    return " ".join(text.split())
