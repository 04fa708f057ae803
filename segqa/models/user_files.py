"""The user's own Python files, as opposed to the standard library and installed packages: lookup, syntax, digests."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import site
import sys
import sysconfig
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar

from segqa.errors import ModelError

Node = TypeVar("Node", bound=Hashable)

_SEGQA = Path(__file__).resolve().parents[1]
_OWN_MODELS = frozenset({_SEGQA / "models", _SEGQA / "demo"})
_MECHANISM = frozenset(
    _SEGQA / "models" / f"{name}.py" for name in ("fingerprint", "object_state", "source_digest", "user_files")
)
"""Modules that compute digests do not affect answers: a change of them must not invalidate cached proposals."""


@lru_cache(maxsize=4096)
def is_user_file(path: Path) -> bool:
    """Return whether a file is the user's own code; segqa's built-in models count as user code, too."""
    path = path.resolve()
    if path.suffix != ".py" or not path.is_file() or path in _MECHANISM:
        return False
    if _SEGQA in path.parents:
        return not _OWN_MODELS.isdisjoint(path.parents)
    # a virtual environment may lie inside a work tree, and a work tree inside the prefix of Python (/usr/src)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return not installed and not any(folder in path.parents for folder in _find_library_folders())


@lru_cache(maxsize=1)
def _find_library_folders() -> frozenset[Path]:
    """Return the folders of the standard library and of installed packages."""
    paths = sysconfig.get_paths()
    known = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    known += [*site.getsitepackages(), site.getusersitepackages()]
    return frozenset(Path(folder).resolve() for folder in known)


def find_file(thing: Any) -> Path | None:
    """Return the source file of a class, function or module, preferably from its code object; None if there is none.

    A module's name does not identify its file: of two `conftest.py`, pytest keeps the last one under that name.
    """
    code = next(_yield_code(thing), None)
    name = code.co_filename if code is not None else getattr(_get_module(thing), "__file__", None)
    path = Path(name).resolve() if name else None
    return path if path is not None and path.is_file() else None


def _yield_code(thing: Any) -> Iterator[CodeType]:
    """Yield the code objects of a function, or of the methods that a class defines itself."""
    own = vars(thing).values() if isinstance(thing, type) else [thing]
    for value in own:
        function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", None) or value)
        code = getattr(function, "__code__", None)
        is_own = not isinstance(thing, type) or getattr(function, "__module__", None) == thing.__module__
        # generated methods, such as those of a dataclass, have the file name "<string>"
        if isinstance(code, CodeType) and is_own and not code.co_filename.startswith("<"):
            yield code


def _get_module(thing: Any) -> ModuleType | None:
    if isinstance(thing, ModuleType):
        return thing
    return sys.modules.get(str(getattr(thing, "__module__", "")))


@lru_cache(maxsize=1024)
def _parse(path: Path, _stamp: tuple[int, int]) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        raise ModelError(f"cannot read the source {path}: {error}") from error


def parse_file(path: Path) -> ast.Module:
    """Return the syntax tree of a file in its current state.

    Raises:
        ModelError: the file is not valid Python.
    """
    found = path.stat()
    return _parse(path, (found.st_mtime_ns, found.st_size))


def digest_syntax(nodes: Iterable[ast.AST]) -> bytes:
    """Return a digest of syntax trees that ignores comments, docstrings, blanks and line breaks.

    Empty fields are left out, so that a Python version that adds a field to a node keeps the digest.
    """
    digest = hashlib.sha256()
    for node in nodes:
        for word in _yield_tokens(node):
            digest.update(word.encode(errors="surrogatepass") + b"\0")
    return digest.digest()


def _yield_tokens(value: object) -> Iterator[str]:
    """Yield the tokens of a syntax tree, depth first."""
    if isinstance(value, ast.AST):
        yield f"({type(value).__name__}"
        for name, field in ast.iter_fields(value):
            content = _drop_docstring(value, field) if name == "body" else field
            if content not in (None, []) and name not in {"type_comment", "kind"}:
                yield name
                yield from _yield_tokens(content)
        yield ")"
    elif isinstance(value, list):
        for each in value:
            yield from _yield_tokens(each)
    else:
        yield f"{type(value).__name__} {value!r}"


def _drop_docstring(node: ast.AST, body: Any) -> Any:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not body:
        return body
    first = body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if is_text else body


def digest_graph(labels: Mapping[Node, bytes], edges: Mapping[Node, Sequence[Node]]) -> bytes:
    """Return a digest of a labelled graph that depends on the order of each node's edges.

    Names and locations of the nodes do not count. Nodes are distinguished by their labels, then by those of their
    successors, and so on until the partition is stable (color refinement).
    """
    colors, told_apart = dict(labels), 0
    while told_apart < len(set(colors.values())):
        told_apart = len(set(colors.values()))
        colors = {
            node: hashlib.sha256(color + b"".join(colors[other] for other in edges[node])).digest()
            for node, color in colors.items()
        }
    return hashlib.sha256(b"".join(sorted(colors.values()))).digest()


def find_imported_files(path: Path) -> list[Path]:
    """Return the user's files that a file imports, anywhere in it, and their packages, in order."""
    return list(dict.fromkeys(file for node in ast.walk(parse_file(path)) for file in _find_import_files(node, path)))


