import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segqa.analysis.robustness.geometric import GEOMETRIC_MAPS, warp_image, warp_mask
from segqa.analysis.robustness.perturbations import PERTURBATIONS

EACH = [
    pytest.param(change.name, amount, id=f"{change.name}-{amount:g}")
    for change in PERTURBATIONS
    if change.is_geometric
    for amount in change.amounts
]


def make_reference(library: Any, name: str, amount: float, shape: tuple[int, int]) -> Any:
    """What albumentations calls a move."""
    edges = {"border_mode": cv2.BORDER_CONSTANT, "fill": 0, "fill_mask": 0, "p": 1}
    down, right = (round(amount * side) for side in shape)
    steps: dict[str, Callable[[], Any]] = {
        "flip": lambda: library.HorizontalFlip(p=1),
        "shift": lambda: library.Affine(translate_px={"x": (right, right), "y": (down, down)}, **edges),
        "scale": lambda: library.Affine(scale=(amount, amount), **edges),
        "padding": lambda: library.Pad(padding=(right, down, right, down), **edges),
    }
    return steps[name]()


def test_there_is_a_change_for_every_move() -> None:
    assert {param.values[0] for param in EACH} == set(GEOMETRIC_MAPS)


@pytest.mark.parametrize(("name", "amount"), EACH)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 2**32 - 1))
def test_pixels_go_where_albumentations_moves_them(
    name: str, amount: float, height: int, width: int, seed: int
) -> None:
    pytest.importorskip("albumentations")
    from segqa.models.transforms import import_albumentations

    draw = np.random.default_rng(seed)
    image = draw.integers(0, 256, (height, width, 3)).astype(np.uint8)
    mask = draw.random((height, width)) < 0.5
    expected = make_reference(import_albumentations(), name, amount, (height, width))(
        image=image, masks=np.stack([mask, np.ones_like(mask)]).astype(np.uint8)
    )
    assert np.array_equal(warp_image(name, amount, image), expected["image"])
    for moved, wanted in zip(warp_mask(name, amount, mask), expected["masks"], strict=True):
        assert moved.dtype == np.bool_
        assert np.array_equal(moved, wanted)


def test_a_mask_may_be_a_part_of_a_larger_one() -> None:
    whole = np.zeros((40, 60), np.bool_)
    whole[5:20, 10:31:2] = True
    part = whole[:, 10:50:2]
    assert np.array_equal(warp_mask("flip", 1, part)[0], part[:, ::-1])


def test_what_is_three_times_as_large_grows_around_the_middle() -> None:
    mask = np.zeros((5, 5), np.bool_)
    mask[2, 2] = mask[0, 0] = True
    moved, common = warp_mask("scale", 3, mask)
    assert np.argwhere(moved).tolist() == [[row, column] for row in (1, 2, 3) for column in (1, 2, 3)]
    assert common.all()


def test_masks_are_moved_without_albumentations() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _WARP_WITHOUT_ALBUMENTATIONS], check=False, capture_output=True, text=True, timeout=60
    )
    assert said.stdout == "False\n", said.stderr


_WARP_WITHOUT_ALBUMENTATIONS = """
import sys
import numpy as np
from segqa.analysis.robustness.perturbations import PERTURBATIONS
for change in PERTURBATIONS:
    if change.is_geometric:
        change.mask(1, np.ones((9, 7), np.bool_))
print("albumentations" in sys.modules)
"""
