"""The embedded data set `studio`: 48 photos, rendered in code, of a dancer in a cluttered room with four cameras.

In all views of camera C2 stands a mannequin that looks like a person and is not in the target.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from segqa.case import Case, Target
from segqa.datasets.dataset import Dataset
from segqa.datasets.studio.scene import Scene, render, scene_names
from segqa.mask import Image

NAME_PATTERN = re.compile(r"(?P<action>[^_]+)_(?P<sequence>[^_]+)_(?P<camera>C\d+)_")
"""What the name of a scene says about it."""


def open_studio() -> Dataset:
    """The data set; a scene is rendered when its pixels are read, always to the same ones.

    >>> len(open_studio())
    48
    """
    return Dataset.of("studio", (Case(name, "", _Rendered(name), _tags(name)) for name in scene_names()))


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A case's pixels, rendered."""

    name: str

    def digest(self) -> bytes:
        return hashlib.sha256(_scene(self.name).image.tobytes()).digest()[:16]

    def image(self) -> Image:
        return _scene(self.name).image.copy()

    def target(self) -> Target:
        return Target(_scene(self.name).target.copy())

    def target_digest(self) -> bytes:
        return hashlib.sha256(_scene(self.name).target.tobytes()).digest()[:16]

    def stamp(self) -> str:
        return f"{self.name} {_source_digest()}"

    def sizes(self) -> str:
        return self.stamp()


@lru_cache(maxsize=4)
def _scene(name: str) -> Scene:
    """A scene; the last few are kept, since image, target and digests are asked for one after the other."""
    return render(name)


@lru_cache(maxsize=1)
def _source_digest() -> str:
    """Changes with the code that renders."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def _tags(name: str) -> dict[str, str]:
    match = NAME_PATTERN.match(name)
    return match.groupdict() if match else {}
