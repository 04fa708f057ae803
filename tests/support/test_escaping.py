from __future__ import annotations

import pytest

from segqa.support.escaping import to_block, to_file_name, to_line, to_utf8


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n::error title=x::b", r"a\n::error title=x::b"),
        ("a\r\nb\x0bc\x85d\u2028e", r"a\r\nb\x0bc\x85d\u2028e"),
        ("\x1b[2J\x07\x00\x9b31m", r"\x1b[2J\x07\x00\x9b31m"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("p\udce9", r"p\udce9"),
        (
            "##vso[task.setvariable]x ##[error] ##teamcity[x",
            r"#\x23vso[task.setvariable]x #\x23[error] #\x23teamcity[x",
        ),
        ("## a heading, Zoë 日本 [x] 🎉", "## a heading, Zoë 日本 [x] 🎉"),
    ],
)
def test_a_line_has_nothing_that_a_terminal_or_a_service_obeys(text: str, line: str) -> None:
    assert to_line(text) == line
    assert to_line(line) == line
    assert line.encode()


def test_the_lines_of_a_block_are_no_commands() -> None:
    block = to_block("Traceback:\n  ::error::x\r\n##[warning]y\n")
    assert block == "Traceback:\n|   ::error::x\n| #\\x23[warning]y"
    assert to_block(block) == block


def test_only_what_cannot_be_encoded_is_escaped() -> None:
    assert to_utf8("Zoë\n日本\ud800") == "Zoë\n日本\\ud800"
    assert to_utf8("Zoë\n日本") == "Zoë\n日本"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("unet+v2_photos.1", "unet+v2_photos.1"),
        ('a/b\\c:d*e?f"g<h>i|j\nk', "a-b-c-d-e-f-g-h-i-j-k"),
        ("photos...", "photos"),
        ("Zoë 日本", "Zoë-日本"),
        ("con", "_con"),
        ("LPT1.txt", "_LPT1.txt"),
        ("", "_"),
        ("p\udce9", "p-"),
    ],
)
def test_a_name_of_a_file_is_taken_by_every_file_system(text: str, name: str) -> None:
    assert to_file_name(text) == name
    assert to_file_name(name) == name


@pytest.mark.parametrize("sign", ["x", "é", "日", "🎉"])
def test_a_long_name_is_cut_and_stays_different_from_others(sign: str) -> None:
    names = {to_file_name(f"{sign * 300}{end}") for end in "ab"}
    assert len(names) == 2
    assert all(len(name.encode()) <= 120 for name in names)
