"""Object state for fingerprints: the values an object holds, the code it reaches, and the parts without a digest."""

from __future__ import annotations

import enum
import functools
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from segqa.errors import ModelError
from segqa.models.user_files import find_file, is_user_file

Part: TypeAlias = tuple[str, bytes]
"""A counted part: its kind, and its content or a digest of it."""

_PLAIN = (bool, int, float, complex, type(None), np.generic)
_HOLDERS = (Mapping, list, tuple, set, frozenset, functools.partial, MethodType)
_CODE = (type, FunctionType, BuiltinFunctionType, ModuleType)
_DECIDES_NOTHING = frozenset(
    {"_thread", "threading", "logging", "weakref", "_weakref", "concurrent", "queue", "_queue", "multiprocessing"}
)
"""Modules of locks, loggers and pools: their objects count by class only."""
_RANDOM = frozenset({"random", "_random", "numpy.random"})
"""Modules whose objects differ from process to process."""
_NOT_IN_SCRIPT = (".debug_pkl", "serialization_id", "version", "byteorder")


@dataclass(slots=True)
class ObjectState:
    """The state of an object.

    Attributes:
        content: the values, in JSON's types.
        code: the user's classes, functions and modules that the object reaches.
        uncounted: the attributes that cannot be counted, with their classes.
    """

    content: Any = None
    code: list[Any] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)


def read_state(thing: object) -> ObjectState:
    """Read the state of an object, recursively."""
    state = ObjectState()
    try:
        state.content = _Reader(state).read_members(thing, "")
    except RecursionError:
        state.uncounted.append(f"{_format_name(type(thing))} (nested too deeply)")
    return state


def find_code(thing: object) -> list[Any]:
    """Find the user's classes, functions and modules that an object reaches, without reading any value."""
    state = ObjectState()
    with suppress(RecursionError):
        _Reader(state, reads_values=False).read_members(thing, "")
    return state.code


def digest_value(thing: object) -> Part | None:
    """Return the part for a number, an array, a tensor, a foreign network or bytes; None for other types.

    Raises:
        ModelError: the thing is an array of objects.
    """
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
    weights = None if isinstance(thing, type) or is_user_code(thing) else _digest_weights(thing)
    return None if weights is None else ("weights", weights.encode())


def is_user_code(thing: Any) -> bool:
    """Return whether a class, function or module, or the class of an object, is defined in a user file."""
    file = find_file(thing if isinstance(thing, _CODE) else type(thing))
    return file is not None and is_user_file(file)


class _Reader:
    """A recursive reader that visits each object once."""

    def __init__(self, state: ObjectState, *, reads_values: bool = True) -> None:
        self._state, self._reads_values = state, reads_values
        # keep the objects alive, so that no id is reused
        self._read: dict[int, tuple[object, str | None]] = {}

    def read(self, thing: Any, place: str) -> Any:
        """Return the state of a value; a reference to an enclosing object counts as nothing.

        Args:
            thing: the value.
            place: its location, for messages to the user.
        """
        if isinstance(thing, str | Path | enum.Enum):
            return str(thing)
        if not self._reads_values and not _may_hold_code(thing):
            return None
        if isinstance(thing, np.ndarray) and thing.dtype.hasobject:
            return self.read(thing.tolist(), place)
        value = digest_value(thing)
        if value is not None:
            return [value[0], value[1].hex()]
        if id(thing) not in self._read:
            self._read[id(thing)] = (thing, None)
            content = json.dumps(self.read_members(thing, place), sort_keys=True)
            self._read[id(thing)] = (thing, hashlib.sha256(content.encode()).hexdigest())
        return self._read[id(thing)][1]

    def read_members(self, thing: Any, place: str) -> Any:
        """Return the state of the members of a collection, a function or an object."""
        if is_user_code(thing):
            self._state.code.append(thing if isinstance(thing, _CODE) else type(thing))
        if isinstance(thing, Mapping):
            members: Any = {str(key): self.read(each, f"{place}[{key!r}]") for key, each in thing.items()}
        elif isinstance(thing, list | tuple):
            members = [self.read(each, f"{place}[{index}]") for index, each in enumerate(thing)]
        elif isinstance(thing, set | frozenset):
            members = sorted(json.dumps(self.read(each, place)) for each in thing)
        elif isinstance(thing, functools.partial | MethodType | BuiltinFunctionType | FunctionType) or is_user_code(
            thing
        ):
            members = None
        else:
            return self._read_foreign(thing, place)
        held = {name: self.read(each, f"{place}.{name}".lstrip(".")) for name, each in _yield_attributes(thing)}
        return [str(getattr(thing, "__qualname__", type(thing).__qualname__)), members, held]

    def _read_foreign(self, thing: Any, place: str) -> Any:
        """Return the pickled state of an object of a third-party class; note one without such a state as uncounted."""
        kind = _format_name(thing if isinstance(thing, type) else type(thing))
        if isinstance(thing, type | ModuleType) or kind.partition(".")[0] in _DECIDES_NOTHING:
            return [kind, getattr(thing, "__name__", "")]
        try:
            parts = () if _is_random(thing) else thing.__reduce_ex__(4)
        except Exception:  # noqa: BLE001 - third-party code can raise anything
            parts = ()
        if not parts:
            self._state.uncounted.append(f"{place or 'the object'} ({kind})")
            return kind
        held = (
            parts
            if isinstance(parts, str)
            else [each if index < 3 else [*(each or ())] for index, each in enumerate(parts)]
        )
        return [kind, self.read(held, place)]


