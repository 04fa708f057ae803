"""Is the model as good as it was? The baseline is committed; `pytest suites --segqa-update-baseline` writes it."""

from segqa import Verdict


def test_no_regression(gate: Verdict) -> None:
    """No case collapsed, no error is new, no case has gone, and no mean is proven to have dropped."""
    assert gate.passed, gate.story
