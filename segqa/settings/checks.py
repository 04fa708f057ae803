"""Checks for the values of settings and options, and the hint for a misspelt name."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Generic, TypeVar

from segqa.errors import SettingsError

_LISTED = 30

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Check(Generic[T_co]):
    """Convert a value of a setting or an option to its own type, or refuse it.

    Attributes:
        expected: the values that are accepted, in the words of the error message and of `docs/settings.md`.
        convert: given the value and its name, returns the value in its own type; None for a value that is refused.
        choices: the accepted texts, where there are no other values.

    >>> share("half", "[tool.segqa.thresholds] mean_iou")
    Traceback (most recent call last):
    segqa.errors.SettingsError: [tool.segqa.thresholds] mean_iou must be a number from 0 to 1, got 'half'
    """

    expected: str
    convert: Callable[[object, str], T_co | None]
    choices: tuple[str, ...] = ()

    def __call__(self, value: object, where: str) -> T_co:
        """Return the value in its own type.

        Args:
            value: from a settings file or the command line.
            where: the name of the setting in the error message.

        Raises:
            SettingsError: the value is not what was expected.
        """
        converted = self.convert(value, where)
        if converted is None:
            raise SettingsError(f"{where} must be {self.expected}, got {value!r}")
        return converted


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the nearest known one, or a list of them.

    >>> nearest("lansgam", ["langsam", "unet"])
    "did you mean 'langsam'?"
    >>> nearest("x", ["langsam", "unet"])
    'known: langsam, unet'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f", … and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"known: {', '.join(known[:_LISTED]) or 'none'}{more}"


def refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise `SettingsError` if a table has an unknown key."""
    for key in table:
        if key not in known:
            raise SettingsError(f"{where} has an unknown key {key!r}; {nearest(key, known)}")


def check_values(values: Mapping[str, object], checks: Mapping[str, Check[Any]], where: str) -> dict[str, Any]:
    """Check the values of a table.

    Args:
        values: by name.
        checks: by name.
        where: the name of a value in an error message, with `{}` for its key; an option's key is shown with dashes.

    Raises:
        SettingsError: a name is unknown, or a value is not what its check expects.

    >>> check_values({"alpha": 2}, {"alpha": share}, "[tool.segqa.gate] {}")
    Traceback (most recent call last):
    segqa.errors.SettingsError: [tool.segqa.gate] alpha must be a number from 0 to 1, got 2
    """
    # the last one: a model's name, which stands before it, may have braces, too
    before, _, after = where.rpartition("{}")
    refuse_unknown(values, checks, before.strip())
    names = {key: key.replace("_", "-") if where.startswith("--") else key for key in values}
    return {key: checks[key](value, f"{before}{names[key]}{after}") for key, value in values.items()}


def check_table(value: object, where: str) -> Mapping[str, Any]:
    """Return a table of keys and values, or raise `SettingsError`."""
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} must be a table, got {value!r}")
    return value


def _number(expected: str, fits: Callable[[float], bool]) -> Check[float]:
    """Return a check for numbers; a bool is not one, and NaN fails every comparison, so it cannot disarm a bound."""

    def convert(value: object, _: str) -> float | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value) if fits(value) else None

    return Check(f"a number {expected}", convert)


def _whole_number(expected: str, fits: Callable[[int], bool]) -> Check[int]:
    """Return a check for whole numbers; a bool is not one."""

    def convert(value: object, _: str) -> int | None:
        return value if isinstance(value, int) and not isinstance(value, bool) and fits(value) else None

    return Check(f"a whole number {expected}", convert)


