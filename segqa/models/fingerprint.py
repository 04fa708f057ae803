"""Compute the fingerprint of a model: it changes whenever the model's answers could."""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import json
import mmap
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, Self, TypeAlias

import numpy as np

from segqa.errors import ModelError
from segqa.models.user_code import digest_syntax, file_of, imported_files, is_user_file, parse_file

Part: TypeAlias = tuple[str, bytes]
"""What is counted: of which sort it is, and its content or a digest of that."""

_PLAIN = (bool, int, float, complex, type(None), np.generic)
_SOURCE = frozenset({"source", "fingerprint"})
_DIGEST = re.compile("[0-9a-f]{32}")
_NOT_CONTENT = frozenset({"__pycache__", ".DS_Store", ".git"})


class Fingerprint(str):
    """A fingerprint that `fingerprint_of` has computed; any other text is one that somebody has written by hand."""

    __slots__ = ()

    def __new__(cls, digits: str) -> Self:
        """Take the digits that were computed.

        Raises:
            ModelError: they are no digest.
        """
        if _DIGEST.fullmatch(digits) is None:
            raise ModelError(
                f"expected the 32 hex digits of a computed fingerprint, got {digits!r}; call segqa.fingerprint_of"
            )
        return super().__new__(cls, digits)


def fingerprint_of(*things: object, options: Mapping[str, Any] | None = None, packages: Iterable[str] = ()) -> str:
    """Compute a fingerprint of all that decides a model's answers.

    >>> fingerprint_of(np.zeros(3), options={"cutoff": 0.5}) == fingerprint_of(np.zeros(3), options={"cutoff": 0.6})
    False

    Args:
        things: in any number and of any of these sorts:

            - a text or a `Path` is a file or a folder, and counts by content: weights, say, with the files that it
              names as its parts (ONNX's external data, the shards of an index);
            - a class, function or module counts by the source of its file and of all of your files that it imports,
              directly or not; comments, docstrings and line breaks do not count;
            - an object counts by its class, and by those of its attributes that are numbers, texts, arrays or objects
              of yours in turn; give `type(self)` where those differ from run to run;
            - numbers, bytes, arrays, tensors and torch's networks count by value, members of a list one by one.
        options: what the model is built with, in JSON's types. Names of models on a hub belong here.
        packages: installed packages whose version decides answers, by the names that pip knows: `["torch"]`.

    Returns:
        A text of 32 hex digits; a `Fingerprint` if source is among the things. Without, code could change under it,
        so it counts as written by hand: spot checks ask the model anew for some of its stored cases.

    Raises:
        ModelError: a file is not there, an object has no source of yours, an option is not of JSON's types, or a
            package is not installed.
    """
    parts = [part for thing in things for part in _parts_of(thing)]
    parts.append(("options", _encode_options(options or {})))
    parts += [("package", f"{name}=={_version_of(name)}".encode()) for name in sorted(packages)]
    digest = hashlib.sha256()
    for sort, content in parts:
        digest.update(f"{sort} {len(content)} ".encode() + content)
    counts_source = any(sort in _SOURCE for sort, _ in parts)
    return Fingerprint(digest.hexdigest()[:32]) if counts_source else digest.hexdigest()[:32]


def is_computed(model: object) -> bool:
    """Return whether the fingerprint of a model is computed, and its own.

    One that `__getattr__` gives is that of a model within, and one that a base class holds was computed for the base
    class: neither counts what the model itself adds.
    """
    if not isinstance(getattr(model, "fingerprint", None), Fingerprint):
        return False
    own = inspect.getattr_static(model, "fingerprint", None)
    is_held = "fingerprint" in getattr(model, "__dict__", {}) or "fingerprint" in vars(type(model))
    return is_held or (own is not None and not isinstance(own, str))


