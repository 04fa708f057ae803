"""A check takes what stands behind a key or an option, and gives it back as what it has to be, or says what that is."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from segqa.errors import SettingsError

Check: TypeAlias = Callable[[object, str], Any]
"""Takes a value, and what an error calls it."""

_LISTED = 30


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not among the known ones: the nearest, or all of them as long as they can be read.

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
    """Refuse a table with a key that is not among the known ones."""
    for key in table:
        if key not in known:
            raise SettingsError(f"{where} has an unknown key {key!r}; {nearest(key, known)}")


def checked(values: Mapping[str, object], known: Mapping[str, Check], where: str) -> dict[str, Any]:
    """The values of a table, or of options, each as its check gives it back.

    Args:
        values: by their names.
        known: the check of each name.
        where: what to call one of them in an error, `{}` for its name; of an option, with dashes.

    Raises:
        SettingsError: an unknown name, or a value that makes no sense.
    """
    before, _, after = where.rpartition("{}")
    refuse_unknown(values, known, before.strip())
    dashed = where.startswith("--")
    names = {key: key.replace("_", "-") if dashed else key for key in values}
    return {key: known[key](value, f"{before}{names[key]}{after}") for key, value in values.items()}


def table(value: object, where: str) -> Mapping[str, Any]:
    """A table of keys and values."""
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} must be a table, got {value!r}")
    return value


def _number(expected: str, fits: Callable[[float], bool]) -> Callable[[object, str], float]:
    """A check for numbers that fit; a bool is none, and NaN, which fails every comparison, cannot disarm a bound."""

    def check(value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not fits(value):
            raise SettingsError(f"{where} must be a number {expected}, got {value!r}")
        return float(value)

    return check


def _whole_number(expected: str, fits: Callable[[int], bool]) -> Callable[[object, str], int]:
    """A check for whole numbers that fit; a bool is none."""

    def check(value: object, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not fits(value):
            raise SettingsError(f"{where} must be a whole number {expected}, got {value!r}")
        return value

    return check


share = _number("from 0 to 1", lambda value: 0 <= value <= 1)
# below 0.05 a case counts as another object: with a lower threshold none could collapse
threshold = _number("above 0.05 and at most 1", lambda value: 0.05 < value <= 1)
# one of 10,001 is the smallest p-value that the 10,000 sign flips of the gate can give
level = _number("from 0.0001 to below 1", lambda value: 0.0001 <= value < 1)
agreement = _number("from 0.5 to 1", lambda value: 0.5 <= value <= 1)
seconds = _number("of seconds above 0", lambda value: 0 < value < math.inf)
factor = _number("from 1", lambda value: 1 <= value < math.inf)
minutes = _number("of minutes above 0", lambda value: value > 0)
cpus = _number("of CPUs above 0", lambda value: 0 < value < math.inf)
gpus = _number("of GPUs from 0", lambda value: 0 <= value < math.inf)
# a page above that is more than a browser opens
megabytes = _number("of megabytes from 0.1 to 500", lambda value: 0.1 <= value <= 500)
count = _whole_number("from 1", lambda value: value >= 1)
whole = _whole_number("from 0", lambda value: value >= 0)
_count_or_auto = _whole_number("from 1, or auto", lambda value: value >= 1)
_whole_or_none = _whole_number("from 0, or none", lambda value: value >= 0)
# object is what is above it, so there has to be something
grey = _whole_number("from 0 to 254", lambda value: 0 <= value <= 254)
bits = _whole_number("from 8 to 16", lambda value: 8 <= value <= 16)
_mask_value = _whole_number("from 0 to 65535", lambda value: 0 <= value <= 65535)


def whole_numbers(value: object, where: str) -> tuple[int, ...]:
    """Check a list of values of a mask, at least one."""
    if not isinstance(value, (list, tuple)) or not value:
        raise SettingsError(f"{where} must be a list of whole numbers, got {value!r}")
    return tuple(_mask_value(each, where) for each in value)


def one_of(known: Iterable[str]) -> Callable[[object, str], str]:
    """A check for some texts and no others."""
    known = tuple(known)

    def check(value: object, where: str) -> str:
        if value not in known:
            raise SettingsError(f"{where} must be one of {', '.join(known)}, got {value!r}")
        return str(value)

    return check


def text(value: object, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{where} must be a text, got {value!r}")
    return value


def file_name(value: object, where: str) -> str:
    """A text that can be the name of a folder."""
    name = text(value, where)
    if name in {".", ".."} or not name.isprintable() or set(name) & set("/\\"):
        raise SettingsError(f"{where} must be the name of a folder, without / and \\, got {value!r}")
    return name


def day(value: object, where: str) -> date:
    """A day, or a text such as `2027-01-31`."""
    try:
        return value if type(value) is date else date.fromisoformat(str(value))
    except ValueError as error:
        raise SettingsError(f"{where} must be a day such as 2027-01-31, got {value!r}") from error


def day_within_a_year(value: object, where: str) -> date:
    """A day that is at most a year away: what is expected for longer is no exception."""
    found, latest = day(value, where), datetime.now(UTC).astimezone().date() + timedelta(days=366)
    if found > latest:
        raise SettingsError(f"{where} must be at most a year away, {latest} or earlier, got {found}")
    return found


def flag(value: object, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise SettingsError(f"{where} must be true or false, got {value!r}")
    return value


def names(value: object, where: str) -> tuple[str, ...]:
    """A text or a list of texts, as a tuple."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise SettingsError(f"{where} must be a text or a list of texts, got {value!r}")
    return tuple(text(name, where) for name in listed)


def compile_pattern(text: str, where: str = "name pattern") -> re.Pattern[str]:
    """A regular expression with named groups, checked.

    Raises:
        SettingsError: it is no regular expression, or has no named group.
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


def pattern(value: object, where: str) -> str:
    """A regular expression with named groups, as text; see `compile_pattern`."""
    return compile_pattern(text(value, where), where).pattern


def batch(value: object, where: str) -> int | str:
    """A whole number from 1, also as a text; or `"auto"`."""
    if value == "auto":
        return "auto"
    if isinstance(value, str) and value.isdecimal() and int(value) > 0:
        return int(value)
    return _count_or_auto(value, where)


def images(value: object, where: str) -> int | str:
    """A whole number from 0, also as a text; or `"none"`."""
    if value == "none":
        return "none"
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return _whole_or_none(value, where)


def side(value: object, where: str) -> int:
    """Pixels of a side, 32 to 4096."""
    pixels = count(value, where)
    if not 32 <= pixels <= 4096:
        raise SettingsError(f"{where} must be from 32 to 4096 pixels, got {value!r}")
    return pixels
