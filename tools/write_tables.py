"""Write the tables that repeat a declaration: the settings, their pytest options and the kinds of failure.

    python tools/write_tables.py

Each table stands between the comments `begin table NAME` and `end table` in a file of `FILES`. A test fails where a
table and its declarations differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from segqa.plugin.options import OPTIONS
from segqa.runs.failure_kinds import KINDS
from segqa.settings import (
    GateSettings,
    KnownFailure,
    RaySettings,
    ReadingSettings,
    ReportSettings,
    RobustnessSettings,
    Settings,
    Thresholds,
)
from segqa.settings.declaration import Option, Setting, read_declarations
from segqa.settings.thresholds import DATA

ROOT = Path(__file__).parents[1]
FILES = ("docs/settings.md", "docs/failures.md", "segqa/plugin/options.py")
COMMAND = "python tools/write_tables.py"

_DECLARED = (Settings, GateSettings, RobustnessSettings, ReportSettings)
_MARKED = re.compile(
    r"(?P<start>^(?:<!--|#) begin table (?P<name>\w+)(?: -->)?\n).*?(?P<end>^(?:<!--|#) end table)",
    re.DOTALL | re.MULTILINE,
)


def replace_tables(text: str) -> str:
    """Return the text of a file with each table between two marks written anew."""
    return _MARKED.sub(lambda found: found["start"] + TABLES[found["name"]]() + found["end"], text)


def _settings_table(declared: type, select: Callable[[str, Setting], bool] = lambda *_: True) -> str:
    """Return the table of the settings of a dataclass, in Markdown."""
    rows = []
    for key, each in read_declarations(declared).items():
        if select(key, each):
            option = f"`--segqa-{each.option.name}`" if each.option else ""
            rows.append((f"`{key}`", option, _show_default(declared, key, each), _show_values(each), _describe(each)))
    header = ("key", "option", "default", "value", "meaning")
    has_options = any(row[1] for row in rows)
    return _to_markdown([row if has_options else (row[0], *row[2:]) for row in (header, *rows)])


def _describe(setting: Setting) -> str:
    """Return what a setting means, in one sentence or more."""
    return f"{setting.help}. {setting.details}" if setting.details else setting.help


def _show_values(setting: Setting) -> str:
    """Return the values that a setting accepts, in the words of its error message."""
    return ", ".join(f"`{choice}`" for choice in setting.check.choices) or setting.check.expected


def _show_default(declared: type, key: str, setting: Setting) -> str:
    """Return the default of a setting; empty where it has none, or where the code decides."""
    if setting.shown_default:
        return setting.shown_default
    value = declared.__dataclass_fields__[key].default  # type: ignore[attr-defined] # of a dataclass
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (int, float)):
        return f"{value:.10g}"
    return f"`{value}`" if isinstance(value, str) and value else ""


def _kinds_table() -> str:
    """Return the table of the kinds of failure, in Markdown."""
    rows = [(f"`{kind.name}`", kind.meaning, kind.action) for kind in KINDS.values()]
    return _to_markdown([("kind", "meaning", "what to try"), *rows])


def _options_table() -> str:
    """Return the table of the options that belong to no setting, in Markdown."""
    declared = _read_options()
    others = {name: attributes for name, attributes in OPTIONS.items() if name not in declared}
    rows = [
        (f"`--segqa-{name}{' ' if 'metavar' in each else ''}{each.get('metavar', '')}`", each["help"])
        for name, each in others.items()
    ]
    return _to_markdown([("option", "meaning"), *rows])


def _to_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first of which is the header, as a table in Markdown."""
    lines = ["".join(f"| {cell} " if cell else "| " for cell in map(_escape_cell, row)) + "|" for row in rows]
    return "\n".join((lines[0], "|---" * len(rows[0]) + "|", *lines[1:])) + "\n"


def _escape_cell(cell: str) -> str:
    return cell.replace("|", "\\|")


def _read_options() -> dict[str, tuple[type, str, Setting, Option]]:
    """Return the settings that have an option, by the option's name."""
    found = ((each, key, setting) for each in _DECLARED for key, setting in read_declarations(each).items())
    return {setting.option.name: (each, key, setting, setting.option) for each, key, setting in found if setting.option}


def _options_source() -> str:
    """Return the pytest options of the settings, as Python in the form of `ruff format`."""
    lines = ["SETTING_OPTIONS: dict[str, dict[str, Any]] = {"]
    for name, (declared, key, setting, option) in _read_options().items():
        lines.append(f"    {_quote(name)}: {{")
        lines += (f"        {_quote(each)}: {source}," for each, source in _attributes(declared, key, setting, option))
        lines.append("    },")
    return "\n".join([*lines, "}"]) + "\n"


def _attributes(declared: type, key: str, setting: Setting, option: Option) -> Iterable[tuple[str, str]]:
    """Yield the arguments of argparse for an option, each with its value in Python."""
    if option.action:
        yield "action", _quote(option.action)
    if setting.check.choices:
        yield "choices", json.dumps(setting.check.choices)
    if option.metavar:
        yield "metavar", _quote(option.metavar)
    if option.type:
        yield "type", option.type.__name__
    default = _show_default(declared, key, setting).strip("`") if not setting.shown_default else ""
    text = f"{setting.help} (default: {default})" if default else setting.help
    yield "help", _quote(text.replace("%", "%%"))


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


TABLES: dict[str, Callable[[], str]] = {
    "settings": lambda: _settings_table(Settings, lambda key, _: key not in read_declarations(ReadingSettings)),
    "image_files": lambda: _settings_table(ReadingSettings),
    "thresholds": lambda: _settings_table(Thresholds, lambda _, each: not each.group),
    "data_thresholds": lambda: _settings_table(Thresholds, lambda _, each: each.group == DATA),
    "known": lambda: _settings_table(KnownFailure),
    "gate": lambda: _settings_table(GateSettings),
    "robustness": lambda: _settings_table(RobustnessSettings),
    "ray": lambda: _settings_table(RaySettings),
    "report": lambda: _settings_table(ReportSettings),
    "other_options": _options_table,
    "options": _options_source,
    "failure_kinds": _kinds_table,
}


def main() -> None:
    """Write the tables of every file anew."""
    for name in FILES:
        path = ROOT / name
        path.write_text(replace_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
