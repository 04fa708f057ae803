"""Digests of the source that a model depends on, per definition: unreachable code does not count."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from segqa.models.user_files import (
    digest_graph,
    digest_syntax,
    find_file,
    find_module_file,
    is_user_file,
    module_exists,
    parse_file,
)

WHOLE = ""
"""Stands for all of a file, in place of a name."""

Place: TypeAlias = tuple[Path, str]
"""A file, and the name of one of its top-level definitions, or `WHOLE`."""

Import: TypeAlias = tuple[str, str, int]
"""The module, the name in it (`WHOLE` for the module itself), and the number of leading dots."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_HOPS = 50
"""Maximum number of imports to follow from file to file, so that import cycles end."""

_DYNAMIC = frozenset({"import_module", "__import__"})
_BUILT_IN = frozenset(vars(builtins))


def digest_source(things: Iterable[object]) -> str:
    """Return a digest of the user's code that some things reach, as 16 hex digits; empty if they reach none.

    Reachable are the top-level definitions of the things and everything that they refer to, directly or not, in any of
    the user's files. Only the syntax counts: no comments, docstrings or line breaks.

    Args:
        things: functions and classes.

    Raises:
        ModelError: a reachable file is not valid Python.
    """
    reached = reach(place for thing in things for place in _find_places(thing))
    if not reached:
        return ""
    # the location of the files is not counted: a checkout may be anywhere
    labels = {(file, name): name.encode() + digest_syntax(_find_statements(file, name)) for file, name in reached}
    return digest_graph(labels, reached).hex()[:16]


def reach(start: Iterable[Place]) -> dict[Place, list[Place]]:
    """Return all definitions reachable from some, including these, each with the definitions that it refers to."""
    waiting, found = list(start), dict[Place, list[Place]]()
    while waiting:
        place = waiting.pop()
        if place not in found:
            found[place] = list(dict.fromkeys(_find_uses(*place)))
            waiting += found[place]
    return found


def _find_places(thing: Any) -> Iterator[Place]:
    """Yield the place of a function, or of a class and the user's classes that it derives from."""
    for each in thing.__mro__ if isinstance(thing, type) else [thing]:
        file = find_file(each)
        if file is not None and is_user_file(file):
            name = str(getattr(each, "__qualname__", "")).split(".")[0]
            yield file, name if name in _read_table(file).statements else WHOLE


@dataclass(frozen=True, slots=True)
class _Table:
    """The symbol table of a file's top level.

    Attributes:
        statements: the statements that define or change each name.
        imports: the imports of each name; several if one is a fallback for another.
        stars: the modules of star imports, with the leading dots.
        body: all statements.
    """

    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    stars: list[tuple[str, int]] = field(default_factory=list)
    body: list[ast.stmt] = field(default_factory=list)


def _read_table(file: Path) -> _Table:
    return _build_table(parse_file(file))


@lru_cache(maxsize=1024)
def _build_table(tree: ast.Module) -> _Table:
    table = _Table(body=tree.body)
    for statement in tree.body:
        for name in _find_changed_names(statement):
            table.statements.setdefault(name, []).append(statement)
        if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _add_imports(statement, table)
    return table


