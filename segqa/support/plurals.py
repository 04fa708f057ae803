"""Counts and lists in messages: `1 case`, `2 cases`, `a, b and 3 more`."""

from __future__ import annotations

from collections.abc import Sequence


def format_count(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun in the right number.

    Args:
        count: how many there are.
        singular: the words for one.
        plural: the words for any other count; by default the singular with an `s`.

    >>> format_count(1, "case"), format_count(0, "case"), format_count(2, "entry", "entries")
    ('1 case', '0 cases', '2 entries')
    >>> format_count(1, "slice is not judged", "slices are not judged")
    '1 slice is not judged'
    """
    return f"{count} {select_form(count, singular, plural or f'{singular}s')}"


def select_form(count: int, singular: str, plural: str) -> str:
    """Return the word that agrees with a count: the singular for one.

    >>> f"1 of {format_count(12, 'case')} {select_form(1, 'is', 'are')} missing"
    '1 of 12 cases is missing'
    """
    return singular if count == 1 else plural


def list_first(texts: Sequence[str], shown: int, total: int | None = None) -> str:
    """Return the first of some texts, separated by commas, and how many more there are.

    Args:
        texts: the texts, or the beginning of them.
        shown: how many to list.
        total: how many there are; by default as many as texts.

    >>> list_first(["a", "b"], 2), list_first(["a", "b", "c"], 2), list_first(["a", "b"], 2, 9)
    ('a, b', 'a, b and 1 more', 'a, b and 7 more')
    """
    more = (len(texts) if total is None else total) - shown
    return ", ".join(texts[:shown]) + (f" and {more} more" if more > 0 else "")
