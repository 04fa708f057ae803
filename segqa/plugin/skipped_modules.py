"""Parse test modules that pytest has not imported, to find the fixtures of segqa that their tests request."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeAlias

import pytest

_ASKING = frozenset({"evaluation", "whole_run", "clusters", "gate", "speed", "baseline_speed", "robustness"})
_FILES = ("test_*.py", "*_test.py")
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def is_test_file(path: Path, config: pytest.Config) -> bool:
    """Return whether a file is a test module, by pytest's default patterns or by `python_files`."""
    return any(fnmatch(path.name, pattern) for pattern in (*_FILES, *config.getini("python_files")))


def asks_for_evaluation(text: str, config: pytest.Config) -> bool:
    """Return whether a test in a module requests an evaluation, directly or by a fixture of the same module.

    Args:
        text: the module's source.
        config: pytest's; `python_functions` names more prefixes than `test`.

    Raises:
        SyntaxError: the source is no Python.
        ValueError: likewise.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = [*ast.walk(ast.parse(text))]
    functions = [node for node in nodes if isinstance(node, _Function)]
    fixtures = {node.name: node for node in functions if _is_fixture(node)}
    prefixes = ("test", *config.getini("python_functions"))
    tests = [node for node in functions if not _is_fixture(node) and _matches(node.name, prefixes)]
    # the marker may be on a class, or on the module by `pytestmark`
    asked = (
        {name for node in nodes if isinstance(node, ast.Call) for name in _names_used(node)} if tests else set[str]()
    )
    for test in tests:
        asked |= _names_asked(test)
    return not _ASKING.isdisjoint(_follow(asked, fixtures))


def _follow(asked: Iterable[str], fixtures: Mapping[str, _Function]) -> Collection[str]:
    """Return the requested fixtures, and those that the fixtures of the module request in turn."""
    found, pending = set[str](), [*asked]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += _names_asked(fixtures[name]) if name in fixtures else ()
    return found


def _names_asked(function: _Function) -> set[str]:
    return {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}


def _names_used(call: ast.Call) -> set[str]:
    """Return the fixtures that `pytest.mark.usefixtures` names."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "usefixtures"):
        return set()
    return {str(each.value) for each in call.args if isinstance(each, ast.Constant)}


def _is_fixture(function: _Function) -> bool:
    """Return whether a function is decorated with `pytest.fixture`, under whatever name that is imported."""
    plain = (each.func if isinstance(each, ast.Call) else each for each in function.decorator_list)
    return any(ast.unparse(each).rpartition(".")[2] == "fixture" for each in plain)


def _matches(name: str, prefixes: Iterable[str]) -> bool:
    """Return whether a name matches one of pytest's prefixes, some of which are patterns."""
    return any(name.startswith(prefix) or ("*" in prefix and fnmatch(name, prefix)) for prefix in prefixes)
