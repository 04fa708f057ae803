"""Does picking take what the model offers? Regret is what the best proposal of each case would have added."""

from segqa import Run, Thresholds


def test_mean_regret(evaluation: Run, thresholds: Thresholds) -> None:
    """Picking loses little against an oracle."""
    assert evaluation.regret <= thresholds.regret
