"""Laws as such, whatever they are about: what they are tried on, and what is told of one that does not hold."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from segqa.testing import BrokenLawError
from segqa.testing.contract import Law, build_law


class Counted:
    """A strategy of lists, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

        @st.composite
        def lists(draw: DrawFn) -> list[int]:
            self.asked += 1
            return draw(st.lists(st.integers(0, 9), min_size=1))

        self.strategy: SearchStrategy[list[int]] = lists()


def always(strategy: SearchStrategy[list[int]], seen: list[list[int]]) -> Law:
    def holds(example: list[int]) -> str | None:
        seen.append([*example])
        example.clear()
        return None

    return build_law("always", strategy, holds)


def test_laws_with_one_strategy_are_tried_on_the_same_drawn_once() -> None:
    counted, first, second = Counted(), list[list[int]](), list[list[int]]()
    always(counted.strategy, first)(20)
    asked = counted.asked
    always(counted.strategy, second)(20)
    assert first == second
    assert len(first) == 20
    assert counted.asked == asked >= 20


def test_what_a_function_writes_into_its_examples_is_not_seen_by_the_next() -> None:
    strategy, seen = Counted().strategy, list[list[int]]()
    always(strategy, [])(20)
    always(strategy, seen)(20)
    assert all(seen)


def test_the_smallest_example_is_told() -> None:
    below = build_law("below 5", st.integers(0, 100), lambda number: None if number < 5 else f"came {number}")
    with pytest.raises(BrokenLawError) as raised:
        below()
    assert raised.value.example == "came 5"


def test_what_a_function_raises_comes_out_as_it_is() -> None:
    def fails(number: int) -> str | None:
        raise ZeroDivisionError(number)

    with pytest.raises(ZeroDivisionError):
        build_law("never", st.integers(0, 100), fails)()


@pytest.mark.parametrize("raises", [False, True])
def test_what_breaks_it_once_and_never_again_is_told(*, raises: bool) -> None:
    calls = []

    def once(number: int) -> str | None:
        calls.append(number)
        if len(calls) > 1:
            return None
        if raises:
            raise ZeroDivisionError(number)
        return f"came {number}"

    with pytest.raises(ZeroDivisionError if raises else BrokenLawError) as raised:
        build_law("again", st.integers(0, 100), once)()
    assert raises or "not always" in str(raised.value)
    assert len(calls) > 1
