"""`[tool.segqa.gate]`: what counts as a regression."""

from __future__ import annotations

from dataclasses import dataclass

from segqa.settings import checks
from segqa.settings.declaration import Option, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What counts as a regression; `docs/settings.md` lists the keys.

    `required` is None where the variable `CI` decides.
    """

    baseline: str = setting(
        "baselines",
        checks.text,
        "Folder of the baselines",
        option=Option(name="baseline", metavar="DIR", overrides=False),
    )
    fail_on: tuple[str, ...] = setting(
        (),
        checks.names,
        "Rules that define a regression, such as `mean_iou:-0.01`",
        details="Each replaces the default rule of its name, or is added. See [ci.md](ci.md#what-fails)",
        option=Option(name="fail-on", metavar="RULE", action="append", overrides=False),
    )
    alpha: float = setting(
        0.05,
        checks.level,
        "Significance level: maximum probability of reporting a drop of the mean IoU where there is none",
        details="10,000 sign flips cannot show less than 0.0001",
    )
    group_by: str = setting(
        "",
        checks.text,
        "Tag, such as `video`, whose cases with the same value count as one independent sample",
        details="See [ci.md](ci.md)",
        option=Option(name="group-by", metavar="TAG", overrides=False),
    )
    required: bool | None = setting(
        None,
        checks.flag,
        "Fail where a baseline is missing, as where `CI` is set",
        details="`true` also makes the session [strict](ci.md#what-fails-beside-the-tests) outside CI; `false` is a "
        "warning in each verdict",
        option=Option(name="require-baseline", action="store_true", overrides=False),
        shown_default="where `CI` is set",
    )
