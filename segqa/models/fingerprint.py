"""Model fingerprints: digests that change whenever the model's answers could."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, Self

from segqa.errors import ModelError
from segqa.models.object_state import Part, digest_value, read_state
from segqa.models.user_files import (
    digest_graph,
    digest_syntax,
    find_file,
    find_imported_files,
    is_user_file,
    parse_file,
)
from segqa.support.plurals import list_first

_UNCOUNTED = "uncounted"
_SHOWN = 3
_SOURCE = frozenset({"source", "fingerprint"})
_DIGEST = re.compile("[0-9a-f]{32}")
_NOT_CONTENT = frozenset({"__pycache__", ".DS_Store", ".git"})


class Fingerprint(str):
    """A fingerprint that `fingerprint_of` has computed; any other string counts as written by hand."""

    __slots__ = ()

    def __new__(cls, digits: str) -> Self:
        """Create a fingerprint from a hex digest.

        Raises:
            ModelError: the text is not a digest.
        """
        if _DIGEST.fullmatch(digits) is None:
            raise ModelError(
                f"expected the 32 hex digits of a computed fingerprint, got {digits!r}; call segqa.fingerprint_of"
            )
        return super().__new__(cls, digits)


class PartialFingerprint(str):
    """A fingerprint that does not cover everything it was given; it counts as written by hand.

    Attributes:
        uncounted: the things that could not be counted, each with its class.
    """

    __slots__ = ("uncounted",)
    uncounted: tuple[str, ...]

    def __new__(cls, digits: str, uncounted: Iterable[str] = ()) -> Self:
        """Create a fingerprint from a digest and the things that it does not cover."""
        made = super().__new__(cls, digits)
        made.uncounted = tuple(dict.fromkeys(uncounted))
        return made

    @property
    def note(self) -> str:
        """The note that a run shows about this fingerprint."""
        return (
            f"the fingerprint does not count {list_first(self.uncounted, _SHOWN)}, so it is treated as written by "
            "hand; give segqa.fingerprint_of the files of that in addition to type(self)"
        )


def fingerprint_of(*things: object, options: Mapping[str, Any] | None = None, packages: Iterable[str] = ()) -> str:
    """Compute a fingerprint of everything that determines a model's answers.

    >>> import numpy as np
    >>> fingerprint_of(np.zeros(3), options={"cutoff": 0.5}) == fingerprint_of(np.zeros(3), options={"cutoff": 0.6})
    False

    Args:
        things: any number of these:

            - a string or a `Path` is a file or a folder, and counts by content: for example weights, with the files
              that it refers to (ONNX's external data, the shards of an index);
            - a class, function or module counts by the source of its file and of all your files that it imports,
              directly or not; comments, docstrings and line breaks do not count;
            - an object counts by its class and, recursively, by its attributes; objects of third-party classes count
              by their pickled state; pass `type(self)` if the attributes differ from run to run;
            - numbers, bytes, arrays, tensors and torch modules count by value, members of a list one by one.
        options: the model's arguments, of JSON types. Names of models on a hub belong here.
        packages: installed packages whose version affects the answers, by their pip names: `["torch"]`.

    Returns:
        A string of 32 hex digits. It is a `Fingerprint` if the things include source and every object could be
        counted. Otherwise the model could change unnoticed, so it counts as written by hand: spot checks run the
        model again on some of the cached cases.

    Raises:
        ModelError: a file does not exist, an object has no source of yours, an option is not of a JSON type, or a
            package is not installed.
    """
    parts = [part for thing in things for part in _yield_parts(thing)]
    parts.append(("options", _encode_options(options or {})))
    parts += [("package", f"{name}=={_find_version(name)}".encode()) for name in sorted(packages)]
    digest = hashlib.sha256()
    for sort, content in parts:
        digest.update(f"{sort} {len(content)} ".encode() + content)
    digits = digest.hexdigest()[:32]
    if uncounted := [content.decode() for sort, content in parts if sort == _UNCOUNTED]:
        return PartialFingerprint(digits, uncounted)
    return Fingerprint(digits) if any(sort in _SOURCE for sort, _ in parts) else digits


def is_computed(model: object) -> bool:
    """Return whether a model has a computed fingerprint of its own.

    A fingerprint from `__getattr__` belongs to a wrapped model, and one stored on a base class was computed for the
    base class. Neither covers what the model itself adds.
    """
    if not isinstance(getattr(model, "fingerprint", None), Fingerprint):
        return False
    own = inspect.getattr_static(model, "fingerprint", None)
    is_held = "fingerprint" in getattr(model, "__dict__", {}) or "fingerprint" in vars(type(model))
    return is_held or (own is not None and not isinstance(own, str))


def _yield_parts(thing: object) -> Iterator[Part]:
    """Yield the parts of a thing that are counted."""
    if isinstance(thing, Fingerprint):
        yield "fingerprint", thing.encode()
    elif isinstance(thing, str | Path):
        yield from _yield_path_parts(Path(thing).expanduser())
    elif isinstance(thing, list | tuple):
        yield "list", str(len(thing)).encode()
        for each in thing:
            yield from _yield_parts(each)
    elif isinstance(thing, Mapping | set | frozenset):
        raise ModelError(f"cannot count a {type(thing).__name__} by itself; give it as options={{...}}, or as a list")
    else:
        value = digest_value(thing)
        yield from [value] if value is not None else _yield_object_parts(thing)


def _yield_path_parts(path: Path) -> Iterator[Part]:
    """Yield the content of a file, without its name, or of all files of a folder, with their names."""
    if path.is_file():
        yield "file", _digest_file(path)
        for other in find_companion_files(path):
            if not other.is_file():
                raise ModelError(f"{path} keeps a part of its weights in {other}, and there is no such file")
            yield "file", other.name.encode() + _digest_file(other)
        return
    if not path.is_dir():
        raise ModelError(
            f"no file or folder {str(path)!r} (in {Path.cwd()}); a text that is no path, such as the name of a model "
            "on a hub, belongs into options={...}"
        )
    names = (each.relative_to(path) for each in path.rglob("*") if each.is_file())
    kept = sorted(name.as_posix() for name in names if not _NOT_CONTENT & set(name.parts))
    if not kept:
        raise ModelError(f"there is no file in the folder {str(path)!r}; expected weights or other content")
    for name in kept:
        yield "file", name.encode() + _digest_file(path / name)


def _digest_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def _yield_object_parts(thing: Any) -> Iterator[Part]:
    """Yield the source of a class, function, module or object, and the state of an object or function."""
    if isinstance(thing, functools.partial):
        yield from _yield_object_parts(thing.func)
    elif isinstance(thing, MethodType):
        yield from _yield_object_parts(thing.__self__)
    else:
        is_code = isinstance(thing, type | FunctionType | ModuleType | BuiltinFunctionType)
        yield "source", _digest_code(thing if is_code else type(thing))
    yield "name", str(getattr(thing, "__qualname__", type(thing).__qualname__)).encode()
    if not isinstance(thing, type | ModuleType):
        state = read_state(thing)
        yield "state", json.dumps(state.content, sort_keys=True).encode()
        yield "reached", _digest_files(file for each in state.code for file in _find_source_files(each))
        yield from ((_UNCOUNTED, text.encode()) for text in state.uncounted)


def _digest_code(thing: Any) -> bytes:
    """Return a digest of the user's files that define a class, function or module, and of those they import."""
    own = find_file(thing)
    if own is None or not is_user_file(own):
        known = f"defined in {own}" if own is not None else "which has no file of source"
        raise ModelError(
            f"expected an object of your own code, got {getattr(thing, '__qualname__', thing)!s}, {known}; name its "
            'package in packages=["..."], and what it holds as a file, an array or options={...}'
        )
    return _digest_files(_find_source_files(thing))


def _find_source_files(thing: Any) -> Iterator[Path]:
    """Yield the user's files that define a function or a module, or a class and its bases."""
    for each in thing.__mro__ if isinstance(thing, type) else [thing]:
        file = find_file(each) if each is not object else None
        if file is not None and is_user_file(file):
            yield file


def _digest_files(files: Iterable[Path]) -> bytes:
    """Return a digest of the syntax of some files and of all the user's files that they import."""
    edges = dict[Path, list[Path]]()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path not in edges:
            edges[path] = find_imported_files(path)
            waiting += edges[path]
    return digest_graph({path: digest_syntax([parse_file(path)]) for path in edges}, edges)


def _encode_options(options: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(options), sort_keys=True, allow_nan=True).encode()
    except (TypeError, ValueError) as error:
        raise ModelError(f"options must be of JSON's types (numbers, texts, lists, tables): {error}") from error


def _find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        known = packages_distributions().get(package)
    hint = f"pip calls it {' or '.join(sorted(set(known)))}" if known else "expected the name that pip knows"
    raise ModelError(f"no installed package {package!r}; {hint}")


_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])")
"""The protobuf bytes of the key `location` of an external ONNX tensor, up to the length of the file name."""


