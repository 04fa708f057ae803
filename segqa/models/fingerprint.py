"""A fingerprint changes whenever a model's answers could: with its weights, arguments, code and libraries."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any


def fingerprint(
    model: object,
    arguments: Mapping[str, Any],
    *,
    weights: Iterable[Path] = (),
    libraries: Iterable[str] = (),
    parts: Iterable[object] = (),
) -> str:
    """A hex digest of everything that decides a model's answers.

    The code counts by the source of the module that defines the model's class and of the modules of the same package
    that it imports, directly or not, so that nobody has to remember to raise a version.

    Args:
        model: the model.
        arguments: what it was built with, in JSON's types.
        weights: its files.
        libraries: names of installed distributions whose version matters.
        parts: objects that the model has been given, whose code counts as its own.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([type(model).__qualname__, dict(arguments)], sort_keys=True).encode())
    for library in sorted(libraries):
        digest.update(f"{library}=={version(library)}\n".encode())
    code = sorted({path for part in (model, *parts) for path in _code_of(part)})
    for path in (*weights, *code):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _code_of(model: object) -> list[Path]:
    """The source files of a model: its own module, and those of the same folder that it imports from, and so on."""
    own = type(model).__module__
    package = f"{own.rpartition('.')[0]}."
    found, waiting = set(), [own]
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting += [used for used in _imported_by(name) if used.startswith(package) and used not in found]
    files = (getattr(sys.modules[name], "__file__", None) for name in sorted(found))
    return [Path(file) for file in files if file is not None]


def _imported_by(name: str) -> set[str]:
    """The names of the modules that a module imports, or imports something from."""
    values = vars(sys.modules[name]).values()
    named = {
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) for value in values
    }
    return {name for name in named if isinstance(name, str) and name in sys.modules}
