import csv
import io

import pytest

from segqa.report.tables import Table

TABLE = Table(
    ("model", "n", "mean IoU"), (("a|b <i>`x`\n@you", 3, 0.123456), ("unet", 12, float("nan")), ("", None, 1.0))
)


def test_text_is_aligned() -> None:
    lines = Table(("model", "n"), (("unet", 3), ("x", 120))).render().splitlines()
    assert lines == ["model    n", "unet     3", "x      120"]


def test_markdown_has_as_many_cells_in_each_row_whatever_stands_in_them() -> None:
    lines = TABLE.render("md").splitlines()
    assert len(lines) == 5
    assert lines[1] == "| :--- | ---: | ---: |"
    assert lines[2] == "| a\\|b &lt;i>\\`x\\`\\\\n&#64;you | 3 | 0.1235 |"
    assert lines[3] == "| unet | 12 | – |"


def test_csv_keeps_all_digits_and_leaves_the_unknown_empty() -> None:
    rows = list(csv.reader(io.StringIO(TABLE.render("csv"))))
    assert rows[1] == ["a|b <i>`x`\n@you", "3", "0.123456"]
    assert rows[2][2] == rows[3][1] == ""


@pytest.mark.parametrize("form", ["text", "md", "csv"])
def test_a_table_without_rows_is_its_heading(form: str) -> None:
    assert "mean IoU" in Table(("model", "mean IoU"), ()).render(form)  # type: ignore[arg-type]
