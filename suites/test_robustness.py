"""Does the model stay with its answer when the photo changes a little? In the words of CheckList: MFT, INV, DIR.

A sample of the cases is changed in each way, at up to three severities; only the mildest has bounds. Agreement is the
IoU of the predictions on the changed and on the unchanged image; targets move along where pixels do.
"""

from importlib.util import find_spec

import pytest

if find_spec("albumentations") is None:
    pytest.skip("robustness needs albumentations: pip install 'segqa[robustness]'", allow_module_level=True)

from segqa import Robustness, Thresholds
from segqa.analysis.robustness.perturbations import PERTURBATIONS

INVARIANCES = [
    pytest.param(change.name, marks=pytest.mark.segqa_behaviour("INV", capability=change.capability))
    for change in PERTURBATIONS
    if change.behaviour == "INV"
]


@pytest.mark.parametrize("change", INVARIANCES)
def test_predictions_agree(robustness: Robustness, thresholds: Thresholds, change: str) -> None:
    """What is predicted stays, whether it is right or not."""
    assert robustness.select(change).agreement >= thresholds.invariance


@pytest.mark.parametrize("change", INVARIANCES)
def test_scores_stay(robustness: Robustness, thresholds: Thresholds, change: str) -> None:
    """What is right stays right."""
    assert robustness.select(change).drop <= thresholds.robustness_drop


@pytest.mark.segqa_behaviour("DIR", capability="occlusion")
def test_a_longer_occlusion_never_helps(robustness: Robustness, thresholds: Thresholds) -> None:
    """The more of the object is covered, the less of it is found."""
    assert robustness.compute_rises("occlusion") <= thresholds.occlusion_rises


@pytest.mark.segqa_behaviour("DIR", capability="colour")
def test_exchanging_red_and_blue_never_helps(robustness: Robustness, thresholds: Thresholds) -> None:
    """A model that sees better with red and blue exchanged is fed BGR where it has learnt from RGB, or the reverse."""
    gain = robustness.compute_proven_gain("channel_swap")
    assert gain <= thresholds.channel_gain, "the model is probably fed BGR where it has learnt from RGB, or the reverse"


@pytest.mark.segqa_behaviour("MFT", capability="emptiness")
def test_a_blank_image_has_no_object(robustness: Robustness, thresholds: Thresholds) -> None:
    """In black, grey and white there is nothing."""
    assert robustness.select_all("blank").hallucinated <= thresholds.blank


def test_every_change_can_be_answered(robustness: Robustness, thresholds: Thresholds) -> None:
    """A changed image is no reason to fail."""
    assert robustness.errors <= thresholds.errors
