"""Is the model good enough for everyone? A mean hides the camera in which it fails."""

import pytest

from segqa import Clusters, Run, Thresholds


def test_no_slice_far_below_the_mean(evaluation: Run, thresholds: Thresholds) -> None:
    """Every slice with at least 8 cases stays near the mean of all."""
    worst = evaluation.worst_slice(min_cases=8)
    if worst is None:
        pytest.skip("no slice has 8 cases: tags come from metadata.csv and --segqa-name-pattern")
    assert worst.mean_iou >= evaluation.mean_iou - thresholds.slice_drop


def test_no_cluster_of_zero_iou_false_positives(clusters: Clusters) -> None:
    """Where another object is segmented, it is here and there, not in one camera, one action or one light."""
    if not clusters.provable:
        pytest.skip(f"no cluster can be found: {clusters.note}")
    assert not clusters.select("wrong_object"), clusters.describe("wrong_object")
