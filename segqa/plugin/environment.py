"""The environment that pytest runs in."""

from __future__ import annotations

import os

_OFF = frozenset({"", "0", "false", "no", "off"})


def is_ci() -> bool:
    """Return whether the variable `CI` is set; `CI=false`, `CI=0` and an empty one mean that it is not."""
    return os.environ.get("CI", "").strip().lower() not in _OFF
