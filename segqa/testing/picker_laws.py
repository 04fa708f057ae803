"""Property-based laws for pickers, functions that choose one of the proposals by their scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from segqa.models.protocol import Proposals
from segqa.testing.contract import EXAMPLES, Law, attempt_call, build_law, build_plain_law, enforce, format_error
from segqa.testing.strategies import proposals

Choose: TypeAlias = Callable[[Proposals], int | None]
"""A picker: from proposals to the index of one of them; None for none."""


def check_picker(fn: Choose, *, leave_out: Collection[str] = (), examples: int = EXAMPLES) -> None:
    """Check that a function is a picker.

    Args:
        fn: takes proposals, returns an index or None.
        leave_out: names of laws to skip, see `picker_laws`.
        examples: the number of examples for each law; they are the same on each run.

    Raises:
        BrokenLawError: a law does not hold; the message shows the scores and the picks.
    """
    enforce(picker_laws(fn), leave_out, examples)


def picker_laws(fn: Choose) -> dict[str, Law]:
    """Return the laws of `check_picker` by name."""
    return {
        "a valid index": build_law("a valid index", _ANY, lambda offered: _check_validity(fn, offered)),
        "nothing to pick is None": build_plain_law("nothing to pick is None", lambda: _check_no_proposals(fn)),
        "order changes nothing": build_law("order changes nothing", _REORDERED, lambda both: _check_order(fn, *both)),
        "a copy of the picked one changes nothing": build_law(
            "a copy of the picked one changes nothing", _ONE_OR_MORE, lambda offered: _check_copies(fn, offered)
        ),
        "what the masks hold changes nothing": build_law(
            "what the masks hold changes nothing", _ONE_OR_MORE, lambda offered: _check_blindness(fn, offered)
        ),
        "the same again": build_law("the same again", _ANY, lambda offered: _check_stability(fn, offered)),
        "never NaN beside numbers": build_law(
            "never NaN beside numbers", _PARTLY_UNKNOWN, lambda each: _check_known_scores(fn, each)
        ),
        "raising the picked one keeps it": build_law(
            "raising the picked one keeps it", _TWO_OR_MORE, lambda offered: _check_monotonicity(fn, offered)
        ),
    }


def _pick(fn: Choose, offered: Proposals) -> tuple[Any, str]:
    """Return the pick, None if it is not a valid index, and its description."""
    answer, error = attempt_call(fn, offered)
    if error is not None:
        return None, format_error(error)
    is_index = isinstance(answer, (int, np.integer)) and not isinstance(answer, bool) and 0 <= answer < len(offered)
    return (int(answer) if is_index else None), repr(answer)


def _render_table(offered: Proposals, *lines: str) -> str:
    """Render the scores of proposals as text."""
    rows = [
        f"{index:>8}  {mask:>10g}  {box:>9g}"
        for index, (mask, box) in enumerate(zip(offered.mask_scores, offered.box_scores, strict=True))
    ]
    return "\n".join(["proposal  mask score  box score", *rows, *lines])


def _check_validity(fn: Choose, offered: Proposals) -> str | None:
    picked, words = _pick(fn, offered)
    return (
        None
        if picked is not None or len(offered) == 0
        else _render_table(offered, f"came {words}, expected 0 to {len(offered) - 1}")
    )


def _check_no_proposals(fn: Choose) -> str | None:
    answer, error = attempt_call(fn, Proposals.none((2, 2)))
    if error is None and answer is None:
        return None
    return f"no proposals: came {format_error(error) if error is not None else repr(answer)}, expected None"


@st.composite
def _draw_reordered(draw: DrawFn) -> tuple[Proposals, list[int]]:
    """Draw proposals with distinct scores and distinct products of both, and a permutation of them."""
    eighths = st.tuples(st.integers(1, 8), st.integers(1, 8))
    # one list for both scores, so that hypothesis can shrink it by removing proposals
    drawn = draw(st.lists(eighths, min_size=2, max_size=5, unique_by=(itemgetter(0), itemgetter(1), math.prod)))
    mask_scores, box_scores = np.array(drawn).T / 8
    order: list[int] = draw(st.permutations(range(len(drawn))))
    masks, boxes = np.zeros((len(drawn), 1, 1), np.bool_), np.zeros((len(drawn), 4))
    return Proposals(masks, mask_scores, box_scores, boxes), order


@st.composite
def _draw_partly_unknown(draw: DrawFn) -> Proposals:
    """Draw proposals of which some have unknown scores."""
    offered = draw(proposals(min_size=2))
    unknown = np.array(draw(st.lists(st.booleans(), min_size=len(offered), max_size=len(offered))))
    scores = [np.where(unknown, np.nan, each) for each in (offered.mask_scores, offered.box_scores)]
    return Proposals(offered.masks, scores[0], scores[1], offered.boxes)


_ANY, _ONE_OR_MORE, _TWO_OR_MORE = (proposals(min_size=least) for least in range(3))
_REORDERED, _PARTLY_UNKNOWN = _draw_reordered(), _draw_partly_unknown()


def _take(offered: Proposals, order: list[int]) -> Proposals:
    return Proposals(offered.masks[order], offered.mask_scores[order], offered.box_scores[order], offered.boxes[order])


def _get_scores(offered: Proposals, index: int) -> tuple[float, float]:
    return float(offered.mask_scores[index]), float(offered.box_scores[index])


def _check_order(fn: Choose, offered: Proposals, order: list[int]) -> str | None:
    (before, one), (after, other) = _pick(fn, offered), _pick(fn, _take(offered, order))
    if before is None or after is None:
        return None if before is after else _render_table(offered, f"came {one}, in the order {order} {other}")
    if before == order[after]:
        return None
    return _render_table(offered, f"came {before}, in the order {order} it is what was {order[after]} before")


def _check_copies(fn: Choose, offered: Proposals) -> str | None:
    """Check that a copy of the picked proposal changes nothing, except that either of the two may be picked."""
    before, _ = _pick(fn, offered)
    if before is None:
        return None
    twice = _take(offered, [*range(len(offered)), before])
    after, words = _pick(fn, twice)
    if after is not None and _get_scores(twice, after) == _get_scores(offered, before):
        return None
    return _render_table(twice, f"came {before}; with its copy at the end, {words}")


def _check_blindness(fn: Choose, offered: Proposals) -> str | None:
    """Check that the pick depends on the scores only, not on the content of the masks."""
    one = _pick(fn, offered)[1]
    for filled in (False, True):
        masks = np.full_like(offered.masks, filled)
        other = _pick(fn, Proposals(masks, offered.mask_scores, offered.box_scores, offered.boxes))[1]
        if one != other:
            return _render_table(offered, f"came {one}, with {'full' if filled else 'empty'} masks {other}")
    return None


def _check_stability(fn: Choose, offered: Proposals) -> str | None:
    one, other = _pick(fn, offered)[1], _pick(fn, offered)[1]
    return None if one == other else _render_table(offered, f"came {one}, again {other}")


def _check_known_scores(fn: Choose, offered: Proposals) -> str | None:
    known = ~(np.isnan(offered.mask_scores) | np.isnan(offered.box_scores))
    picked, words = _pick(fn, offered)
    if not known.any() or (picked is not None and known[picked]):
        return None
    return _render_table(offered, f"came {words}, though {', '.join(map(str, np.flatnonzero(known)))} has both scores")


def _check_monotonicity(fn: Choose, offered: Proposals) -> str | None:
    before, words = _pick(fn, offered)
    if before is None:
        return None
    raised = [scores.copy() for scores in (offered.mask_scores, offered.box_scores)]
    for scores in raised:
        scores[before] += 0.5
    after = _pick(fn, Proposals(offered.masks, raised[0], raised[1], offered.boxes))[1]
    return None if after == words else _render_table(offered, f"came {words}; with its scores raised by 0.5, {after}")