def _may_hold_code(thing: object) -> bool:
    return not isinstance(thing, _PLAIN) and (isinstance(thing, _HOLDERS) or is_user_code(thing))


def _format_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_random(thing: object) -> bool:
    module = type(thing).__module__
    return module in _RANDOM or module.startswith("numpy.random.") or type(thing).__name__ == "Generator"


def _yield_attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a user's object, a function or a partial, except the fingerprint itself."""
    if isinstance(thing, functools.partial):
        yield from {"args": thing.args, "keywords": thing.keywords, "func": thing.func}.items()
    elif isinstance(thing, MethodType):
        yield from {"self": thing.__self__, "func": thing.__func__}.items()
    elif isinstance(thing, BuiltinFunctionType):
        yield "self", thing.__self__
    elif isinstance(thing, FunctionType) and is_user_code(thing):
        names = thing.__code__.co_freevars
        yield from zip(names, (_read_cell(cell) for cell in thing.__closure__ or ()), strict=True)
    elif not isinstance(thing, _CODE) and is_user_code(thing):
        held = dict(getattr(thing, "__dict__", {}))
        slots = [name for base in type(thing).__mro__ for name in _get_slots(base)]
        held |= {name: getattr(thing, name) for name in slots if hasattr(thing, name)}
        held.pop("fingerprint", None)
        yield from held.items()


def _get_slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _read_cell(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def compute_weights_digest(network: Any) -> str:
    """Return a hex digest of a torch module's parameters and buffers: names, dtypes, shapes and bytes."""
    return _digest_tensors(network.state_dict())


def _digest_weights(value: object) -> str | None:
    """Return a digest of a tensor or of a whole network; None for anything else."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "nn"):
        return None
    if isinstance(value, torch.Tensor):
        return _digest_tensors({"": value})
    if isinstance(value, torch.jit.ScriptModule):
        return _digest_script(value)
    if isinstance(value, torch.nn.Module):
        # includes non-persistent buffers, and the structure of the network
        held = {**dict(value.named_parameters()), **dict(value.named_buffers())}
        plain = [f"{name} {key} {each!r}" for name, key, each in _yield_plain_attributes(value)]
        layout = "\n".join([repr(value), *plain])
        return f"{_digest_tensors(held)} {hashlib.sha256(layout.encode()).hexdigest()}"
    return None


def _yield_plain_attributes(network: Any) -> Iterator[tuple[str, str, object]]:
    """Yield the plain numbers and strings that a network's modules hold besides their parameters, with their names."""
    for name, module in network.named_modules():
        for key, value in vars(module).items():
            if not key.startswith("_") and isinstance(value, (*_PLAIN, str)):
                yield name, key, value


def _digest_script(network: Any) -> str:
    """Return a digest of a TorchScript module: its code, constants and weights."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(io.BytesIO(network.save_to_buffer())) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(_NOT_IN_SCRIPT):
                digest.update(f"{name.partition('/')[2]}\n".encode() + archive.read(name))
    return digest.hexdigest()


def _digest_tensors(tensors: Mapping[str, Any]) -> str:
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
