"""Is the model good enough? The bounds stand in `[tool.segqa.thresholds]`, for every model or for one."""

from segqa import Run, Thresholds


def test_mean_iou(evaluation: Run, thresholds: Thresholds) -> None:
    """The mean IoU over the cases is high enough."""
    assert evaluation.mean_iou >= thresholds.mean_iou


def test_p05(evaluation: Run, thresholds: Thresholds) -> None:
    """95 % of the cases are at least this good: a mean hides a few disasters."""
    assert evaluation.p05 >= thresholds.p05


def test_few_zero_iou_false_positives(evaluation: Run, thresholds: Thresholds) -> None:
    """The model hardly ever segments another object."""
    assert evaluation.failures("wrong_object").share <= thresholds.wrong_object


def test_few_missed(evaluation: Run, thresholds: Thresholds) -> None:
    """The model hardly ever predicts nothing where there is something."""
    assert evaluation.failures("missed").share <= thresholds.missed


def test_few_hallucinated(evaluation: Run, thresholds: Thresholds) -> None:
    """The model hardly ever predicts something where there is nothing."""
    assert evaluation.failures("hallucinated").share <= thresholds.hallucinated


def test_error_budget(evaluation: Run, thresholds: Thresholds) -> None:
    """Hardly any case ends in an error: errors have no score and are not in the mean."""
    assert evaluation.error_share <= thresholds.errors
