import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segqa.data.mask import Mask
from segqa.scoring.error_breakdown import Breakdown, break_down
from segqa.scoring.metrics import count

Pixels = set[tuple[int, int]]


def pixels(mask: Mask) -> Pixels:
    return set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


def near(a: tuple[int, int], others: Pixels, distance: int) -> bool:
    return any(math.floor(math.dist(a, b) + 0.5) <= distance for b in others)


def patches(of: Pixels) -> list[Pixels]:
    """The 8-connected components of a set of pixels."""
    left, found = set(of), []
    while left:
        patch, edge = set[tuple[int, int]](), {left.pop()}
        while edge:
            patch |= edge
            around = {(y + dy, x + dx) for y, x in edge for dy, dx in product((-1, 0, 1), repeat=2)}
            edge = around & left
            left -= edge
        found.append(patch)
    return found


def slow(prediction: Mask, target: Mask) -> Breakdown:
    """The paper's definition on sets of pixels."""
    width = max(1, round(0.01 * math.hypot(*target.shape)))
    p, t = pixels(prediction), pixels(target)
    tn = {(y, x) for y, x in np.ndindex(*target.shape)} - p - t
    numbers: list[int] = []
    for wrong, mask in ((p - t, p), (t - p, t)):
        seeds = {a for a in wrong if near(a, p & t, width) and near(a, tn, width)}
        grown = {a for a in wrong if near(a, seeds, width)}
        beside = [
            patch for patch in patches(grown) if all(any(near(a, others, 1) for a in patch) for others in (p & t, tn))
        ]
        boundary = set().union(*beside)
        touching = set().union(*(patch for patch in patches(mask) if patch & p & t))
        rest = wrong - boundary
        numbers += [len(boundary), len(rest & touching), len(rest - touching)]
    return Breakdown(*(*numbers, len(p | t)))


blobs = arrays(np.bool_, (9, 11), elements=st.booleans())


@given(blobs, blobs)
def test_it_is_what_the_definition_says(prediction: Mask, target: Mask) -> None:
    assert break_down(prediction, target) == slow(prediction, target)


@pytest.mark.parametrize("shift", [1, 3, 9])
def test_it_is_what_the_definition_says_where_the_boundary_is_wide(shift: int) -> None:
    target = np.zeros((180, 240), np.bool_)  # a boundary of 3 pixels
    target[60:80, 100:130] = True
    prediction = np.roll(target, shift, axis=1)
    prediction[20:24, 20:24] = True
    prediction[60:64, 140:150] = True
    assert break_down(prediction, target) == slow(prediction, target)


@pytest.mark.parametrize("length", [1150, 1320])  # boundaries of 12 and 13 pixels: wider than it is high
def test_it_is_what_the_definition_says_however_wide_the_boundary_is(length: int) -> None:
    target = np.zeros((6, length), np.bool_)
    target[1:5, 100:160] = True
    prediction = np.roll(target, 11, axis=1)
    prediction[2:4, 171:196] = True
    prediction[3, 300:302] = True
    found = break_down(prediction, target)
    assert found == slow(prediction, target)
    assert found.fp_boundary > 0
    assert found.fp_extent > 0


@given(blobs, blobs)
def test_every_wrong_pixel_is_counted_once(prediction: Mask, target: Mask) -> None:
    counts, found = count(prediction, target), break_down(prediction, target)
    assert found.fp_boundary + found.fp_extent + found.fp_segment == counts.fp
    assert found.fn_boundary + found.fn_extent + found.fn_segment == counts.fn
    if found.union:
        assert sum(found.shares.values()) + counts.iou == pytest.approx(1)


def test_two_halves_mirror_each_other() -> None:
    target = np.zeros((60, 60), np.bool_)
    target[10:30, 10:30] = True
    prediction = np.zeros_like(target)
    prediction[20:40, 20:40] = True
    there, back = break_down(prediction, target), break_down(target, prediction)
    assert there.numbers[:3] == back.numbers[3:6]


def square(top: int, left: int, size: int) -> Mask:
    mask = np.zeros((200, 200), np.bool_)
    mask[top : top + size, left : left + size] = True
    return mask


def test_a_shifted_contour_is_boundary() -> None:
    found = break_down(square(50, 51, 80), square(50, 50, 80))
    assert (found.fp_boundary, found.fn_boundary) == (80, 80)
    assert found.fp_extent == found.fp_segment == found.fn_extent == found.fn_segment == 0


def test_another_object_is_a_segment() -> None:
    found = break_down(square(0, 0, 10), square(100, 100, 10))
    assert (found.fp_segment, found.fn_segment) == (100, 100)
    assert found.union == 200


def test_too_much_of_the_same_object_is_extent() -> None:
    found = break_down(square(50, 50, 80), square(50, 50, 20))
    assert found.fp_extent > 5000
    assert found.fp_segment == 0


def test_two_empty_masks_have_no_shares_to_speak_of() -> None:
    nothing = np.zeros((4, 4), np.bool_)
    assert break_down(nothing, nothing).shares["fp_extent"] == 0
