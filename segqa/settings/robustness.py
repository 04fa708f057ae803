"""`[tool.segqa.robustness]`: how many cases the robustness suite perturbs."""

from __future__ import annotations

from dataclasses import dataclass

from segqa.settings import checks
from segqa.settings.declaration import Option, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessSettings:
    """How many cases are perturbed, for every model or for one; `docs/settings.md` lists the keys."""

    cases: int = setting(
        50,
        checks.whole,
        "Maximum number of cases that the robustness suite perturbs; 0 skips the suite",
        details="Each is perturbed in 38 ways",
        option=Option(name="robustness-cases", metavar="N", type=int),
    )
    minutes: float = setting(30.0, checks.minutes, "Skip the suite where it would take the model longer than this")
