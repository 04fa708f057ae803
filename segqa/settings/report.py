"""`[tool.segqa.report]`: what the review page shows and how large it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from segqa.settings import checks
from segqa.settings.declaration import Option, check_overrides, check_settings, setting

ReportFormat: TypeAlias = Literal["html", "dir", "json"]
"""The form in which the review page is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """What the review page shows; `docs/settings.md` lists the keys.

    Attributes:
        photos: whether input images are shown; False where `images` was set to `"none"`: masks are drawn on grey.
    """

    images: int = setting(
        200,
        checks.images,
        "Maximum number of cases per run with images; `none`: masks on grey, no input images",
        option=Option(name="report-images", metavar="N|none"),
    )
    photos: bool = True
    image_size: int = setting(
        512,
        checks.side,
        "Maximum length of the longer side of an image on the page",
        option=Option(name="report-image-size", metavar="PIXELS", type=int),
    )
    max_mb: float = setting(
        25.0,
        checks.megabytes,
        "Maximum size of the review page in megabytes (10^6 bytes)",
        details="The least important images are left out",
        option=Option(name="report-max-mb", metavar="MB", type=float),
    )
    format: ReportFormat = setting(
        "html",
        checks.one_of(get_args(ReportFormat)),
        "Write the page as one `html` file, a `dir` for servers that forbid scripts, or `json`",
        option=Option(name="report-format"),
    )


def parse_report(values: Mapping[str, object], where: str, base: ReportSettings | None = None) -> ReportSettings:
    """Return the settings of the review page with some replaced.

    Args:
        values: by key; `images` may be `"none"`.
        where: the name of a value in an error message, with `{}` for its key.
        base: the settings that keep their other values; by default the defaults.

    Raises:
        SettingsError: a key is unknown, or a value is not what its check expects.
    """
    return _replace(base or ReportSettings(), check_settings(ReportSettings, values, where))


def override_report(settings: ReportSettings, options: Mapping[str, object]) -> ReportSettings:
    """Return the settings of the review page with those replaced that options override; see `check_overrides`."""
    return _replace(settings, check_overrides(ReportSettings, options))


def _replace(settings: ReportSettings, values: dict[str, Any]) -> ReportSettings:
    """Replace checked values; `images = "none"` becomes `photos = False`."""
    if "images" in values:
        values["photos"] = values["images"] != "none"
    if values.get("images") == "none":
        del values["images"]
    return replace(settings, **values)
