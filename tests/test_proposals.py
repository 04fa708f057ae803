import numpy as np
import pytest

from segqa.errors import ProposalsError
from segqa.proposals import Proposals


def test_a_single_mask_has_its_own_box() -> None:
    mask = np.zeros((5, 8), np.bool_)
    mask[1:4, 2:7] = True
    offered = Proposals.single(mask, 0.8)
    assert len(offered) == 1
    assert offered.boxes.tolist() == [[2, 1, 7, 4]]
    assert offered.mask_scores.tolist() == [0.8]


def test_a_single_empty_mask_has_an_empty_box() -> None:
    assert Proposals.single(np.zeros((3, 3), np.bool_)).boxes.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"masks": np.zeros((2, 4, 4))}, "masks must be bool", id="masks of floats"),
        pytest.param({"masks": np.zeros((4, 4), np.bool_)}, r"\(N, height, width\)", id="one mask without N"),
        pytest.param({"mask_scores": np.zeros(3)}, r"mask_scores must have shape \(2,\)", id="too many mask scores"),
        pytest.param({"box_scores": np.array(0.0)}, r"box_scores must have shape \(2,\)", id="a bare box score"),
        pytest.param({"mask_scores": [0.1, 0.2]}, "mask_scores must be a numpy array, got list", id="a list"),
        pytest.param({"boxes": np.zeros((2, 5))}, r"boxes must have shape \(2, 4\)", id="boxes of five numbers"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object], message: str) -> None:
    fitting: dict[str, object] = {
        "masks": np.zeros((2, 4, 4), np.bool_),
        "mask_scores": np.zeros(2),
        "box_scores": np.zeros(2),
        "boxes": np.zeros((2, 4)),
    }
    with pytest.raises(ProposalsError, match=message):
        Proposals(**{**fitting, **change})  # type: ignore[arg-type]