def _add_imports(node: ast.AST, table: _Table) -> None:
    """Add all imports in a statement to the table."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            for alias in each.names:
                name = alias.asname or alias.name.split(".")[0]
                table.imports.setdefault(name, []).append((alias.name if alias.asname else name, WHOLE, 0))
        elif isinstance(each, ast.ImportFrom):
            _add_imported_names(each, table)


def _add_imported_names(node: ast.ImportFrom, table: _Table) -> None:
    """Add the names of a `from … import …` to the table."""
    for alias in node.names:
        if alias.name == "*":
            table.stars.append((node.module or "", node.level))
        else:
            found = (node.module or "", alias.name, node.level)
            table.imports.setdefault(alias.asname or alias.name, []).append(found)


def _find_changed_names(statement: ast.stmt) -> set[str]:
    """Return the names that a top-level statement defines or may change: `CONFIG["x"] = 1`, `register(Model)`."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {statement.name}
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            names |= {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
        elif isinstance(node, ast.Expr):
            names |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return names - _BUILT_IN


def _find_statements(file: Path, name: str) -> list[ast.stmt]:
    """Return the statements that make up a definition, without imports, whose targets count by themselves."""
    table = _read_table(file)
    found = table.body if name == WHOLE else table.statements.get(name, [])
    return [each for each in found if not isinstance(each, ast.Import | ast.ImportFrom)]


def _find_uses(file: Path, name: str) -> Iterator[Place]:
    """Yield the places that a definition refers to, in its own file and in those that it imports from."""
    for statement in _find_statements(file, name):
        yield from _find_statement_uses(statement, file)


def _find_statement_uses(statement: ast.stmt, file: Path) -> Iterator[Place]:
    """Yield the places that a statement refers to. Imports inside a function count as if they were at the top."""
    inner = _Table()
    _add_imports(statement, inner)
    for module, level in inner.stars:
        yield from _resolve_import(file, (module, WHOLE, level), ())
    for name, attributes in _find_free_names(statement, frozenset()):
        for found in inner.imports.get(name, ()):
            yield from _resolve_import(file, found, attributes)
        yield from _resolve_name(file, name, attributes)
    for module in _find_dynamic_imports(statement):
        yield from _resolve_import(file, (module, WHOLE, 0), ())


def _resolve_name(file: Path, name: str, attributes: tuple[str, ...], hops: int = 0) -> Iterator[Place]:
    """Yield the places that a top-level name of a file refers to, there or where it is imported from."""
    table = _read_table(file)
    if name in table.statements:
        yield file, name
    for found in table.imports.get(name, ()):
        yield from _resolve_import(file, found, attributes, hops)
    if name not in table.statements and name not in _BUILT_IN:
        for module, level in table.stars:
            target = find_module_file(module, file, level)
            yield from _resolve_name(target, name, attributes, hops + 1) if target and hops < _HOPS else ()


def _resolve_import(file: Path, wanted: Import, attributes: tuple[str, ...], hops: int = 0) -> Iterator[Place]:
    """Yield the places that an import refers to.

    Args:
        file: the file with the import.
        wanted: the imported name.
        attributes: the attributes read from the name, the outermost last; empty if it is used as a whole.
        hops: the number of imports followed so far.
    """
    module, member, level = wanted
    names = (member, *attributes) if member else attributes
    target = find_module_file(module, file, level)
    while names and not (target and target != file and _is_bound_in(target, names[0])):
        deeper = ".".join(filter(None, [module, names[0]]))
        if not module_exists(deeper, file, level):
            break
        module, names, target = deeper, names[1:], find_module_file(deeper, file, level)
    if target is None or hops > _HOPS:
        return
    if names and _is_bound_in(target, names[0]):
        yield from _resolve_name(target, names[0], names[1:], hops + 1)
    else:
        # used as a whole, or by a name that is created dynamically
        yield target, WHOLE


def _is_bound_in(file: Path, name: str) -> bool:
    table = _read_table(file)
    return name in table.statements or any(
        target is not None and target != file and _is_bound_in(target, name)
        for target in (find_module_file(module, file, level) for module, level in table.stars)
    )


def _find_free_names(node: ast.AST, bound: frozenset[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the names that are not local, with the attributes that are read from them."""
    if isinstance(node, _FUNCTIONS):
        outside = [*node.args.defaults, *node.args.kw_defaults, *getattr(node, "decorator_list", [])]
        outside += [each.annotation for each in _list_arguments(node)]
        for each in (*outside, getattr(node, "returns", None)):
            yield from _find_free_names(each, bound) if each is not None else ()
        inside = node.body if isinstance(node.body, list) else [node.body]
        bound |= {each.arg for each in _list_arguments(node)} | _find_locals(inside)
        for statement in inside:
            yield from _find_free_names(statement, bound)
        return
    if isinstance(node, ast.Name | ast.Attribute):
        name, attributes, inner = _split_attributes(node)
        if name:
            yield from [(name, attributes)] if name not in bound else []
            return
        yield from _find_free_names(inner, bound)
        return
    for child in ast.iter_child_nodes(node):
        yield from _find_free_names(child, bound)


def _split_attributes(node: ast.expr) -> tuple[str, tuple[str, ...], ast.expr]:
    """Return `a`, `("b", "c")` and the base for `a.b.c`; for other expressions an empty name, and their base."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return (node.id, tuple(attributes), node) if isinstance(node, ast.Name) else ("", (), node)


def _list_arguments(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    given = node.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, [given.vararg, given.kwarg])]


def _find_locals(body: Iterable[ast.AST]) -> frozenset[str]:
    """Return the names that a function's body assigns, except those inside comprehensions."""
    found, outer = set[str](), set[str]()
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Global | ast.Nonlocal):
            outer |= set(node.names)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif not isinstance(node, ast.comprehension | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return frozenset(found - outer)


def _find_dynamic_imports(statement: ast.AST) -> Iterator[str]:
    """Yield the modules that are imported by `importlib.import_module("name")`."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in _DYNAMIC and isinstance(node.args[0].value, str):
                yield node.args[0].value
