"""Data set loading for commands that take a data set by name or folder."""

from __future__ import annotations

import difflib
from dataclasses import asdict

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.storage import expand_home
from segqa.demo import open_studio
from segqa.errors import DatasetError
from segqa.settings import Settings


def open_dataset(name: str, settings: Settings | None = None) -> Dataset:
    """Open the embedded data set of this name, or the one in a folder, read with the given settings."""
    if name == "studio":
        return open_studio()
    if difflib.get_close_matches(name, ["studio"]) and not expand_home(name).exists():
        raise DatasetError(f"no folder {name!r}; did you mean 'studio'?")
    if settings is None:
        return open_folder(name)
    return open_folder(name, name_pattern=settings.name_pattern, **asdict(settings.reading))
