"""The settings of a project: what `[tool.segqa]` in `pyproject.toml` may say.

Each setting is declared once, as a dataclass field (`declaration`); `docs/settings.md` lists them all.
"""

from segqa.settings.engine import EngineName, RaySettings
from segqa.settings.file import find_settings_file, has_settings, read_settings
from segqa.settings.gate import GateSettings
from segqa.settings.image_files import MaskOrientation, ReadingSettings
from segqa.settings.known_failures import KnownFailure
from segqa.settings.parse import override, parse_settings
from segqa.settings.project import EmptyPolicy, Settings
from segqa.settings.report import ReportFormat, ReportSettings, parse_report
from segqa.settings.robustness import RobustnessSettings
from segqa.settings.thresholds import Thresholds

__all__ = [
    "EmptyPolicy",
    "EngineName",
    "GateSettings",
    "KnownFailure",
    "MaskOrientation",
    "RaySettings",
    "ReadingSettings",
    "ReportFormat",
    "ReportSettings",
    "RobustnessSettings",
    "Settings",
    "Thresholds",
    "find_settings_file",
    "has_settings",
    "override",
    "parse_report",
    "parse_settings",
    "read_settings",
]