def _parts_of(thing: object) -> Iterator[Part]:
    """Yield what is counted of a thing."""
    if isinstance(thing, Fingerprint):
        yield "fingerprint", thing.encode()
    elif isinstance(thing, str | Path):
        yield from _parts_of_path(Path(thing).expanduser())
    elif isinstance(thing, list | tuple):
        yield "list", str(len(thing)).encode()
        for each in thing:
            yield from _parts_of(each)
    elif isinstance(thing, Mapping | set | frozenset):
        raise ModelError(f"cannot count a {type(thing).__name__} by itself; give it as options={{...}}, or as a list")
    else:
        value = _value_of(thing)
        yield from [value] if value is not None else _parts_of_object(thing)


def _value_of(thing: object) -> Part | None:
    """Return what is counted of a number, an array or bytes; None for all else."""
    if isinstance(thing, _PLAIN) and not isinstance(thing, enum.Enum):
        return "value", f"{type(thing).__name__} {thing!r}".encode()
    if isinstance(thing, bytes | bytearray | memoryview):
        return "bytes", hashlib.sha256(thing).digest()
    if isinstance(thing, np.ndarray):
        if thing.dtype.hasobject:
            raise ModelError(
                f"cannot count an array of {thing.dtype}; expected numbers, or give its content as options"
            )
        content = hashlib.sha256(np.ascontiguousarray(thing).tobytes()).hexdigest()
        return "array", f"{thing.dtype.str} {thing.shape} {content}".encode()
    weights = None if isinstance(thing, type) or _is_users(type(thing)) else content_of(thing)
    return None if weights is None else ("weights", weights.encode())


def _parts_of_path(path: Path) -> Iterator[Part]:
    """Yield the content of a file, whatever its name, or of all files of a folder, with their names."""
    if path.is_file():
        yield "file", _digest_file(path)
        for other in belonging_files(path):
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


def _parts_of_object(thing: Any) -> Iterator[Part]:
    """Yield the source of a class, function, module or object, and the state of all but a class or module."""
    if isinstance(thing, functools.partial):
        yield from _parts_of_object(thing.func)
    elif isinstance(thing, MethodType):
        yield from _parts_of_object(thing.__self__)
    else:
        is_code = isinstance(thing, type | FunctionType | ModuleType | BuiltinFunctionType)
        yield "source", _digest_code(thing if is_code else type(thing))
    yield "name", str(getattr(thing, "__qualname__", type(thing).__qualname__)).encode()
    if not isinstance(thing, type | ModuleType):
        yield "state", json.dumps(_state_of(thing, frozenset()), sort_keys=True).encode()


def _digest_code(thing: Any) -> bytes:
    """Return a digest of the user's files that a class, function or module is defined in and imports."""
    bases = [base for base in thing.__mro__ if base is not object] if isinstance(thing, type) else [thing]
    own = file_of(thing)
    if own is None or not is_user_file(own):
        known = f"defined in {own}" if own is not None else "which has no file of source"
        raise ModelError(
            f"expected an object of your own code, got {getattr(thing, '__qualname__', thing)!s}, {known}; name its "
            'package in packages=["..."], and what it holds as a file, an array or options={...}'
        )
    files = {file for file in map(file_of, bases) if file is not None and is_user_file(file)}
    reached = {path: digest_syntax([parse_file(path)]) for path in _reach(files)}
    return b"".join(sorted(reached.values()))


def _reach(files: Iterable[Path]) -> set[Path]:
    """Return some files and all of the user's that they import, directly or not."""
    waiting, found = list(files), set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported_files(path)
    return found


def _state_of(thing: Any, seen: frozenset[int]) -> Any:
    """Return what can be counted of a value, in JSON's types; None for what cannot."""
    if isinstance(thing, str | Path | enum.Enum):
        return str(thing)
    if id(thing) in seen or (isinstance(thing, np.ndarray) and thing.dtype.hasobject):
        return None
    value = _value_of(thing)
    return _state_within(thing, seen | {id(thing)}) if value is None else [value[0], value[1].hex()]