share = _number("from 0 to 1", lambda value: 0 <= value <= 1)
# below 0.05 a case is a `wrong_object`: with a lower threshold no case could fail in this way
threshold = _number("above 0.05 and at most 1", lambda value: 0.05 < value <= 1)
# one of 10,001 is the smallest p-value that the 10,000 sign flips of the gate can give
level = _number("from 0.0001 to below 1", lambda value: 0.0001 <= value < 1)
agreement = _number("from 0.5 to 1", lambda value: 0.5 <= value <= 1)
seconds = _number("of seconds above 0", lambda value: 0 < value < math.inf)
factor = _number("from 1", lambda value: 1 <= value < math.inf)
minutes = _number("of minutes above 0", lambda value: value > 0)
cpus = _number("of CPUs above 0", lambda value: 0 < value < math.inf)
gpus = _number("of GPUs from 0", lambda value: 0 <= value < math.inf)
# browsers hardly open a larger page
megabytes = _number("of megabytes from 0.1 to 500", lambda value: 0.1 <= value <= 500)
count = _whole_number("from 1", lambda value: value >= 1)
whole = _whole_number("from 0", lambda value: value >= 0)
# pixels above it are the object, so there has to be a higher value
grey = _whole_number("from 0 to 254", lambda value: 0 <= value <= 254)
bits = _whole_number("from 8 to 16", lambda value: 8 <= value <= 16)
_mask_value = _whole_number("from 0 to 65535", lambda value: 0 <= value <= 65535)


def one_of(choices: Iterable[str]) -> Check[Any]:
    """Return a check for some texts and no others."""
    choices = tuple(choices)
    return Check(f"one of {', '.join(choices)}", lambda value, _: value if value in choices else None, choices)


text: Check[str] = Check("a text", lambda value, _: value if isinstance(value, str) and value else None)
flag: Check[bool] = Check("true or false", lambda value, _: value if isinstance(value, bool) else None)


def _convert_whole_numbers(value: object, where: str) -> tuple[int, ...] | None:
    if not isinstance(value, (list, tuple)) or not value:
        return None
    return tuple(_mask_value(each, where) for each in value)


def _convert_names(value: object, where: str) -> tuple[str, ...] | None:
    listed = [value] if isinstance(value, str) else value
    return tuple(text(name, where) for name in listed) if isinstance(listed, list) and listed else None


def _convert_file_name(value: object, where: str) -> str | None:
    name = text(value, where)
    return None if name in {".", ".."} or not name.isprintable() or set(name) & set("/\\") else name


def _convert_day(value: object, _: str) -> date | None:
    try:
        return value if type(value) is date else date.fromisoformat(str(value))
    except ValueError:
        return None


def _convert_day_within_a_year(value: object, where: str) -> date:
    found, latest = day(value, where), datetime.now(UTC).astimezone().date() + timedelta(days=366)
    if found > latest:
        raise SettingsError(f"{where} must be at most a year away, {latest} or earlier, got {found}")
    return found


def _or_text(number: Check[int], word: str) -> Callable[[object, str], int | str | None]:
    """Return a conversion that also accepts a word, and the number as a text."""

    def convert(value: object, where: str) -> int | str | None:
        if value == word:
            return word
        return number.convert(int(value) if isinstance(value, str) and value.isdecimal() else value, where)

    return convert


def _convert_side(value: object, where: str) -> int | None:
    pixels = count(value, where)
    return pixels if 32 <= pixels <= 4096 else None


whole_numbers = Check("a list of whole numbers", _convert_whole_numbers)
names = Check("a text or a list of texts", _convert_names)
file_name = Check("the name of a folder, without / and \\", _convert_file_name)
day = Check("a day such as 2027-01-31", _convert_day)
day_within_a_year = Check("a day such as 2027-01-31, at most a year away", _convert_day_within_a_year)
batch: Check[Any] = Check("a whole number from 1, or auto", _or_text(count, "auto"))
images: Check[Any] = Check("a whole number from 0, or none", _or_text(whole, "none"))
side = Check("from 32 to 4096 pixels", _convert_side)


def compile_pattern(text: str, where: str = "name pattern") -> re.Pattern[str]:
    """Compile a regular expression with named groups.

    Raises:
        SettingsError: the text is not a regular expression, or has no named group.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise SettingsError(f"{where} {text!r} is not a regular expression: {error}") from error
    if "id" in pattern.groupindex:
        raise SettingsError(f"{where} {text!r} has a group called id, which is the case's own; choose another name")
    if not pattern.groupindex:
        raise SettingsError(f"{where} {text!r} has no named group such as (?P<camera>C\\d+)")
    return pattern


pattern = Check(
    "a regular expression with named groups", lambda value, where: compile_pattern(text(value, where), where).pattern
)
