from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from segqa.errors import SettingsError
from segqa.settings import checks

Check = Callable[[object, str], Any]


@pytest.mark.parametrize(
    ("check", "value", "taken"),
    [
        (checks.share, 1, 1.0),
        (checks.factor, 1.5, 1.5),
        (checks.names, "unet", ("unet",)),
        (checks.names, ["unet", "langsam"], ("unet", "langsam")),
        (checks.day, "2027-01-31", date(2027, 1, 31)),
        (checks.day, date(2027, 1, 31), date(2027, 1, 31)),
        (checks.batch, "16", 16),
        (checks.batch, "auto", "auto"),
        (checks.images, "0", 0),
        (checks.images, "none", "none"),
        (checks.gpus, 0, 0.0),
        (checks.one_of(["html", "dir"]), "dir", "dir"),
    ],
)
def test_what_makes_sense_comes_back_in_its_own_type(check: Check, value: object, taken: object) -> None:
    found = check(value, "key")
    assert found == taken
    assert type(found) is type(taken)


@pytest.mark.parametrize("value", [math.nan, True, "0.5", None, -0.1, 1.1])
def test_a_share_is_a_number_from_0_to_1(value: object) -> None:
    with pytest.raises(SettingsError, match=r"key must be a number from 0 to 1, got "):
        checks.share(value, "key")


@pytest.mark.parametrize("check", [checks.seconds, checks.factor, checks.cpus, checks.gpus, checks.minutes])
@pytest.mark.parametrize("value", [math.nan, -1, True, "1", None])
def test_no_number_is_taken_for_one(check: Check, value: object) -> None:
    with pytest.raises(SettingsError, match=f"key must be a number .*, got {value!r}"):
        check(value, "key")


@pytest.mark.parametrize("check", [checks.seconds, checks.factor, checks.cpus, checks.gpus])
def test_nothing_is_without_end(check: Check) -> None:
    with pytest.raises(SettingsError, match="got inf"):
        check(math.inf, "key")


@pytest.mark.parametrize("check", [checks.count, checks.batch, checks.grey, checks.side, checks.whole])
@pytest.mark.parametrize("value", [True, 1.0, -1, None])
def test_a_whole_number_is_an_int_and_no_bool(check: Check, value: object) -> None:
    with pytest.raises(SettingsError, match="key must be a whole number from"):
        check(value, "key")


@pytest.mark.parametrize("value", ["", 3, None, b"text"])
def test_a_text_is_not_empty(value: object) -> None:
    with pytest.raises(SettingsError, match="key must be a text, got"):
        checks.text(value, "key")


@pytest.mark.parametrize("value", [[], ("unet",), [""], 1])
def test_names_are_a_text_or_a_list_of_them(value: object) -> None:
    with pytest.raises(SettingsError, match="key must be a text"):
        checks.names(value, "key")


def test_one_of_some_texts_lists_them() -> None:
    with pytest.raises(SettingsError, match=r"key must be one of html, dir, got 'pdf'"):
        checks.one_of(["html", "dir"])("pdf", "key")


def test_an_unknown_key_gets_a_hint() -> None:
    with pytest.raises(SettingsError, match=r"\[tool\] has an unknown key 'modle'; did you mean 'model'\?"):
        checks.refuse_unknown({"modle": 1}, ["model", "limit"], "[tool]")


@pytest.mark.parametrize(
    ("text", "message"),
    [("(", "is not a regular expression"), ("C[0-9]", "has no named group"), ("(?P<id>.)", "a group called id")],
)
def test_a_name_pattern_has_named_groups(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        checks.compile_pattern(text)


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a\\b", "a\nb", 7])
def test_a_name_of_a_folder_has_no_path_in_it(value: object) -> None:
    with pytest.raises(SettingsError):
        checks.file_name(value, "dataset_name")
    assert checks.file_name("val v2", "dataset_name") == "val v2"
