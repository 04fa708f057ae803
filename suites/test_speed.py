"""Is the model fast enough, and as fast as it was? Only what it was asked in this run counts, not stored proposals."""

import pytest

from segqa import Speed, Thresholds


def test_p95(speed: Speed, thresholds: Thresholds) -> None:
    """95 % of the cases take no longer than the bound."""
    if thresholds.seconds_p95 is None:
        pytest.skip("no bound: seconds_p95 in [tool.segqa.thresholds]")
    assert speed.p95 <= thresholds.seconds_p95


def test_no_slower(speed: Speed, baseline_speed: Speed, thresholds: Thresholds) -> None:
    """A case takes about as long as it did on this machine when the baseline was written."""
    assert speed.p50 <= baseline_speed.limit(thresholds.slowdown)
