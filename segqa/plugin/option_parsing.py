"""Parse the options of models on the command line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from segqa.data.storage import expand_home
from segqa.errors import UsageError


def parse_options(texts: tuple[str, ...] | list[str]) -> dict[str, dict[str, Any]]:
    """Parse `NAME.KEY=VALUE` to `{NAME: {KEY: VALUE}}`; a value that is not TOML is a string."""
    import tomllib

    options: dict[str, dict[str, Any]] = {}
    for text in texts:
        left, equals, value = text.partition("=")
        model, dot, key = left.partition(".")
        if not (equals and dot and model and key):
            raise UsageError(f"--segqa-model-option must read NAME.KEY=VALUE, got {text!r}")
        try:
            options.setdefault(model, {})[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            options.setdefault(model, {})[key] = value
    return options


def find_checkpoint(model: str, texts: Collection[str], models: Collection[str]) -> dict[str, str]:
    """Return the option `checkpoint` that `--segqa-checkpoint [NAME=]DIR` sets; one with the model's name wins."""
    named = [folder for name, folder in (_split_name(text, models) for text in texts) if name == model]
    plain = [folder for name, folder in (_split_name(text, models) for text in texts) if not name]
    return {"checkpoint": (named or plain)[-1]} if named or plain else {}


def _split_name(text: str, models: Collection[str]) -> tuple[str, str]:
    """Split `[NAME=]DIR` into the model's name, or an empty string, and the folder, which may contain `=`."""
    name, equals, folder = text.partition("=")
    return (name, folder) if equals and name in models else ("", text)


def refuse_unknown_checkpoints(texts: Collection[str], models: Collection[str], here: Path) -> None:
    """Refuse a checkpoint that does not exist; if a model is named, that model reports it."""
    from segqa.settings.checks import nearest

    for text in texts:
        name, folder = _split_name(text, models)
        if not name and not (here / expand_home(folder)).exists():
            hint = nearest(text.partition("=")[0], models) if "=" in text else "expected [NAME=]DIR"
            raise UsageError(f"no checkpoint at {text!r}; {hint}")


def make_paths_absolute(options: dict[str, Any], paths: Collection[str], folder: Path) -> dict[str, Any]:
    """Return the options with absolute paths."""
    for key in paths:
        if not isinstance(options.get(key, ""), str):
            raise UsageError(f"a model's {key} must be a path, got {options[key]!r}")
    return {key: folder / expand_home(value) if key in paths else value for key, value in options.items()}
