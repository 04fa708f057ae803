from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from segqa.data.case import Case
from segqa.data.dataset import Dataset
from segqa.data.mask import Image, Mask
from segqa.inference.evaluator import evaluate
from segqa.models.protocol import Proposals
from segqa.scoring.metrics import iou
from segqa.testing import cases, images, mask_pairs, masks, proposals

quick = settings(deadline=None, derandomize=True, max_examples=200)


@quick
@given(masks(), masks((7, 2)))
def test_masks_are_masks(small: Mask, sized: Mask) -> None:
    assert small.dtype == np.bool_
    assert max(small.shape) <= 5
    assert sized.shape == (7, 2)


def has_hole(mask: Mask) -> bool:
    inner = ~mask[1:-1, 1:-1]
    return bool(min(mask.shape) == 3 and inner.sum() == 1 and mask.sum() == mask.size - 1)


@pytest.mark.parametrize(
    "what",
    [
        lambda mask: not mask.any(),
        lambda mask: mask.all(),
        lambda mask: mask.sum() == 1 and mask.size > 4,
        has_hole,
        lambda mask: mask.shape == (4, 4) and np.array_equal(mask, np.eye(4, dtype=bool)),
        lambda mask: mask.size >= 9 and np.array_equal(mask, np.indices(mask.shape).sum(axis=0) % 2 == 1),
        lambda mask: mask.shape[1] == 1 and len(mask) > 3 and mask[0] and not mask[-1],
        lambda mask: mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any() and not mask.all(),
    ],
    ids=["empty", "full", "pixel", "hole", "line", "checkerboard", "one pixel wide", "touching the border"],
)
def test_every_structure_is_drawn(what: Any) -> None:
    find(masks(), what, settings=settings(max_examples=5000, derandomize=True))


def test_examples_shrink_to_few_pixels() -> None:
    # from one draw in eight hypothesis shrinks no further than to a diagonal of 2 x 2
    same = settings(derandomize=True, database=None)
    smallest = find(masks(max_side=20), lambda mask: bool(mask.sum() >= 2), settings=same)
    assert smallest.size == 2
    pair = find(mask_pairs(max_side=20), lambda pair: 0 < iou(*pair) < 1, settings=same)
    assert pair[0].size <= 4


@quick
@given(st.data())
def test_pairs_have_the_iou_that_is_asked_for(data: Any) -> None:
    low = data.draw(st.floats(0, 0.9))
    prediction, target = data.draw(mask_pairs(iou=(low, low + 0.1), shape=(5, 5)))
    assert low <= iou(prediction, target) <= low + 0.1
    assert iou(*data.draw(mask_pairs(iou=0.5, shape=(3, 4)))) == 0.5


@quick
@given(proposals(min_size=1, unknown=True), proposals(max_size=0))
def test_proposals_are_proposals(some: Proposals, none: Proposals) -> None:
    assert 1 <= len(some) <= 5
    assert len(none) == 0


def test_proposals_have_ties_and_unknown_scores() -> None:
    find(proposals(min_size=2), lambda one: one.mask_scores[0] == one.mask_scores[1])
    find(proposals(min_size=2, unknown=True), lambda one: bool(np.isnan(one.box_scores).any()))


@quick
@given(images())
def test_images_are_images(image: Image) -> None:
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


@settings(deadline=None, derandomize=True, max_examples=10)
@given(cases())
def test_cases_can_be_evaluated(case: Case) -> None:
    image, target = case.image(), case.target()
    assert np.array_equal(image[:, :, 0] > 125, target)
    run = evaluate(Bright(), Dataset.from_cases("drawn", [case]))
    assert run.mean_iou == 1.0


class Bright:
    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [Proposals.single(image[:, :, 0] > 125) for image in images]
