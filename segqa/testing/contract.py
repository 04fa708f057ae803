"""A contract is a list of named laws; one that does not hold is shown on the smallest example that hypothesis finds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FlakyFailure
from hypothesis.strategies import SearchStrategy

from segqa.data.mask import Mask
from segqa.errors import SettingsError
from segqa.settings.checks import nearest

T = TypeVar("T")

EXAMPLES = 100
"""Examples a law; they are the same each time."""


class Law(Protocol):
    """Raises `BrokenLawError` if it does not hold."""

    def __call__(self, examples: int = EXAMPLES) -> None:
        """Try it on so many examples, if it needs any."""
        ...


_SETTINGS = settings(
    database=None,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


class BrokenLawError(AssertionError):
    """A law that does not hold, with an example."""

    def __init__(self, law: str, example: str) -> None:
        super().__init__(f"broken law: {law}\n{example}")
        self.law = law
        self.example = example


def build_law(name: str, strategy: SearchStrategy[T], holds: Callable[[T], str | None]) -> Law:
    """A law over all examples.

    Args:
        name: what it says.
        strategy: draws what it is tried on; laws that share a strategy share what was drawn.
        holds: None where it holds for an example, else the example and what came, in words.
    """

    def attempt(example: T) -> None:
        told = holds(example)
        if told is not None:
            raise BrokenLawError(name, told)

    def run(examples: int = EXAMPLES) -> None:
        first = _find_failure(attempt, _draw_examples(strategy, examples))
        if first is None:
            return
        try:
            _try_on(strategy, examples, attempt)
        except BrokenLawError as found:
            # without the frames and notes of hypothesis: the example says it all
            raise BrokenLawError(found.law, found.example) from None
        except FlakyFailure as found:
            (first, *_) = (each for each in found.exceptions if isinstance(each, BrokenLawError))
        # a function that answers differently each time breaks it, too
        if isinstance(first, BrokenLawError):
            raise BrokenLawError(first.law, f"{first.example}\n(not always: the answers differ)") from None
        raise first

    return run


@lru_cache(maxsize=64)
def _draw_examples(strategy: SearchStrategy[T], examples: int) -> tuple[T, ...]:
    """What laws with this strategy are tried on: drawing takes longer than trying, so it is done once for all."""
    drawn: list[T] = []
    _try_on(strategy, examples, drawn.append)
    return tuple(drawn)


def _try_on(strategy: SearchStrategy[T], examples: int, attempt: Callable[[T], None]) -> None:
    """Try something on so many examples, the same each time; where it fails, hypothesis looks for the smallest one."""

    def try_it(example: T) -> None:
        attempt(example)

    settings(_SETTINGS, max_examples=examples)(given(strategy)(try_it))()


def _find_failure(attempt: Callable[[T], None], examples: Iterable[T]) -> Exception | None:
    """What is raised first; each example is a copy, so that it may be written to."""
    for example in examples:
        try:
            attempt(deepcopy(example))
        except Exception as error:  # noqa: BLE001 - hypothesis has it raised again
            return error
    return None


def build_plain_law(name: str, holds: Callable[[], str | None]) -> Law:
    """A law that needs no examples."""

    def run(examples: int = EXAMPLES) -> None:
        del examples
        told = holds()
        if told is not None:
            raise BrokenLawError(name, told)

    return run


def enforce(laws: Mapping[str, Law], leave_out: Collection[str] = (), examples: int = EXAMPLES) -> None:
    """Try some laws, all but those left out.

    Raises:
        BrokenLawError: of the first one that does not hold.
        SettingsError: a law to be left out is none of them.
    """
    for name in leave_out:
        if name not in laws:
            raise SettingsError(f"there is no law {name!r} to leave out; {nearest(name, laws)}")
    for name, each in laws.items():
        if name not in leave_out:
            each(examples)


def broken(laws: Mapping[str, Law], examples: int = EXAMPLES) -> dict[str, str]:
    """The laws that do not hold, each with an example."""
    found = {}
    for name, each in laws.items():
        try:
            each(examples)
        except BrokenLawError as error:
            found[name] = error.example
    return found


def render_side_by_side(**masks: Mask) -> str:
    """Masks as text, `#` for object and `.` for background, under their names.

    >>> import numpy as np
    >>> print(render_side_by_side(prediction=np.eye(2, dtype=bool), target=np.ones((1, 2), bool)))
    prediction  target
    #.          ##
    .#
    """
    columns = [
        [name, *("".join("#" if pixel else "." for pixel in row) for row in mask)] for name, mask in masks.items()
    ]
    height = max(map(len, columns))
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "  ".join(
            (column[row] if row < len(column) else "").ljust(width)
            for column, width in zip(columns, widths, strict=True)
        )
        for row in range(height)
    )
    return "\n".join(line.rstrip() for line in lines)


def attempt_call(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    """What a function answers, or the exception that it raises."""
    try:
        return function(*arguments), None
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is to be known
        return None, error


def format_error(error: Exception) -> str:
    """An exception in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:200]
