"""Pickers: functions that choose one proposal by its scores alone, without the target."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from segqa.errors import ProposalsError, SettingsError
from segqa.models.protocol import Floats, Proposals
from segqa.settings.checks import nearest

Picker = Callable[[Proposals], int | None]
"""A function from proposals to the index of the picked one; None if there is none to pick."""


def mask_score(proposals: Proposals) -> int | None:
    """Return the index of the proposal with the highest mask score; the first of equals."""
    return _find_highest(proposals.mask_scores)


def box_score(proposals: Proposals) -> int | None:
    """Return the index of the proposal with the highest box score; the first of equals."""
    return _find_highest(proposals.box_scores)


def product(proposals: Proposals) -> int | None:
    """Return the index of the proposal with the highest mask score × box score; the first of equals.

    A proposal with a negative score never wins over one without.

    Raises:
        ProposalsError: several proposals have known scores, and each has a negative one, as logits are: the product of
            two low scores would be high.
    """
    products = proposals.mask_scores * proposals.box_scores
    is_negative = (proposals.mask_scores < 0) | (proposals.box_scores < 0)
    if not is_negative.any():
        return _find_highest(products)
    others = np.where(is_negative, np.nan, products)
    if np.isfinite(others).any():
        return _find_highest(others)
    if is_negative.sum() > 1:
        pairs = zip(proposals.mask_scores[is_negative], proposals.box_scores[is_negative], strict=True)
        shown = ", ".join(f"{one:g} × {other:g}" for one, other in list(pairs)[:3])
        raise ProposalsError(
            f"product needs scores of 0 or more, got {shown}; return 1 / (1 + exp(-score)) of logits, "
            "or pick by agreement"
        )
    return int(is_negative.argmax())


def agreement(proposals: Proposals) -> int | None:
    """Return the index of the proposal with the highest sum of the two score ranks; ties by product, then the first.

    If a score is negative, as logits are, ties go by mask score, since a product would be meaningless.

    A rank is the number of distinct lower scores. So the order of the proposals (unlike in `sequential_agreement`) and
    duplicates do not affect the answer. A proposal with a NaN score ranks below all others.
    """
    known = ~(np.isnan(proposals.mask_scores) | np.isnan(proposals.box_scores))
    ranks = _compute_ranks(proposals.mask_scores, known) + _compute_ranks(proposals.box_scores, known)
    ranks[~known] = -1
    best = np.flatnonzero(ranks == ranks.max(initial=-1))
    is_negative = (proposals.mask_scores < 0).any() or (proposals.box_scores < 0).any()
    breaks_ties = proposals.mask_scores if is_negative else proposals.mask_scores * proposals.box_scores
    among_best = _find_highest(breaks_ties[best])
    return None if among_best is None else int(best[among_best])


def sequential_agreement(proposals: Proposals) -> int | None:
    """Go through the proposals in order and move on only if *both* scores rise.

    Kept to reproduce published numbers. The answer depends on the order of the proposals: prefer `agreement`.
    """
    scores = np.stack([proposals.mask_scores, proposals.box_scores], axis=1)
    best: int | None = None
    for index, pair in enumerate(scores):
        if not np.isnan(pair).any() and (best is None or bool((pair > scores[best]).all())):
            best = index
    return 0 if best is None and len(proposals) else best


def first(proposals: Proposals) -> int | None:
    """Return the index of the first proposal, in the model's own order."""
    return 0 if len(proposals) else None


PICKERS = MappingProxyType(
    {picker.__name__: picker for picker in (mask_score, agreement, box_score, product, first, sequential_agreement)}
)
"""The named pickers that a run can select."""


def needs_only_scores(picker: Picker) -> bool:
    """Return whether a picker is known to need no masks; all named pickers need none."""
    return picker in PICKERS.values()


def find_picker(name: str) -> Picker:
    """Return the picker of a name.

    Raises:
        SettingsError: the name is unknown, or it is `oracle`, which needs the target and so cannot pick.
    """
    if name == "oracle":
        raise SettingsError("the oracle looks at the target and cannot pick; every report shows its IoU and the regret")
    if name not in PICKERS:
        hint, known = nearest(name.lower(), PICKERS), f"known: {', '.join(sorted(PICKERS))}"
        raise SettingsError(f"unknown picker {name!r}; {hint}{'' if hint == known else f' {known}'}")
    return PICKERS[name]


def _find_highest(scores: Floats) -> int | None:
    """Return the index of the highest score, the first of equals; a NaN never wins over a number."""
    if not len(scores):
        return None
    highest = int(scores.argmax())
    if math.isnan(scores[highest]):  # argmax treats NaN as the highest, so this finds one at any position
        return int(np.where(np.isnan(scores), -np.inf, scores).argmax())
    return highest


def _compute_ranks(scores: Floats, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each score the number of distinct lower known scores, so that duplicates do not change a rank."""
    # a set is faster than numpy: there are a few proposals, seldom hundreds
    lower = {score: rank for rank, score in enumerate(sorted(set(scores[known].tolist())))}
    return np.array([lower.get(score, 0) for score in scores.tolist()], np.int64)