def _find_import_files(node: ast.AST, importer: Path) -> Iterator[Path]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from find_module(alias.name, importer)
    elif isinstance(node, ast.ImportFrom):
        yield from find_module(node.module or "", importer, node.level)
        for alias in node.names:
            yield from find_module(".".join(filter(None, [node.module, alias.name])), importer, node.level)[-1:]


def find_module(name: str, importer: Path, level: int = 0) -> list[Path]:
    """Return the user's files that importing a module runs: those of its packages, and the module's own.

    Nothing is imported. A relative import is resolved by folders, so the importer's module name does not matter.

    Args:
        name: the module's dotted name; may be empty for the package itself if the import is relative.
        importer: the file with the import.
        level: the number of leading dots.
    """
    found = _find_steps(name, importer, level)
    return [path.resolve() for path in found if path is not None and is_user_file(path)]


def module_exists(name: str, importer: Path, level: int = 0) -> bool:
    """Return whether a module, or a folder of modules, of this name exists; arguments as for `find_module`."""
    wanted = name.count(".") + 1 if name else 0
    return len(_find_steps(name, importer, level)) == wanted + bool(level)


def find_module_file(name: str, importer: Path, level: int = 0) -> Path | None:
    """Return the file of a module if it is the user's; arguments as for `find_module`."""
    path = _find_steps(name, importer, level)[-1] if module_exists(name, importer, level) else None
    return path.resolve() if path is not None and is_user_file(path) else None


def _find_steps(name: str, importer: Path, level: int) -> list[Path | None]:
    """Return the file, if any, of each enclosing package and the module itself; stop at the first one not found."""
    parts = name.split(".") if name else []
    return list(_resolve_relative(parts, importer.parents[level - 1]) if level else _resolve_absolute(parts))


def _resolve_relative(parts: list[str], folder: Path) -> Iterator[Path | None]:
    yield _find_in_folder(folder, "")
    for part in parts:
        file, folder = _find_in_folder(folder, part), folder / part
        if file is None and not folder.is_dir():
            return
        yield file


def _resolve_absolute(parts: list[str]) -> Iterator[Path | None]:
    spec: ModuleSpec | None = None
    for place in range(len(parts)):
        spec = _find_spec(".".join(parts[: place + 1]), spec)
        if spec is None:
            return
        yield Path(spec.origin) if spec.origin else None


def _find_in_folder(folder: Path, name: str) -> Path | None:
    """Return the file of a module in a folder; without a name, that of the folder itself."""
    candidates = [folder / name / "__init__.py", *([folder / f"{name}.py"] if name else [])]
    return next((path for path in candidates if path.is_file()), None)


def _find_spec(name: str, parent: ModuleSpec | None) -> ModuleSpec | None:
    """Return the spec of a module without importing it or its package."""
    loaded = sys.modules.get(name)
    known = getattr(loaded, "__spec__", None)
    if isinstance(known, ModuleSpec):
        return known
    if loaded is not None and getattr(loaded, "__file__", None):
        return importlib.util.spec_from_file_location(name, str(loaded.__file__))
    where = parent.submodule_search_locations if parent is not None else None
    if parent is not None and where is None:
        return None
    for finder in sys.meta_path:
        spec = _ask_finder(finder, name, where)
        if spec is not None:
            return spec
    return None


def _ask_finder(finder: object, name: str, where: Sequence[str] | None) -> ModuleSpec | None:
    """Return the spec that an import finder gives for a module; None if it finds none.

    The search path of a nested namespace package looks up its parent in `sys.modules` and raises KeyError if the
    parent is not there. Such a module counts as not found.
    """
    find = getattr(finder, "find_spec", None)
    try:
        spec = find(name, where, None) if find is not None else None
    except KeyError:
        return None
    return spec if isinstance(spec, ModuleSpec) else None
