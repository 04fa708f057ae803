"""Named property-based laws: build them, enforce them, and show the smallest counterexample that hypothesis finds."""

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
"""Number of examples for each law; they are the same on each run."""


class Law(Protocol):
    """A property to check; calling it raises `BrokenLawError` if it does not hold."""

    def __call__(self, examples: int = EXAMPLES) -> None:
        """Check the law on this number of examples, if it needs any."""
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
    """A law that does not hold, with a counterexample."""

    def __init__(self, law: str, example: str) -> None:
        super().__init__(f"broken law: {law}\n{example}")
        self.law = law
        self.example = example


def build_law(name: str, strategy: SearchStrategy[T], holds: Callable[[T], str | None]) -> Law:
    """Build a law that must hold for all examples of a strategy.

    Args:
        name: the law as a sentence.
        strategy: draws the examples; laws that share a strategy share the drawn examples.
        holds: returns None if the law holds for an example, else a description of the example and the result.
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
            # omit the frames and notes of hypothesis: the example is enough
            raise BrokenLawError(found.law, found.example) from None
        except FlakyFailure as found:
            (first, *_) = (each for each in found.exceptions if isinstance(each, BrokenLawError))
        # an answer that differs from call to call breaks the law, too
        if isinstance(first, BrokenLawError):
            raise BrokenLawError(first.law, f"{first.example}\n(not always: the answers differ)") from None
        raise first

    return run


@lru_cache(maxsize=64)
def _draw_examples(strategy: SearchStrategy[T], examples: int) -> tuple[T, ...]:
    """Draw the examples for all laws with this strategy; cached, since drawing is slower than checking."""
    drawn: list[T] = []
    _try_on(strategy, examples, drawn.append)
    return tuple(drawn)


def _try_on(strategy: SearchStrategy[T], examples: int, attempt: Callable[[T], None]) -> None:
    """Run a function on a fixed set of examples; on failure, hypothesis shrinks to the smallest counterexample."""

    def try_it(example: T) -> None:
        attempt(example)

    settings(_SETTINGS, max_examples=examples)(given(strategy)(try_it))()


def _find_failure(attempt: Callable[[T], None], examples: Iterable[T]) -> Exception | None:
    """Return the first exception; each example is copied, so that it may be modified."""
    for example in examples:
        try:
            attempt(deepcopy(example))
        except Exception as error:  # noqa: BLE001 - hypothesis raises it again
            return error
    return None


def build_plain_law(name: str, holds: Callable[[], str | None]) -> Law:
    """Build a law that needs no examples."""

    def run(examples: int = EXAMPLES) -> None:
        del examples
        told = holds()
        if told is not None:
            raise BrokenLawError(name, told)

    return run


def enforce(laws: Mapping[str, Law], leave_out: Collection[str] = (), examples: int = EXAMPLES) -> None:
    """Check all laws except those left out.

    Raises:
        BrokenLawError: a law does not hold; raised for the first one.
        SettingsError: `leave_out` contains an unknown law.
    """
    for name in leave_out:
        if name not in laws:
            raise SettingsError(f"there is no law {name!r} to leave out; {nearest(name, laws)}")
    for name, each in laws.items():
        if name not in leave_out:
            each(examples)


def broken(laws: Mapping[str, Law], examples: int = EXAMPLES) -> dict[str, str]:
    """Return the laws that do not hold, each with a counterexample."""
    found = {}
    for name, each in laws.items():
        try:
            each(examples)
        except BrokenLawError as error:
            found[name] = error.example
    return found


def render_side_by_side(**masks: Mask) -> str:
    """Render masks as text side by side, `#` for object and `.` for background, under their names.

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
    """Call a function; return its result, or the exception that it raises."""
    try:
        return function(*arguments), None
    except Exception as error:  # noqa: BLE001 - the caller wants any exception
        return None, error


def format_error(error: Exception) -> str:
    """Format an exception in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:200]
