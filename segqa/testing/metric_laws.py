"""Property-based laws for overlap metrics: IoU, Dice, boundary IoU, mean IoU, and mask binarisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from segqa.data.mask import Mask
from segqa.settings import EmptyPolicy
from segqa.testing.contract import (
    EXAMPLES,
    Law,
    attempt_call,
    build_law,
    build_plain_law,
    enforce,
    format_error,
    render_side_by_side,
)
from segqa.testing.strategies import MAX_SIDE, Pair, mask_pairs, masks, shapes

Metric: TypeAlias = Callable[[Mask, Mask], float]
"""A metric of a prediction and a target, bool `[H, W]`."""

_TOLERANCE = 1e-6


def check_iou(
    fn: Metric, *, empty: EmptyPolicy = "one", leave_out: Collection[str] = (), examples: int = EXAMPLES
) -> None:
    """Check that a function is IoU, TP / (TP + FP + FN) (Jaccard 1901).

    Args:
        fn: takes a prediction and a target, bool `[H, W]`.
        empty: the expected value if both masks are empty: 1, 0 or NaN.
        leave_out: names of laws to skip, see `iou_laws`.
        examples: the number of examples for each law; they are the same on each run.

    Raises:
        BrokenLawError: a law does not hold; the message shows the masks and the numbers.
    """
    enforce(iou_laws(fn, empty=empty), leave_out, examples)


def check_dice(
    fn: Metric, *, empty: EmptyPolicy = "one", leave_out: Collection[str] = (), examples: int = EXAMPLES
) -> None:
    """Check that a function is Dice, 2 TP / (2 TP + FP + FN) (Dice 1945); arguments as for `check_iou`."""
    enforce(dice_laws(fn, empty=empty), leave_out, examples)


def check_boundary(
    fn: Metric, *, empty: EmptyPolicy = "one", leave_out: Collection[str] = (), examples: int = EXAMPLES
) -> None:
    """Check a boundary metric from 0 to 1 such as boundary IoU (Cheng et al., 2021); arguments as for `check_iou`.

    It may be non-monotone and depend on the surrounding background, since its band may scale with the image's size.
    For NSD, whose tolerance bridges gaps, leave out `"0 for disjoint masks"`.
    """
    enforce(boundary_laws(fn, empty=empty), leave_out, examples)


def iou_laws(fn: Metric, *, empty: EmptyPolicy = "one") -> dict[str, Law]:
    """Return the laws of `check_iou` by name."""

    def dice_of_counts(tp: int, wrong: int) -> float:
        return 2 * tp / (2 * tp + wrong)

    identity = _build_identity_law(fn, "2·IoU / (1 + IoU)", lambda value: 2 * value / (1 + value), dice_of_counts)
    return {**_build_overlap_laws(fn, empty), "IoU–Dice identity": identity}


def dice_laws(fn: Metric, *, empty: EmptyPolicy = "one") -> dict[str, Law]:
    """Return the laws of `check_dice` by name."""

    def iou_of_counts(tp: int, wrong: int) -> float:
        return tp / (tp + wrong)

    identity = _build_identity_law(fn, "Dice / (2 − Dice)", lambda value: value / (2 - value), iou_of_counts)
    return {**_build_overlap_laws(fn, empty), "IoU–Dice identity": identity}


def boundary_laws(fn: Metric, *, empty: EmptyPolicy = "one") -> dict[str, Law]:
    """Return the laws of `check_boundary` by name."""
    return {
        "a number from 0 to 1": _build_range_law(fn),
        "symmetric": _build_symmetry_law(fn),
        "1 for equal masks": _build_equality_law(fn),
        "0 for disjoint masks": _build_disjoint_law(fn),
        "flips and transposition change nothing": _build_turns_law(fn),
        f"two empty masks: {empty}": _build_empty_law(fn, empty),
        **_build_refusal_laws(fn),
    }


def _build_overlap_laws(fn: Metric, empty: EmptyPolicy) -> dict[str, Law]:
    """Return the laws that IoU and Dice share."""
    return {
        "a number from 0 to 1": _build_range_law(fn),
        "symmetric": _build_symmetry_law(fn),
        "1 for equal masks": _build_equality_law(fn),
        "below 1 for different masks": _build_difference_law(fn),
        "0 for disjoint masks": _build_disjoint_law(fn),
        "a wrong pixel more lowers it": _build_worse_law(fn, "a wrong pixel more lowers it", added=True),
        "a right pixel less lowers it": _build_worse_law(fn, "a right pixel less lowers it", added=False),
        "flips and transposition change nothing": _build_turns_law(fn),
        "background around it changes nothing": _build_invariance_law(
            fn, "background around it changes nothing", lambda mask: np.pad(mask, 1)
        ),
        "repeated pixels change nothing": _build_invariance_law(
            fn, "repeated pixels change nothing", lambda mask: mask.repeat(2, axis=0).repeat(2, axis=1)
        ),
        f"two empty masks: {empty}": _build_empty_law(fn, empty),
        **_build_refusal_laws(fn),
    }


def _render_pair(prediction: Any, target: Any, *lines: str) -> str:
    return "\n".join([render_side_by_side(prediction=prediction, target=target), *lines])


def _compute_value(fn: Metric, prediction: Any, target: Any) -> tuple[float, str]:
    """Return a metric's value as a float and as text; NaN and the error if it raises."""
    answer, error = attempt_call(fn, prediction, target)
    if error is not None:
        return math.nan, format_error(error)
    try:
        value = float(answer)
    except (TypeError, ValueError) as problem:
        return math.nan, f"{answer!r}, which is no number ({problem})"
    return value, f"{value:.6g}"


