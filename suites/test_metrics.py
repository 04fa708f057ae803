"""Are the yardsticks right? Laws that IoU and the pickers obey, whatever the masks and scores."""

import math
from typing import Any

import numpy as np
import pytest

from segqa import Proposals, as_mask, dice, iou
from segqa.picking import PICKERS, agreement, box_score, mask_score, product, sequential_agreement

pytest.importorskip("hypothesis", reason="property tests need hypothesis: pip install 'segqa[testing]'")
from hypothesis import find, given, settings
from hypothesis import strategies as st

law = settings(deadline=None, derandomize=True)

ORDER_FREE = [mask_score, box_score, product, agreement]
"""The pickers that claim not to depend on the order of the proposals."""


@st.composite
def mask_pairs(draw: Any) -> Any:
    """Two masks of one shape, at most 6 × 6 pixels; each is drawn as a number, whose bits are its pixels."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    numbers = st.integers(0, 2 ** (shape[0] * shape[1]) - 1)
    first, second = (_bits(draw(numbers), shape) for _ in range(2))
    return first, second


def _bits(number: int, shape: tuple[int, int]) -> Any:
    """The last bits of a number as a mask."""
    bits = [number >> place & 1 for place in range(shape[0] * shape[1])]
    return as_mask(np.array(bits, np.bool_).reshape(shape))


@st.composite
def proposals(draw: Any, min_size: int = 0) -> Proposals:
    """Proposals with distinct scores from 0 to 1 and tiny masks."""
    count = draw(st.integers(min_size, 5))
    scores = [draw(st.lists(st.integers(0, 99), min_size=count, max_size=count, unique=True)) for _ in range(2)]
    masks = np.zeros((count, 1, 1), np.bool_)
    return Proposals(masks, np.array(scores[0]) / 99, np.array(scores[1]) / 99, np.zeros((count, 4)))


def reordered(offered: Proposals, order: Any) -> Proposals:
    """The same proposals in another order."""
    return Proposals(offered.masks[order], offered.mask_scores[order], offered.box_scores[order], offered.boxes[order])


@law
@given(mask_pairs())
def test_iou_is_symmetric(pair: Any) -> None:
    """Which mask is the prediction does not matter."""
    assert iou(*pair) == iou(*reversed(pair))


@law
@given(mask_pairs())
def test_iou_lies_between_0_and_1(pair: Any) -> None:
    """Neither less than nothing nor more than all."""
    assert 0 <= iou(*pair) <= 1


@law
@given(mask_pairs())
def test_iou_is_1_for_equal_masks_only(pair: Any) -> None:
    """Perfect means equal."""
    first, second = pair
    assert iou(first, first) == 1
    assert (iou(first, second) == 1) == np.array_equal(first, second)


@law
@given(mask_pairs())
def test_iou_is_0_for_disjoint_masks_only(pair: Any) -> None:
    """Zero means that not one pixel is right (two empty masks are equal, not disjoint)."""
    first, second = pair
    disjoint = not (first & second).any() and bool((first | second).any())
    assert (iou(first, second) == 0) == disjoint


@law
@given(mask_pairs())
def test_iou_follows_from_dice(pair: Any) -> None:
    """IoU = Dice / (2 − Dice)."""
    assert math.isclose(iou(*pair), dice(*pair) / (2 - dice(*pair)))


@law
@given(mask_pairs(), st.randoms())
def test_a_wrong_pixel_more_never_raises_iou(pair: Any, random: Any) -> None:
    """Monotone: one more pixel that disagrees with the target costs."""
    prediction, target = pair
    right = np.flatnonzero(prediction == target)
    if len(right):
        worse = prediction.copy()
        worse.flat[random.choice(right)] ^= True
        assert iou(worse, target) < iou(prediction, target) or iou(prediction, target) == 0


@law
@given(mask_pairs())
def test_iou_does_not_see_flips_and_transposition(pair: Any) -> None:
    """How the image is turned does not matter."""
    for turn in (np.flipud, np.fliplr, np.transpose):
        assert iou(turn(pair[0]), turn(pair[1])) == iou(*pair)


@pytest.mark.parametrize("picker", PICKERS.values(), ids=list(PICKERS))
@law
@given(offered=proposals())
def test_a_pick_is_a_valid_index(picker: Any, offered: Proposals) -> None:
    """There is one, unless there is nothing to pick."""
    picked = picker(offered)
    assert picked is None if len(offered) == 0 else 0 <= picked < len(offered)


@pytest.mark.parametrize("picker", ORDER_FREE, ids=lambda picker: picker.__name__)
@law
@given(offered=proposals(min_size=1), random=st.randoms())
def test_a_pick_does_not_depend_on_the_order(picker: Any, offered: Proposals, random: Any) -> None:
    """Reordered, the same scores win."""
    order = random.sample(range(len(offered)), len(offered))
    before, after = picker(offered), order[picker(reordered(offered, order))]
    assert _scores(offered, before, picker) == _scores(offered, after, picker)


def test_sequential_agreement_does_depend_on_the_order() -> None:
    """What the story's rule picks is an accident of the model's own order; hypothesis finds an example at once."""

    def depends(offered: Proposals) -> bool:
        backwards = np.arange(len(offered))[::-1]
        return bool(backwards[sequential_agreement(reordered(offered, backwards))] != sequential_agreement(offered))

    example = find(proposals(min_size=2), depends)
    assert len(example) == 2


@law
@given(proposals(min_size=1), st.booleans())
def test_a_pick_does_not_see_the_target(offered: Proposals, filled: bool) -> None:
    """A picker is given proposals, never a target; nor does it look at what the masks hold."""
    others = Proposals(np.full_like(offered.masks, filled), offered.mask_scores, offered.box_scores, offered.boxes)
    assert [pick(offered) for pick in PICKERS.values()] == [pick(others) for pick in PICKERS.values()]


def _scores(offered: Proposals, index: int, picker: Any) -> Any:
    """What the picker looks at: equals may be picked for one another."""
    both = offered.mask_scores[index], offered.box_scores[index]
    by_one = {mask_score: both[0], box_score: both[1], product: both[0] * both[1]}
    if picker in by_one:
        return by_one[picker]
    return ((offered.mask_scores < both[0]).sum() + (offered.box_scores < both[1]).sum(), both[0] * both[1])
