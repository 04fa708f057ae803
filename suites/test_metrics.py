"""Are the yardsticks right? Laws that IoU and the pickers keep, whatever the masks and scores.

Point them at your own: `check_iou(fn)` and `check_picker(fn)` of `segqa.testing` try the same laws on any function.
"""

import pytest

from segqa import iou
from segqa.models.pickers import PICKERS, sequential_agreement

pytest.importorskip("hypothesis", reason="property tests need hypothesis: pip install 'segqa[testing]'")
from segqa.testing import BrokenLawError, iou_laws, picker_laws

EXAMPLES = 8  # in every session; a hundred by default where they are tried on code of your own
IOU = iou_laws(iou)
BROKEN = {
    "first": {"order changes nothing", "never NaN beside numbers"},
    "sequential_agreement": {"order changes nothing"},
}
"""The laws that a picker is known to break; who knows that may still want it."""

KEPT = [(name, law) for name in PICKERS for law in picker_laws(PICKERS[name]) if law not in BROKEN.get(name, ())]


@pytest.mark.parametrize("law", IOU)
def test_iou(law: str) -> None:
    """What every IoU promises."""
    IOU[law](EXAMPLES)


@pytest.mark.parametrize(("picker", "law"), KEPT)
def test_picker(picker: str, law: str) -> None:
    """What every picker promises."""
    picker_laws(PICKERS[picker])[law](EXAMPLES)


def test_sequential_agreement_depends_on_the_order() -> None:
    """What the story's rule picks is an accident of the model's own order; few proposals show it."""
    with pytest.raises(BrokenLawError, match="order changes nothing") as raised:
        picker_laws(sequential_agreement)["order changes nothing"]()
    assert "proposal" in raised.value.example
