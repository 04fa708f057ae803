"""The decorators `@segqa.model` and `@segqa.dataset`, which declare session fixtures that the options can name.

There is no registry: declarations are found in the plugins and conftests that pytest has loaded.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, overload

import pytest

from segqa.errors import ModelError, SettingsError

Kind: TypeAlias = Literal["model", "dataset"]
Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "_segqa_declares"
_LOADED = "_segqa_loaded"
"""The attribute of a declared function that keeps the `__spec__` of its module; a reload creates another."""
_PACKAGE = "segqa_fixtures"
_FIXTURE = type(pytest.fixture(lambda: None))
"""The type of a fixture. Attributes of plugins with other types are skipped: every pytest run waits for the search."""


@overload
def model(function: Function, /) -> Function: ...
@overload
def model(*, name: str) -> Callable[[Function], Function]: ...
def model(function: Any = None, /, *, name: str = "") -> Any:
    """Declare a model: a session fixture, named as the function, that returns something with `predict`.

    The function may ask for other session fixtures, and may yield the model to clean up after it.

    Args:
        function: builds the model; `@segqa.model` and `@segqa.model(name="unet+int8")` both work.
        name: the name of the model, if it is no valid function name.
    """
    return _decorate(function, "model", name)


@overload
def dataset(function: Function, /) -> Function: ...
@overload
def dataset(*, name: str) -> Callable[[Function], Function]: ...
def dataset(function: Any = None, /, *, name: str = "") -> Any:
    """Declare a data set: a session fixture, named as the function, that returns a `segqa.Dataset`.

    Args:
        function: returns the data set; works with and without parentheses, like `model`.
        name: the name of the data set, if it is no valid function name.
    """
    return _decorate(function, "dataset", name)


def _decorate(function: Any, kind: Kind, name: str) -> Any:
    """Return the fixture, or a decorator if no function is given yet."""
    if function is None:
        return lambda later: _declare(later, kind, name)
    return _declare(function, kind, name)


def _declare(function: Callable[..., Any], kind: Kind, name: str) -> Any:
    if set(name) & set("/\\,="):
        raise SettingsError(f"a name must not have a comma, a slash or = in it, got {name!r}")
    _refuse_second(function, kind, name or function.__name__)
    fixture: Any = pytest.fixture(scope="session", name=name or None)(function)
    setattr(fixture, _MARK, (kind, function, name))
    setattr(function, _LOADED, function.__globals__.get("__spec__"))
    return fixture


def _refuse_second(function: Callable[..., Any], kind: Kind, name: str) -> None:
    """Refuse a second declaration of a name in one module: it would silently replace the first.

    Raises:
        SettingsError: names both places.
    """
    module = function.__globals__
    for declared, first in _iterate_declared(module, kind):
        # a reloaded module still holds its earlier declarations
        if declared == name and first.__globals__ is module and not _is_reloaded(first, function):
            raise SettingsError(_describe_second(kind, name, first, function))


def _iterate_declared(namespace: Mapping[str, Any], kind: Kind) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the functions that are declared in a module, with the names that they are declared under."""
    for name, value in list(namespace.items()):
        mark = vars(value).get(_MARK) if type(value) is _FIXTURE else None
        if mark is not None and mark[0] == kind:
            yield mark[2] or name, mark[1]


def _is_reloaded(first: Callable[..., Any], second: Callable[..., Any]) -> bool:
    """Return whether the module was reloaded, by `importlib.reload`, between two declarations."""
    return getattr(first, _LOADED, None) is not second.__globals__.get("__spec__")


def _describe_second(kind: Kind, name: str, *functions: Callable[..., Any]) -> str:
    """Describe where a name is declared twice."""
    places = [find_place(each) for each in functions]
    what = {"model": "model", "dataset": "data set"}[kind]
    return f"{what} {name!r} is declared twice, in {places[0]} and in {places[1]}; remove or rename one of them"


def find_place(function: Callable[..., Any]) -> str:
    """Return the file and the line of a function, relative to the working directory if it is in there."""
    code = inspect.unwrap(function).__code__
    path = Path(code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{code.co_firstlineno}"


def load_fixtures(pluginmanager: pytest.PytestPluginManager, *files: Path) -> None:
    """Load files that declare models and data sets from any folder; call this in the root `conftest.py`.

    `pytest_plugins = ["fixtures.models"]` names a package: with `--import-mode=importlib` Python finds no package of
    that name, or another project's. The files of a folder may import each other (`from .networks import Net`).

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
    """Return the package name to import a folder by, which should be the same on every machine."""
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


def find_declared(config: pytest.Config, kind: Kind) -> dict[str, Callable[..., Any]]:
    """Return the functions that are declared in the loaded plugins and conftests, by name.

    Raises:
        pytest.UsageError: two functions are declared under one name.
    """
    found = dict[str, Callable[..., Any]]()
    for plugin in config.pluginmanager.get_plugins():
        for name, function in _iterate_declared(getattr(plugin, "__dict__", {}), kind):
            first = found.setdefault(name, function)
            # a file that is loaded under two names declares the same thing twice
            if find_place(first) != find_place(function):
                raise pytest.UsageError(f"segqa: {_describe_second(kind, name, first, function)}")
    return dict(sorted(found.items()))


def require_one_declaration(config: pytest.Config) -> None:
    """Refuse a name that is declared again in a conftest loaded during collection.

    Raises:
        SettingsError: names both places.
    """
    try:
        find_declared(config, "model")
        find_declared(config, "dataset")
    except pytest.UsageError as error:
        raise SettingsError(str(error).removeprefix("segqa: ")) from error


def fixture_functions(config: pytest.Config) -> dict[str, list[Callable[..., Any]]]:
    """Return the functions of the fixtures in the loaded plugins and conftests, by name; several may share one."""
    found: dict[str, list[Callable[..., Any]]] = {}
    for plugin in config.pluginmanager.get_plugins():
        for value in list(getattr(plugin, "__dict__", {}).values()):
            if type(value) is _FIXTURE:
                found.setdefault(value.name, []).append(inspect.unwrap(value))
    return found


@contextmanager
def build_model(function: Callable[..., Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Build a model with its declared function, whose parameters name fixtures, and tear it down afterwards.

    The function is called directly and not as a session fixture, which would live until the session ends: each model
    must be removed before the next is built.
    """
    with refuse_exit(f"the fixture of model {function.__name__!r}"):
        given = function(**{name: request.getfixturevalue(name) for name in inspect.signature(function).parameters})
        is_generator = inspect.isgenerator(given)
        model = next(given, None) if is_generator else given
    try:
        yield model
    finally:
        if is_generator:
            next(given, None)


@contextmanager
def refuse_exit(what: str) -> Iterator[None]:
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
