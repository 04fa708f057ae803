"""Declaring: `@segqa.model` and `@segqa.dataset` make a session fixture that the options can name.

There is no registry: what is declared is found among the plugins and conftests that pytest has loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, TypeVar

import pytest

Kind: TypeAlias = Literal["model", "dataset"]
Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "_segqa_declares"


def model(function: Function) -> Function:
    """Declare a model: a session fixture, named as the function, that returns something with `predict`.

    The function may ask for other session fixtures, and may yield the model to clean up after it.
    """
    return _declare(function, "model")


def dataset(function: Function) -> Function:
    """Declare a data set: a session fixture, named as the function, that returns a `segqa.Dataset`."""
    return _declare(function, "dataset")


def _declare(function: Function, kind: Kind) -> Function:
    fixture: Any = pytest.fixture(scope="session")(function)
    setattr(fixture, _MARK, (kind, function))
    declared: Function = fixture
    return declared


def declared(config: pytest.Config, kind: Kind) -> dict[str, Callable[..., Any]]:
    """The functions that are declared in the loaded plugins and conftests, by name; the last of a name wins."""
    found = {}
    for plugin in config.pluginmanager.get_plugins():
        for name, value in list(getattr(plugin, "__dict__", {}).items()):
            mark = inspect.getattr_static(value, _MARK, None)
            if mark is not None and mark[0] == kind:
                found[name] = mark[1]
    return dict(sorted(found.items()))


@contextmanager
def built(function: Callable[..., Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    """What a declared function gives, its arguments taken from the fixtures of their names.

    Called here and not as the fixture that it also is, because that one would live until the session ends: of several
    models each has to be gone before the next is built.
    """
    given = function(**{name: request.getfixturevalue(name) for name in inspect.signature(function).parameters})
    if not inspect.isgenerator(given):
        yield given
        return
    try:
        yield next(given)
    finally:
        next(given, None)
