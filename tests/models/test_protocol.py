from typing import Any

import numpy as np
import pytest

from segqa.errors import ProposalsError
from segqa.models.protocol import Proposals


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
        pytest.param({"masks": np.full((2, 4, 4), 0.3)}, r"got 0\.3; .*such as mask > 0\.5", id="probabilities"),
        pytest.param({"masks": np.full((2, 4, 4), -3.0)}, "got -3.0; .*such as mask > 0$", id="logits"),
        pytest.param({"masks": np.full((2, 4, 4), 7)}, r"got 7; compare with a class \(mask == 1\)", id="a label map"),
        pytest.param({"masks": np.full((2, 4, 4), np.nan)}, "mask holds NaN", id="masks of NaN"),
        pytest.param({"masks": np.full((2, 4, 4), "a")}, "must hold bools or numbers, got dtype <U1", id="texts"),
        pytest.param({"masks": np.zeros((4, 4), np.bool_)}, r"segqa.Proposals.single\(mask\)", id="one mask without N"),
        pytest.param({"masks": []}, r"segqa.Proposals.none\(image.shape\[:2\]\)", id="no mask in a list"),
        pytest.param(
            {"masks": [np.zeros((4, 4)), np.zeros((3, 4))]}, "masks: expected arrays of one shape", id="crops"
        ),
        pytest.param({"mask_scores": np.zeros(3)}, r"mask_scores must have shape \(2,\)", id="too many mask scores"),
        pytest.param({"box_scores": np.array(0.0)}, r"box_scores must have shape \(2,\)", id="a bare box score"),
        pytest.param({"mask_scores": None}, "mask_scores must hold numbers, got NoneType", id="no scores"),
        pytest.param({"mask_scores": ["a", "b"]}, "mask_scores must hold numbers, got list", id="names for scores"),
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


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("top", [1, 255])
def test_numbers_that_need_no_cutoff_are_masks(dtype: type, top: int) -> None:
    given: Any = (np.eye(3, 4) * top).astype(dtype)
    assert np.array_equal(Proposals.single(given).masks, np.eye(3, 4, dtype=np.bool_)[None])


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (1, 1, 3, 4), (3, 4, 1)])
def test_axes_of_length_1_around_a_single_mask_are_dropped(shape: tuple[int, ...]) -> None:
    assert Proposals.single(np.eye(3, 4, dtype=np.bool_).reshape(shape)).masks.shape == (1, 3, 4)


def test_several_masks_are_no_single_one() -> None:
    with pytest.raises(ProposalsError, match=r"one mask .* got shape \(2, 3, 4\); for several: segqa.Prop"):
        Proposals.single(np.zeros((2, 3, 4), np.bool_))


def test_a_shape_with_channels_is_no_shape_of_masks() -> None:
    with pytest.raises(ProposalsError, match=r"got \(3, 4, 3\); pass image.shape\[:2\]"):
        Proposals.none((3, 4, 3))  # type: ignore[arg-type]


def test_lists_are_taken_for_arrays() -> None:
    lists: list[Any] = [[np.eye(3), np.ones((3, 3))], [0.5, 1], [[0.5], [0.25]], [(0, 0, 3, 3)] * 2]
    offered = Proposals(*lists)
    assert offered.masks.dtype == np.bool_
    assert offered.mask_scores.tolist() == [0.5, 1]
    assert offered.box_scores.tolist() == [0.5, 0.25]
    assert offered.boxes.shape == (2, 4)


def test_a_detector_that_finds_nothing_gives_empty_arrays() -> None:
    offered = Proposals(np.zeros((0, 1, 5, 6), np.uint8), np.zeros((0, 1)), np.zeros(0), np.zeros(0))
    assert (offered.masks.shape, offered.boxes.shape) == ((0, 5, 6), (0, 4))


def test_a_copy_has_memory_of_its_own() -> None:
    offered = Proposals.single(np.ones((2, 2), np.bool_))
    copied = offered.copy()
    offered.masks[:] = False
    offered.mask_scores[:] = 0
    assert copied.masks.all()
    assert copied.mask_scores.tolist() == [1]