def _state_within(thing: Any, seen: frozenset[int]) -> Any:
    """Return the state of the members of a collection, or of the attributes of an object."""
    if isinstance(thing, Mapping):
        return {str(key): _state_of(each, seen) for key, each in thing.items()}
    if isinstance(thing, list | tuple):
        return [_state_of(each, seen) for each in thing]
    if isinstance(thing, set | frozenset):
        return sorted(json.dumps(_state_of(each, seen), sort_keys=True) for each in thing)
    attributes = {name: _state_of(each, seen) for name, each in _attributes_of(thing) if name != "fingerprint"}
    return [str(getattr(thing, "__qualname__", type(thing).__qualname__)), attributes]


def _attributes_of(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object of the user's, a function or a partial holds."""
    if isinstance(thing, functools.partial):
        yield from {"args": thing.args, "keywords": thing.keywords, "func": thing.func}.items()
    elif isinstance(thing, MethodType):
        yield "self", thing.__self__
    elif isinstance(thing, FunctionType):
        names = thing.__code__.co_freevars
        yield from zip(names, (_content_of(cell) for cell in thing.__closure__ or ()), strict=True)
    elif not isinstance(thing, type | ModuleType) and _is_users(type(thing)):
        yield from getattr(thing, "__dict__", {}).items()
        slots = [name for base in type(thing).__mro__ for name in _slots_of(base)]
        yield from ((name, getattr(thing, name)) for name in slots if hasattr(thing, name))


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _content_of(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _is_users(kind: type) -> bool:
    file = file_of(kind)
    return file is not None and is_user_file(file)


def _encode_options(options: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(options), sort_keys=True, allow_nan=True).encode()
    except (TypeError, ValueError) as error:
        raise ModelError(f"options must be of JSON's types (numbers, texts, lists, tables): {error}") from error


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        known = packages_distributions().get(package)
    hint = f"pip calls it {' or '.join(sorted(set(known)))}" if known else "expected the name that pip knows"
    raise ModelError(f"no installed package {package!r}; {hint}")


_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])")
"""How ONNX's protobuf writes the key `location` of a tensor that is in another file, before the length of its name."""


def belonging_files(path: Path) -> list[Path]:
    """Return the files that a file names as parts of itself; they need not be there.

    ONNX's external data (torch's exporter writes `model.onnx.data` by default), the shards of an index of the Hugging
    Face hub (`*.index.json`), and the `.bin` beside an OpenVINO `.xml`.
    """
    find = next((find for ending, find in _FINDERS.items() if path.name.endswith(ending)), None)
    return sorted(path.parent / name for name in (find(path) if find is not None else ()))


def _external_data(path: Path) -> set[str]:
    if not path.stat().st_size:
        return set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = ((match.end(), match[1][0]) for match in _LOCATION.finditer(content))
        return {content[start : start + length].decode(errors="replace") for start, length in found}


def _shards(path: Path) -> set[str]:
    try:
        known = json.loads(path.read_bytes())["weight_map"]
    except (ValueError, KeyError, TypeError):
        return set()
    return {str(name) for name in known.values()} if isinstance(known, Mapping) else set()


def _openvino(path: Path) -> set[str]:
    name = f"{path.stem}.bin"
    return {name} if (path.parent / name).is_file() else set()


_FINDERS: Mapping[str, Callable[[Path], set[str]]] = MappingProxyType(
    {".onnx": _external_data, ".index.json": _shards, ".xml": _openvino}
)


def weights_digest(network: Any) -> str:
    """A hex digest of a torch module's parameters and buffers: names, types, shapes and bytes, sorted by name."""
    return _digest(network.state_dict())


def content_of(value: object) -> str | None:
    """Return a digest of a tensor, or of all parameters and buffers of a network; None for what is neither."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "nn"):
        return None
    if isinstance(value, torch.Tensor):
        return _digest({"": value})
    if isinstance(value, torch.nn.Module):
        # also the buffers that a checkpoint leaves out; and what it consists of
        held = {**dict(value.named_parameters()), **dict(value.named_buffers())}
        return f"{_digest(held)} {hashlib.sha256(repr(value).encode()).hexdigest()}"
    return None


def _digest(tensors: Mapping[str, Any]) -> str:
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
