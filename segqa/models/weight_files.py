"""Find the files that belong to a file of weights: some formats keep the numbers beside the graph."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

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
