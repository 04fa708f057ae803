"""A way to a false green: what is done, and how it has to end."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.false_green.trial import Ending, Trial

Attempt = Callable[[Trial], Ending]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to get a worse model past the gate.

    Attributes:
        name: what is done, as a sentence.
        category: what it abuses.
        code: the exit code that it has to end with; 0 where a pass is right, as long as the output names what is off.
        says: what the output has to say; `…` stands for anything within a line.
        attempt: makes the model worse, leads the gate astray, and returns how that ends.
        slow: whether it is left to `make slow`.
    """

    name: str
    category: str
    code: int
    says: str
    attempt: Attempt
    slow: bool = False

    def is_said(self, text: str) -> bool:
        """Return whether a text says what this way's output has to say."""
        return re.search(".*?".join(map(re.escape, self.says.split("…"))), text) is not None


class Ways(list[Way]):
    """The ways of one category, in order."""

    def __init__(self, category: str) -> None:
        super().__init__()
        self.category = category

    def add(self, name: str, code: int, says: str, attempt: Attempt, *, slow: bool = True) -> None:
        """Add a way."""
        self.append(Way(name, self.category, code, says, attempt, slow))

    def way(self, code: int, says: str, *, slow: bool = True) -> Callable[[Attempt], Attempt]:
        """Add a function as a way; its name is the sentence."""

        def add(attempt: Attempt) -> Attempt:
            self.add(attempt.__name__.replace("_", " "), code, says, attempt, slow=slow)
            return attempt

        return add