def find_companion_files(path: Path) -> list[Path]:
    """Return the files that a file refers to as parts of itself; they need not exist.

    These are ONNX's external data (torch's exporter writes `model.onnx.data` by default), the shards of an index of the
    Hugging Face hub (`*.index.json`), and the `.bin` beside an OpenVINO `.xml`.
    """
    find = next((find for ending, find in _FINDERS.items() if path.name.endswith(ending)), None)
    return sorted(path.parent / name for name in (find(path) if find is not None else ()))


def _find_external_data(path: Path) -> set[str]:
    if not path.stat().st_size:
        return set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = ((match.end(), match[1][0]) for match in _LOCATION.finditer(content))
        return {content[start : start + length].decode(errors="replace") for start, length in found}


def _find_shards(path: Path) -> set[str]:
    try:
        known = json.loads(path.read_bytes())["weight_map"]
    except (ValueError, KeyError, TypeError):
        return set()
    return {str(name) for name in known.values()} if isinstance(known, Mapping) else set()


def _find_openvino_weights(path: Path) -> set[str]:
    name = f"{path.stem}.bin"
    return {name} if (path.parent / name).is_file() else set()


_FINDERS: Mapping[str, Callable[[Path], set[str]]] = MappingProxyType(
    {".onnx": _find_external_data, ".index.json": _find_shards, ".xml": _find_openvino_weights}
)
