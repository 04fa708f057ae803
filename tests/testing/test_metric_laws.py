"""The contracts of metrics hold for ours, and find each of the known ways in which such functions go wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import segqa
from segqa.data.mask import Mask
from segqa.errors import SettingsError
from segqa.testing import (
    BrokenLawError,
    binarise_laws,
    broken,
    check_binarise,
    check_boundary,
    check_dice,
    check_iou,
    check_mean_iou,
    iou_laws,
)

FEW = 60
"""Examples that are enough to find what is wrong; without a fault all are tried."""

Metric = Callable[[Mask, Mask], float]


def iou(prediction: Mask, target: Mask, *, empty: float = 1.0) -> float:
    """A correct IoU that refuses what it cannot score."""
    if prediction.shape != target.shape or prediction.ndim != 2:
        raise ValueError("shapes")
    if prediction.dtype.kind == "f" and np.isnan(prediction).any():
        raise ValueError("NaN")
    p, t = prediction > 0, target > 0
    union = (p | t).sum()
    return float((p & t).sum() / union) if union else empty


@contextmanager
def found(law: str) -> Iterator[None]:
    """A contract breaks at this law, on at most 5 × 5 pixels, and prints law, masks and numbers."""
    with pytest.raises(BrokenLawError) as raised:
        yield
    assert raised.value.law == law
    text = str(raised.value)
    assert text.startswith(f"broken law: {law}\n")
    for art in re.findall(r"[#.]+", re.sub(r"\d\.\d*|\.\.\.", "", text)):
        assert len(art) <= 5
    assert sum(1 for line in text.splitlines() if re.fullmatch(r"[#. ]+", line)) <= 5
    assert "came" in text


def test_ours_keep_them() -> None:
    check_iou(segqa.iou)
    check_dice(segqa.dice)
    check_boundary(segqa.boundary_iou)
    bridges = ["0 for disjoint masks"]
    check_boundary(lambda prediction, target: segqa.nsd(prediction, target, tolerance=1), leave_out=bridges)


@pytest.mark.parametrize("empty", ["one", "zero", "nan"])
def test_each_policy_for_empty_masks_is_told_from_the_others(empty: Any) -> None:
    check_iou(lambda prediction, target: segqa.iou(prediction, target, empty=empty), empty=empty, examples=FEW)
    other = {"one": "zero", "zero": "nan", "nan": "one"}[empty]
    with found(f"two empty masks: {other}"):
        check_iou(lambda prediction, target: segqa.iou(prediction, target, empty=empty), empty=other, examples=FEW)  # type: ignore[arg-type]


def test_both_conventions_of_the_story_for_empty_pairs_are_found() -> None:
    with found("two empty masks: nan"):
        check_iou(lambda prediction, target: iou(prediction, target, empty=0.0), empty="nan", examples=FEW)
    with found("two empty masks: zero"):
        check_iou(lambda prediction, target: iou(prediction, target, empty=1.0), empty="zero", examples=FEW)


def smoothed(prediction: Mask, target: Mask) -> float:
    iou(prediction, target)
    return float(((prediction & target).sum() + 1) / ((prediction | target).sum() + 1))


def slightly_smoothed(prediction: Mask, target: Mask) -> float:
    iou(prediction, target)
    return float(((prediction & target).sum() + 1e-3) / ((prediction | target).sum() + 1e-3))


def transposed(prediction: Mask, target: Mask) -> float:
    iou(prediction, target)
    return iou(prediction.T, target) if prediction.shape[0] == prediction.shape[1] else iou(prediction, target)


def cut_off(prediction: Mask, target: Mask) -> float:
    iou(prediction, target)
    return iou(prediction[:-1], target[:-1])


def swapped_for_recall(prediction: Mask, target: Mask) -> float:
    iou(prediction, target)
    return float((prediction & target).sum() / target.sum()) if target.any() else float(not prediction.any())


def accuracy(prediction: Mask, target: Mask) -> float:
    iou(prediction, target)
    return float((prediction == target).mean())


def shape_blind(prediction: Mask, target: Mask) -> float:
    union = (prediction | target).sum()
    return float((prediction & target).sum() / union) if union else 1.0


def nan_blind(prediction: Mask, target: Mask) -> float:
    return iou(np.nan_to_num(prediction).astype(bool), target)


def adds_bytes(prediction: Mask, target: Mask) -> float:
    """As several libraries do it: what is not 0 or 1 counts as many times as it is large."""
    iou(prediction, target)
    both = (prediction.astype(float) * target.astype(float)).sum()
    either = prediction.astype(float).sum() + target.astype(float).sum() - both
    return float(both / either) if either else 1.0


@pytest.mark.parametrize(
    ("fn", "law"),
    [
        (smoothed, "0 for disjoint masks"),
        (slightly_smoothed, "0 for disjoint masks"),
        (transposed, "1 for equal masks"),
        (cut_off, "below 1 for different masks"),
        (swapped_for_recall, "symmetric"),
        (accuracy, "0 for disjoint masks"),
        (segqa.dice, "IoU–Dice identity"),
        (lambda prediction, target: 1 - iou(prediction, target), "1 for equal masks"),
        (lambda prediction, target: 100 * iou(prediction, target), "a number from 0 to 1"),
        (lambda prediction, target: math.nan, "a number from 0 to 1"),
        (lambda prediction, target: None, "a number from 0 to 1"),
        (lambda prediction, target: round(iou(prediction, target)), "below 1 for different masks"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_function_that_is_no_iou_is_found(fn: Metric, law: str) -> None:
    with found(law):
        check_iou(fn, examples=FEW)


@pytest.mark.parametrize(
    ("fn", "law"),
    [
        (shape_blind, "refuses other shapes"),
        (nan_blind, "refuses NaN"),
        (adds_bytes, "255 is object, or refused"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_function_that_scores_what_is_no_pair_of_masks_is_found(fn: Metric, law: str) -> None:
    assert law in broken(iou_laws(fn), FEW)


def test_a_law_can_be_left_out_by_its_name_only() -> None:
    check_iou(nan_blind, leave_out=["refuses NaN"], examples=FEW)
    with pytest.raises(SettingsError, match="no law 'refuse NaN' to leave out; did you mean 'refuses NaN'"):
        check_iou(nan_blind, leave_out=["refuse NaN"], examples=FEW)


def test_an_exception_is_shown_as_what_came() -> None:
    def fails(prediction: Mask, target: Mask) -> float:
        raise ZeroDivisionError("by nothing")

    with pytest.raises(BrokenLawError, match="came ZeroDivisionError: by nothing"):
        check_iou(fails, examples=FEW)


def test_the_example_is_the_smallest() -> None:
    with pytest.raises(BrokenLawError) as raised:
        check_iou(smoothed, examples=FEW)
    assert raised.value.example == "prediction  target\n#           .\ncame 0.5, expected 0"


Batches = Any


def mean_over_cases(batches: Batches) -> float:
    return float(np.mean([iou(*pair) for batch in batches for pair in batch]))


def mean_of_batch_means(batches: Batches) -> float:
    return float(np.mean([np.mean([iou(*pair) for pair in batch]) for batch in batches]))


def pooled(batches: Batches) -> float:
    pairs = [pair for batch in batches for pair in batch]
    both, either = (sum(int(op(*pair).sum()) for pair in pairs) for op in (np.logical_and, np.logical_or))
    return both / either


def last_batch_dropped(batches: Batches) -> float:
    return mean_over_cases(batches[:-1] if len(batches) > 1 else batches)


def running(batches: Batches) -> float:
    value = 0.0
    for batch in batches:
        for pair in batch:
            value = (value + iou(*pair)) / 2
    return value


def test_the_mean_over_cases_is_one() -> None:
    check_mean_iou(mean_over_cases)


@pytest.mark.parametrize(
    ("fn", "law"),
    [
        (mean_of_batch_means, "batches change nothing"),
        (last_batch_dropped, "batches change nothing"),
        (running, "order changes nothing"),
        (pooled, "the mean over cases"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_no_mean_over_cases_is_found(fn: Any, law: str) -> None:
    with pytest.raises(BrokenLawError, match="IoUs in batches") as raised:
        check_mean_iou(fn)
    assert raised.value.law == law


def test_a_cutoff_in_the_middle_is_right_and_above_nothing_is_not() -> None:
    check_binarise(lambda grey: grey > 127)
    law = "a pixel covered by less than half is background"
    assert list(broken(binarise_laws(lambda grey: grey > 0))) == [law]
    assert "0 and 255 are the mask" in broken(binarise_laws(lambda grey: grey == 1))
    with pytest.raises(BrokenLawError, match=r"grey values \[\[255, 1\]\]:\ncame  expected\n##    #\."):
        check_binarise(lambda grey: grey > 0)
