import time

import pytest

from segqa.inference.timing import StageTimer, peak_memory


def test_time_is_shared_by_the_cases_of_a_block() -> None:
    stages = StageTimer()
    with stages.measure("infer", 4):
        time.sleep(0.04)
    took = stages.summary()["infer"]
    assert took["cases"] == 4
    assert took["total"] >= 0.04
    assert took["p50"] == took["p95"] == pytest.approx(took["total"] / 4, rel=0.01)
    assert stages.last("infer") == pytest.approx(took["total"] / 4, rel=0.01)


def test_a_block_that_fails_takes_no_time() -> None:
    stages = StageTimer()
    with pytest.raises(ValueError, match="no"), stages.measure("read"):
        raise ValueError("no")
    assert stages.summary() == {}


def test_memory_is_that_of_a_python_process() -> None:
    assert 20 < peak_memory()["ram"] < 100_000
