from pathlib import Path

import pytest

from tools.write_tables import COMMAND, FILES, ROOT, TABLES, replace_tables


@pytest.mark.parametrize("name", FILES)
def test_a_table_says_what_its_declarations_say(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == replace_tables(text), f"{name} and its declarations differ; run `{COMMAND}`"


def test_every_table_is_written_somewhere() -> None:
    texts = [Path(ROOT / name).read_text(encoding="utf-8") for name in FILES]
    assert [name for name in TABLES if not any(f"begin table {name}" in text for text in texts)] == []
