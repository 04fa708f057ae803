"""Tensors of torch in the place of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import segqa
from segqa.errors import ProposalsError
from segqa.models.protocol import Proposals

torch = pytest.importorskip("torch")

MASK = np.eye(4, 5, k=1, dtype=np.bool_)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda mask: mask, id="bool"),
        pytest.param(lambda mask: mask.byte(), id="uint8 of 0 and 1"),
        pytest.param(lambda mask: mask.byte() * 255, id="uint8 of 0 and 255"),
        pytest.param(lambda mask: mask.long(), id="int64"),
        pytest.param(lambda mask: mask.float(), id="float32"),
        pytest.param(lambda mask: mask.half(), id="float16"),
        pytest.param(lambda mask: mask.bfloat16(), id="bfloat16"),
        pytest.param(lambda mask: mask.float().requires_grad_() * 1, id="with a gradient"),
        pytest.param(lambda mask: torch._neg_view(-mask.float()), id="a view of negatives"),
        pytest.param(lambda mask: mask.float().to_sparse(), id="sparse"),
        pytest.param(lambda mask: mask[None], id="with a channel"),
        pytest.param(lambda mask: mask.T.contiguous().T, id="not contiguous"),
    ],
)
def test_a_tensor_is_a_single_mask(make: Any) -> None:
    offered = Proposals.single(make(torch.from_numpy(MASK.copy())), torch.tensor(0.5, requires_grad=True))
    assert np.array_equal(offered.masks, MASK[None])
    assert offered.mask_scores.tolist() == [0.5]
    assert offered.boxes.tolist() == [[1, 0, 5, 4]]


def test_tensors_are_proposals() -> None:
    masks = torch.from_numpy(np.stack([MASK, ~MASK]))
    scores = torch.tensor([[0.5], [0.25]], dtype=torch.bfloat16, requires_grad=True)
    offered = Proposals(masks[:, None], scores, scores[:, 0], torch.zeros(2, 4))
    assert np.array_equal(offered.masks, np.stack([MASK, ~MASK]))
    assert offered.mask_scores.tolist() == offered.box_scores.tolist() == [0.5, 0.25]


def test_a_list_of_tensors_is_taken_apart() -> None:
    tensors = [torch.ones(3, 3, requires_grad=True), torch.zeros(3, 3)]
    offered = Proposals(tensors, [torch.tensor(0.5)] * 2, np.ones(2), np.zeros((2, 4)))  # type: ignore[arg-type]
    assert offered.masks.sum() == 9


def test_probabilities_in_a_tensor_are_refused_with_the_way_out() -> None:
    with pytest.raises(ProposalsError, match=r"apply a cutoff first, such as mask > 0\.5"):
        Proposals.single(torch.full((3, 3), 0.7))


def test_metrics_take_tensors() -> None:
    mask = torch.from_numpy(MASK.copy())
    assert segqa.iou(mask.float().requires_grad_(), mask) == 1.0
