"""The engine that runs the model, and `[tool.segqa.ray]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from segqa.settings import checks
from segqa.settings.declaration import setting

EngineName: TypeAlias = Literal["local", "ray"]
"""Where the model runs: in this process, or in actors of Ray."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """How Ray runs the model; `docs/settings.md` lists the keys."""

    actors: int = setting(2, checks.count, "Number of processes that hold a model each")
    cpus_per_actor: float = setting(1.0, checks.cpus, "CPUs reserved for each actor, and its number of threads")
    gpus_per_actor: float = setting(0.0, checks.gpus, "GPUs reserved for each actor; 0.5 where two share one")
    address: str = setting(
        "",
        checks.text,
        "Address of a running Ray cluster",
        details="By default the variable `RAY_ADDRESS`, else a cluster on this machine alone",
    )
