"""Find and read the settings file: the nearest `pyproject.toml` with a table `[tool.segqa]`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from segqa.errors import SettingsError
from segqa.settings.parse import parse_settings
from segqa.settings.project import Settings


def find_settings_file(folder: Path) -> Path | None:
    """Return the nearest `pyproject.toml` with a table `[tool.segqa]`, from a folder upwards; None where there is none.

    Raises:
        SettingsError: a `pyproject.toml` on the way cannot be read, so it may have the table.
    """
    paths = (each / "pyproject.toml" for each in (folder.absolute(), *folder.absolute().parents))
    return next((path for path in paths if has_settings(path)), None)


def has_settings(path: Path) -> bool:
    """Return whether a TOML file exists and has a table `[tool.segqa]`.

    Raises:
        SettingsError: it cannot be read.
    """
    return _read_table(path) is not None


def read_settings(pyproject: Path | None) -> Settings:
    """Read the settings in a `pyproject.toml`; the defaults where it is missing or has no `[tool.segqa]`.

    Raises:
        SettingsError: the file cannot be read, a key is unknown, or a value is not what its check expects.
    """
    table = None if pyproject is None else _read_table(pyproject)
    return Settings() if table is None else parse_settings(table)


def _read_table(path: Path) -> object:
    """Return the table `[tool.segqa]` of a file; None where there is none."""
    if not path.is_file():
        return None
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("segqa")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read {path.name}: {error} ({path})") from error
