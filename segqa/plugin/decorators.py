"""Declaring: `@segqa.model` and `@segqa.dataset` make a session fixture that the options can name.

There is no registry: what is declared is found among the plugins and conftests that pytest has loaded.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, overload

import pytest

from segqa.errors import ModelError, SettingsError

Kind: TypeAlias = Literal["model", "dataset"]
Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "_segqa_declares"
_PACKAGE = "segqa_fixtures"
_FIXTURE = type(pytest.fixture(lambda: None))
"""What pytest makes of a function. Of all that plugins hold nothing else is looked at: all pytest runs wait for it."""


@overload
def model(function: Function, /) -> Function: ...
@overload
def model(*, name: str) -> Callable[[Function], Function]: ...
def model(function: Any = None, /, *, name: str = "") -> Any:
    """Declare a model: a session fixture, named as the function, that returns something with `predict`.

    The function may ask for other session fixtures, and may yield the model to clean up after it.

    Args:
        function: what builds the model; `@segqa.model` and `@segqa.model(name="unet+int8")` are both understood.
        name: of the model, where it cannot be that of a function.
    """
    return _declared_by(function, "model", name)


@overload
def dataset(function: Function, /) -> Function: ...
@overload
def dataset(*, name: str) -> Callable[[Function], Function]: ...
def dataset(function: Any = None, /, *, name: str = "") -> Any:
    """Declare a data set: a session fixture, named as the function, that returns a `segqa.Dataset`.

    Args:
        function: what makes the data set; with and without parentheses, as `model`.
        name: of the data set, where it cannot be that of a function.
    """
    return _declared_by(function, "dataset", name)


def _declared_by(function: Any, kind: Kind, name: str) -> Any:
    """The fixture, or what makes one of the function to come."""
    if function is None:
        return lambda later: _declare(later, kind, name)
    return _declare(function, kind, name)


def _declare(function: Callable[..., Any], kind: Kind, name: str) -> Any:
    if set(name) & set("/\\,="):
        raise SettingsError(f"a name must not have a comma, a slash or = in it, got {name!r}")
    fixture: Any = pytest.fixture(scope="session", name=name or None)(function)
    setattr(fixture, _MARK, (kind, function, name))
    return fixture


def load_fixtures(pluginmanager: pytest.PytestPluginManager, *files: Path) -> None:
    """Load files that declare models and data sets, wherever they are: for the root `conftest.py`.

    `pytest_plugins = ["fixtures.models"]` names a package: with `--import-mode=importlib` Python finds none of that
    name, or somebody else's. The files of a folder may import each other (`from .networks import Net`).

    Raises:
        pytest.UsageError: a file is not there.
    """
    for file in files:
        if not file.is_file():
            raise pytest.UsageError(f"segqa: no file {file}; expected one that declares models or data sets")
        module = importlib.import_module(f"{_name_package(file.parent)}.{file.stem}")
        if not pluginmanager.is_registered(module):
            pluginmanager.register(module, module.__name__)


def _name_package(folder: Path) -> str:
    """Return the name that a folder is imported by as a package; the same on every machine, as far as it can be."""
    number, name = 1, _PACKAGE
    while name in sys.modules:
        if list(getattr(sys.modules[name], "__path__", ())) == [str(folder)]:
            return name
        number += 1
        name = f"{_PACKAGE}_{number}"
    pytest.register_assert_rewrite(name)
    begin = folder / "__init__.py"
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    if begin.is_file():
        spec = importlib.util.spec_from_file_location(name, begin) or spec
    spec.submodule_search_locations = [str(folder)]
    package = sys.modules[name] = importlib.util.module_from_spec(spec)
    if spec.loader is not None:
        spec.loader.exec_module(package)
    return name


def declared(config: pytest.Config, kind: Kind) -> dict[str, Callable[..., Any]]:
    """The functions that are declared in the loaded plugins and conftests, by name; the last of a name wins."""
    found = {}
    for plugin in config.pluginmanager.get_plugins():
        for name, value in list(getattr(plugin, "__dict__", {}).items()):
            mark = vars(value).get(_MARK) if type(value) is _FIXTURE else None
            if mark is not None and mark[0] == kind:
                found[mark[2] or name] = mark[1]
    return dict(sorted(found.items()))


def fixture_functions(config: pytest.Config) -> dict[str, list[Callable[..., Any]]]:
    """Return the functions of the fixtures in the loaded plugins and conftests, by name; several may share one."""
    found: dict[str, list[Callable[..., Any]]] = {}
    for plugin in config.pluginmanager.get_plugins():
        for value in list(getattr(plugin, "__dict__", {}).values()):
            if type(value) is _FIXTURE:
                found.setdefault(value.name, []).append(inspect.unwrap(value))
    return found


@contextmanager
def built(function: Callable[..., Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    """What a declared function gives, its arguments taken from the fixtures of their names.

    Called here and not as the fixture that it also is, because that one would live until the session ends: of several
    models each has to be gone before the next is built.
    """
    with exits_refused(f"the fixture of model {function.__name__!r}"):
        given = function(**{name: request.getfixturevalue(name) for name in inspect.signature(function).parameters})
        is_generator = inspect.isgenerator(given)
        model = next(given, None) if is_generator else given
    try:
        yield model
    finally:
        if is_generator:
            next(given, None)


@contextmanager
def exits_refused(what: str) -> Iterator[None]:
    """Refuse `sys.exit` while something is built; pytest would build it again for each test.

    Raises:
        ModelError: it was called.
    """
    try:
        yield
    except SystemExit as error:
        raise ModelError(
            f"{what} called sys.exit({error.code!r}); argparse does so, too, since it reads the command line of "
            "pytest: take options from model_options, or parse_args([])"
        ) from error
