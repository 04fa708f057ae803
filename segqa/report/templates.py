"""Jinja templates with autoescaping; undefined names are errors."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from segqa.support.escaping import to_line
from segqa.support.plurals import format_count


def render(name: str, **values: Any) -> Iterator[str]:
    """Render a template in pieces, since a whole page can be large."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("segqa.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_to_line,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["count"] = format_count
    return environment.get_template(name).generate(**values)


def _to_line(value: object) -> object:
    """Escape control characters in plain text; markup is kept as it is."""
    return to_line(value) if type(value) is str else value


def part(name: str) -> str:
    """Read a file beside the templates, unchanged."""
    return (files("segqa.report") / "templates" / name).read_text(encoding="utf-8")
