"""A check takes what stands behind a key or an option, and gives it back as what it has to be, or says what that is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, TypeGuard

from segqa.errors import SettingsError

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


def table(value: object, where: str) -> Mapping[str, Any]:
    """A table of keys and values."""
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} must be a table, got {value!r}")
    return value


def _is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; a bool is an int, but none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def share(value: object, where: str) -> float:
    """A number from 0 to 1."""
    # NaN fails every comparison, so it is refused here and cannot disarm a bound
    if not _is_number(value) or not 0 <= value <= 1:
        raise SettingsError(f"{where} must be a number from 0 to 1, got {value!r}")
    return float(value)


def seconds(value: object, where: str) -> float:
    """Seconds, above 0."""
    if not _is_number(value) or not 0 < value < float("inf"):
        raise SettingsError(f"{where} must be a number of seconds above 0, got {value!r}")
    return float(value)


def factor(value: object, where: str) -> float:
    """A number from 1."""
    if not _is_number(value) or not 1 <= value < float("inf"):
        raise SettingsError(f"{where} must be a number from 1, got {value!r}")
    return float(value)


def text(value: object, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{where} must be a text, got {value!r}")
    return value


def day(value: object, where: str) -> date:
    """A day, or a text such as `2027-01-31`."""
    try:
        return value if type(value) is date else date.fromisoformat(str(value))
    except ValueError as error:
        raise SettingsError(f"{where} must be a day such as 2027-01-31, got {value!r}") from error


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


def count(value: object, where: str) -> int:
    """A whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingsError(f"{where} must be a whole number from 1, got {value!r}")
    return value


def whole(value: object, where: str) -> int:
    """A whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingsError(f"{where} must be a whole number from 0, got {value!r}")
    return value


def minutes(value: object, where: str) -> float:
    """Minutes, above 0."""
    if not _is_number(value) or not value > 0:
        raise SettingsError(f"{where} must be a number of minutes above 0, got {value!r}")
    return float(value)


def batch(value: object, where: str) -> int | str:
    """A whole number from 1, also as a text; or `"auto"`."""
    if value == "auto":
        return "auto"
    if isinstance(value, str) and value.isdecimal() and int(value) > 0:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingsError(f"{where} must be a whole number from 1, or auto, got {value!r}")
    return value


def grey(value: object, where: str) -> int:
    """A grey value above which there may be others: 0 to 254."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 254:
        raise SettingsError(f"{where} must be a whole number from 0 to 254, got {value!r}")
    return value


def cpus(value: object, where: str) -> float:
    """CPUs, above 0."""
    if not _is_number(value) or not 0 < value < float("inf"):
        raise SettingsError(f"{where} must be a number of CPUs above 0, got {value!r}")
    return float(value)


def gpus(value: object, where: str) -> float:
    """GPUs, from 0."""
    if not _is_number(value) or not 0 <= value < float("inf"):
        raise SettingsError(f"{where} must be a number of GPUs from 0, got {value!r}")
    return float(value)


def images(value: object, where: str) -> int | str:
    """A whole number from 0, also as a text; or `"none"`."""
    if value == "none" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    raise SettingsError(f"{where} must be a whole number from 0, or none, got {value!r}")


def side(value: object, where: str) -> int:
    """Pixels of a side, 32 to 4096."""
    pixels = count(value, where)
    if not 32 <= pixels <= 4096:
        raise SettingsError(f"{where} must be from 32 to 4096 pixels, got {value!r}")
    return pixels


def megabytes(value: object, where: str) -> float:
    """Megabytes, 0.1 to 500."""
    if not _is_number(value) or not 0.1 <= value <= 500:
        # a page above that is more than a browser opens
        raise SettingsError(f"{where} must be a number of megabytes from 0.1 to 500, got {value!r}")
    return float(value)


def one_of(known: Iterable[str]) -> Callable[[object, str], str]:
    """A check for some texts and no others."""
    known = tuple(known)

    def check(value: object, where: str) -> str:
        if value not in known:
            raise SettingsError(f"{where} must be one of {', '.join(known)}, got {value!r}")
        return str(value)

    return check
