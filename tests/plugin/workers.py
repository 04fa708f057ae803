"""In how many processes a session runs its tests: what holds in one has to hold in several."""

import pytest

_TWO = ("-n", "2")

WORKERS = [pytest.param((), id="one process"), pytest.param(_TWO, id="two workers")]

MOSTLY_ONE = [pytest.param((), id="one process"), pytest.param(_TWO, id="two workers", marks=pytest.mark.slow)]
"""For tests of what is the same code as in those that always run in both ways: with two workers by `make slow`."""
