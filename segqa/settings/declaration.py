"""Declare a setting once: its check, default, help text and pytest option are metadata of its dataclass field.

The parser of `[tool.segqa]`, the overrides of the command line, the pytest options and the tables of `docs/settings.md`
read these declarations. `tools/write_tables.py` writes the last two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from segqa.settings.checks import Check, check_values

T = TypeVar("T")

_KEY = "setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The pytest option `--segqa-NAME` of a setting.

    Attributes:
        name: without `--segqa-`, with dashes.
        metavar: what stands for its value in `pytest --help`; not needed for choices.
        type: of its value, where that is not a text.
        action: as in argparse, where that is not `store`.
        overrides: whether the value, once checked, replaces the one in the file. The plugin applies the other options
            itself: their values have another form, or the option adds to the setting.
    """

    name: str
    metavar: str = ""
    type: type | None = None
    action: str = ""
    overrides: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The declaration of one key of `[tool.segqa]`.

    Attributes:
        check: converts and checks a value.
        help: one line for `pytest --help` and `docs/settings.md`, without a period.
        details: more sentences for `docs/settings.md`, in Markdown, without the last period.
        option: that overrides the setting; None where there is none.
        shown_default: the default in words, where the field's own default does not say it.
        group: the table of `docs/settings.md`, where the keys of one dataclass are listed in several.
    """

    check: Check[Any]
    help: str
    details: str = ""
    option: Option | None = None
    shown_default: str = ""
    group: str = ""


def declare(check: Check[Any], help: str, **more: Any) -> Mapping[str, Setting]:  # noqa: A002 - argparse's word
    """Return the metadata of a dataclass field without a default; see `Setting`."""
    return {_KEY: Setting(check=check, help=help, **more)}


def setting(default: T, check: Check[T], help: str, **more: Any) -> T:  # noqa: A002 - argparse's word
    """Return a dataclass field that is a setting.

    Args:
        default: its value where the settings file does not name it; None where the code decides.
        check: for values from the file and the command line.
        help: see `Setting`.
        more: the other attributes of `Setting`.
    """
    made: T = field(default=default, metadata=declare(check, help, **more))
    return made


def read_declarations(table: type) -> dict[str, Setting]:
    """Return the settings that a dataclass declares, by key, in their order."""
    return {each.name: each.metadata[_KEY] for each in fields(table) if _KEY in each.metadata}


def check_settings(table: type, values: Mapping[str, object], where: str) -> dict[str, Any]:
    """Check values for the settings of a dataclass.

    Args:
        table: the dataclass.
        values: by key.
        where: the name of a value in an error message, with `{}` for its key.

    Raises:
        SettingsError: a key is unknown (with the nearest known one), or a value is not what its check expects.
    """
    return check_values(values, {key: each.check for key, each in read_declarations(table).items()}, where)


def check_overrides(table: type, options: Mapping[str, object]) -> dict[str, Any]:
    """Check the options that override settings of a dataclass, and return their values by key.

    Args:
        table: the dataclass.
        options: that were typed, by name without `--segqa-`; those of other settings are ignored.

    Raises:
        SettingsError: a value is not what its check expects.
    """
    overriding = {
        key: each
        for key, each in read_declarations(table).items()
        if each.option is not None and each.option.overrides and each.option.name in options
    }
    return {
        key: each.check(options[each.option.name], f"--segqa-{each.option.name}")
        for key, each in overriding.items()
        if each.option is not None
    }