def _is_close(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= _TOLERANCE


def _has_object(pair: Pair) -> bool:
    """Return whether at least one mask has an object; two empty masks have a law of their own."""
    return bool(pair[0].any() or pair[1].any())


_OBJECTS: SearchStrategy[Mask] = masks().filter(lambda mask: bool(mask.any()))
_PAIRS: SearchStrategy[Pair] = mask_pairs().filter(_has_object)
_DIFFERENT: SearchStrategy[Pair] = mask_pairs().filter(lambda pair: not np.array_equal(*pair))
_APART: SearchStrategy[Pair] = mask_pairs().filter(lambda pair: _has_object((pair[0] & ~pair[1], pair[1])))
_SHAPES = shapes()


def _build_range_law(fn: Metric) -> Law:
    def holds(pair: Pair) -> str | None:
        value, words = _compute_value(fn, *pair)
        return None if -_TOLERANCE <= value <= 1 + _TOLERANCE else _render_pair(*pair, f"came {words}")

    return build_law("a number from 0 to 1", _PAIRS, holds)


def _build_symmetry_law(fn: Metric) -> Law:
    def holds(pair: Pair) -> str | None:
        (there, one), (back, other) = _compute_value(fn, *pair), _compute_value(fn, *pair[::-1])
        return None if _is_close(there, back) else _render_pair(*pair, f"came {one}, exchanged {other}")

    return build_law("symmetric", _PAIRS, holds)


def _build_equality_law(fn: Metric) -> Law:
    def holds(mask: Mask) -> str | None:
        value, words = _compute_value(fn, mask, mask.copy())
        return None if _is_close(value, 1) else _render_pair(mask, mask, f"came {words}, expected 1")

    return build_law("1 for equal masks", _OBJECTS, holds)


def _build_difference_law(fn: Metric) -> Law:
    def holds(pair: Pair) -> str | None:
        value, words = _compute_value(fn, *pair)
        return None if value < 1 - _TOLERANCE else _render_pair(*pair, f"came {words}, expected less than 1")

    return build_law("below 1 for different masks", _DIFFERENT, holds)


def _build_disjoint_law(fn: Metric) -> Law:
    def holds(pair: Pair) -> str | None:
        prediction, target = pair[0] & ~pair[1], pair[1]
        value, words = _compute_value(fn, prediction, target)
        return None if _is_close(value, 0) else _render_pair(prediction, target, f"came {words}, expected 0")

    return build_law("0 for disjoint masks", _APART, holds)


@st.composite
def _draw_changed_pair(draw: DrawFn, *, added: bool) -> tuple[Mask, Mask, Mask]:
    """Draw an overlapping pair, and the prediction with one wrong pixel more or one right pixel less."""
    prediction, target = draw(mask_pairs().filter(lambda pair: bool((pair[0] & pair[1]).any())))
    places = np.flatnonzero(~prediction & ~target if added else prediction & target)
    changed = prediction.copy()
    if len(places):
        changed.flat[draw(st.sampled_from(list(places)))] = added
    return prediction, target, changed


def _build_worse_law(fn: Metric, name: str, *, added: bool) -> Law:
    def holds(example: tuple[Mask, Mask, Mask]) -> str | None:
        prediction, target, changed = example
        (before, one), (after, other) = _compute_value(fn, prediction, target), _compute_value(fn, changed, target)
        if np.array_equal(prediction, changed) or after < before - _TOLERANCE:
            return None
        art = render_side_by_side(prediction=prediction, changed=changed, target=target)
        return f"{art}\ncame {one}, changed {other}"

    return build_law(name, _draw_changed_pair(added=added), holds)


def _build_turns_law(fn: Metric) -> Law:
    turns: dict[str, Callable[[Mask], Mask]] = {
        "upside down": np.flipud,
        "mirrored": np.fliplr,
        "transposed": np.transpose,
    }

    def holds(pair: Pair) -> str | None:
        before, one = _compute_value(fn, *pair)
        for how, turn in turns.items():
            after, other = _compute_value(fn, *(turn(mask).copy() for mask in pair))
            if not _is_close(after, before):
                return _render_pair(*pair, f"came {one}, {how} {other}")
        return None

    return build_law("flips and transposition change nothing", _PAIRS, holds)


def _build_invariance_law(fn: Metric, name: str, change: Callable[[Mask], Mask]) -> Law:
    def holds(pair: Pair) -> str | None:
        (before, one), (after, other) = _compute_value(fn, *pair), _compute_value(fn, *map(change, pair))
        return None if _is_close(after, before) else _render_pair(*pair, f"came {one}, then {other}")

    return build_law(name, _PAIRS, holds)


def _build_empty_law(fn: Metric, empty: EmptyPolicy) -> Law:
    wanted = {"one": 1.0, "zero": 0.0, "nan": math.nan}[empty]

    def holds(shape: tuple[int, int]) -> str | None:
        nothing = np.zeros(shape, np.bool_)
        value, words = _compute_value(fn, nothing, nothing.copy())
        if _is_close(value, wanted) or words == f"{wanted:g}":
            return None
        return _render_pair(nothing, nothing, f"came {words}, expected {wanted:g}")

    return build_law(f"two empty masks: {empty}", _SHAPES, holds)


def _build_identity_law(
    fn: Metric, formula: str, turned: Callable[[float], float], counted: Callable[[int, int], float]
) -> Law:
    def holds(pair: Pair) -> str | None:
        value, words = _compute_value(fn, *pair)
        wanted = counted(int((pair[0] & pair[1]).sum()), int((pair[0] ^ pair[1]).sum()))
        if _is_close(turned(value), wanted):
            return None
        return _render_pair(*pair, f"came {words}, so {formula} = {turned(value):.6g}; counted {wanted:.6g}")

    return build_law("IoU–Dice identity", _PAIRS, holds)


def _build_refusal_laws(fn: Metric) -> dict[str, Law]:
    """Return the laws for invalid input, which must not get a score."""
    square = np.eye(3, dtype=np.bool_)
    wide = np.zeros((2, 3), np.bool_)
    wide[0] = True

    def refuses_shapes() -> str | None:
        others = {
            "(3, 3, 1)": square[:, :, None],
            "(1, 3)": square[:1],
            "(3, 1)": square[:, :1],
            "(9,)": square.ravel(),
        }
        for name, other in others.items():
            answer, error = attempt_call(fn, other, square)
            if error is None:
                return f"prediction of shape {name}, target of shape (3, 3): came {answer!r}, expected an error"
        answer, error = attempt_call(fn, wide, wide.T.copy())
        return None if error is not None else f"shapes (2, 3) and (3, 2): came {answer!r}, expected an error"

    def refuses_nan() -> str | None:
        answer, error = attempt_call(fn, np.where(square, 1.0, np.nan), square)
        return None if error is not None else f"a prediction with NaN: came {answer!r}, expected an error"

    def takes_255_as_object() -> str | None:
        prediction, target = np.array([[1, 1, 0]], np.uint8) * 255, np.array([[0, 1, 1]], np.uint8) * 255
        answer, error = attempt_call(fn, prediction, target)
        wanted, words = _compute_value(fn, prediction > 0, target > 0)
        if error is not None or (isinstance(answer, (int, float, np.number)) and _is_close(float(answer), wanted)):
            return None
        return _render_pair(prediction, target, f"with 0 and 255 came {answer!r}, as bools {words}")

    return {
        "refuses other shapes": build_plain_law("refuses other shapes", refuses_shapes),
        "refuses NaN": build_plain_law("refuses NaN", refuses_nan),
        "255 is object, or refused": build_plain_law("255 is object, or refused", takes_255_as_object),
    }


Batches: TypeAlias = Sequence[Sequence[Pair]]


def check_mean_iou(
    fn: Callable[[Batches], float], *, leave_out: Collection[str] = (), examples: int = EXAMPLES
) -> None:
    """Check that a function of batches of (prediction, target) returns the mean IoU of all cases.

    Raises:
        BrokenLawError: the result depends on the batches or the order of the cases, or is not the mean over cases.
    """
    enforce(mean_laws(fn), leave_out, examples)


def mean_laws(fn: Callable[[Batches], float]) -> dict[str, Law]:
    """Return the laws of `check_mean_iou` by name."""
    one = np.ones((1, 1), np.bool_)
    kinds = st.sampled_from([(one, one), (~one, one), (np.array([[True, True]]), np.array([[True, False]]))])
    pairs = st.lists(kinds, min_size=1, max_size=MAX_SIDE)

    def told(batches: Batches, value: float, other: str) -> str:
        ious = [[f"{_count_iou(*pair):g}" for pair in batch] for batch in batches]
        return f"IoUs in batches {' | '.join(', '.join(batch) for batch in ious)}: came {value:.6g}, {other}"

    def batched(example: tuple[list[Pair], int]) -> str | None:
        found, size = example
        batches = [found[start : start + size] for start in range(0, len(found), size)]
        value, whole = float(fn(batches)), float(fn([found]))
        return None if _is_close(value, whole) else told(batches, value, f"in one batch {whole:.6g}")

    def ordered(found: list[Pair]) -> str | None:
        value, back = float(fn([found])), float(fn([found[::-1]]))
        return None if _is_close(value, back) else told([found], value, f"backwards {back:.6g}")

    def mean(found: list[Pair]) -> str | None:
        value, wanted = float(fn([found])), float(np.mean([_count_iou(*pair) for pair in found]))
        return None if _is_close(value, wanted) else told([found], value, f"the mean is {wanted:.6g}")

    return {
        "batches change nothing": build_law(
            "batches change nothing", st.tuples(pairs, st.integers(1, MAX_SIDE)), batched
        ),
        "order changes nothing": build_law("order changes nothing", pairs, ordered),
        "the mean over cases": build_law("the mean over cases", pairs, mean),
    }


def _count_iou(prediction: Mask, target: Mask) -> float:
    return float((prediction & target).sum() / (prediction | target).sum())


def check_binarise(fn: Callable[[Any], Any], *, leave_out: Collection[str] = (), examples: int = EXAMPLES) -> None:
    """Check that a function converts the grey values of a mask file, uint8 `[H, W]`, to a mask, bool `[H, W]`.

    Raises:
        BrokenLawError: it does not restore a mask of 0 and 255, or turns anti-aliased edges into object.
    """
    enforce(binarise_laws(fn), leave_out, examples)


def binarise_laws(fn: Callable[[Any], Any]) -> dict[str, Law]:
    """Return the laws of `check_binarise` by name."""

    def read(grey: Any, wanted: Mask) -> str | None:
        answer, error = attempt_call(fn, grey.copy())
        if error is not None:
            return f"{grey.tolist()}: came {format_error(error)}"
        found = np.asarray(answer)
        if found.dtype == np.bool_ and np.array_equal(found, wanted):
            return None
        came = (
            render_side_by_side(came=found.astype(np.bool_), expected=wanted)
            if found.shape == wanted.shape
            else found.shape
        )
        return f"grey values {grey.tolist()}:\n{came}"

    def exact(mask: Mask) -> str | None:
        return read(mask.astype(np.uint8) * 255, mask)

    def soft(example: tuple[Mask, int]) -> str | None:
        """Check that a pixel of which less than half is object becomes background."""
        mask, edge = example
        padded = np.pad(mask, ((0, 0), (0, 1)))
        grey = np.where(padded, 255, 0).astype(np.uint8)
        beside = np.roll(padded, 1, axis=1) & ~padded
        beside[:, 0] = False
        grey[beside] = edge
        return read(grey, padded)

    return {
        "0 and 255 are the mask": build_law("0 and 255 are the mask", masks(), exact),
        "a pixel covered by less than half is background": build_law(
            "a pixel covered by less than half is background", st.tuples(_OBJECTS, st.integers(1, 100)), soft
        ),
    }
