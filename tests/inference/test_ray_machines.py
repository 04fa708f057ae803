"""Several machines, as far as Ray can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segqa.runs.store import Store
from segqa.settings import RaySettings
from tests.conftest import bright_square, write_case

pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("pyarrow", reason="Ray Data is not installed")
from tests.inference.test_ray import bright, by_ray, here, told

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_a_machine_that_goes_away_costs_no_case(tmp_path: Path) -> None:
    """Three machines, as far as Ray can tell, with room for one actor each; one is taken away."""
    from ray.cluster_utils import Cluster

    photos = tmp_path / "photos"
    for index in range(48):
        write_case(photos, f"{index:02}", *bright_square(index))
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    nodes = [machines.add_node(num_cpus=2) for _ in range(2)]
    gone: list[Any] = []

    def remove(done: int, total: int) -> None:
        if done > 8 and not gone:
            gone.append(nodes.pop())
            machines.remove_node(gone[0], allow_graceful=False)

    settings = RaySettings(actors=3, address=machines.address)
    try:
        run = by_ray(bright(seconds=0.5), photos, Store(tmp_path / "ray"), settings=settings, progress=remove)
    finally:
        machines.shutdown()
    assert gone
    assert told(run) == here(bright(), photos, tmp_path / "local")
