"""A picker chooses one of the proposals, by their scores alone; it never sees a target."""

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
"""From proposals to the index of the one picked; None where there is none to pick."""


def mask_score(proposals: Proposals) -> int | None:
    """The highest mask score; the first of equals."""
    return _find_highest(proposals.mask_scores)


def box_score(proposals: Proposals) -> int | None:
    """The highest box score; the first of equals."""
    return _find_highest(proposals.box_scores)


def product(proposals: Proposals) -> int | None:
    """The highest mask score × box score; the first of equals.

    A proposal with a negative score never wins over one without.

    Raises:
        ProposalsError: all that are known have negative scores, as logits are, and they are several: the product of two
            bad ones is high.
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
    """Where both scores agree: the highest sum of the two ranks, ties by product, then the first.

    Where a score is negative, as logits are, ties go by mask score: a product would say nothing.

    A rank is the number of different lower scores, so the answer depends neither on the order of the proposals (that of
    `sequential_agreement` does) nor on one of them being there twice. A proposal with a NaN score ranks below all.
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
    """Go through the proposals in order and move on only where *both* scores rise.

    Kept to reproduce published numbers. Its answer depends on the order of the proposals: use `agreement`.
    """
    scores = np.stack([proposals.mask_scores, proposals.box_scores], axis=1)
    best: int | None = None
    for index, pair in enumerate(scores):
        if not np.isnan(pair).any() and (best is None or bool((pair > scores[best]).all())):
            best = index
    return 0 if best is None and len(proposals) else best


def first(proposals: Proposals) -> int | None:
    """The first proposal: the model's own order."""
    return 0 if len(proposals) else None


PICKERS = MappingProxyType(
    {picker.__name__: picker for picker in (mask_score, agreement, box_score, product, first, sequential_agreement)}
)
"""The pickers that a run can be asked for by name."""


def needs_only_scores(picker: Picker) -> bool:
    """Whether a picker is known to need no masks, as those with a name are."""
    return picker in PICKERS.values()


def find_picker(name: str) -> Picker:
    """The picker of that name.

    Raises:
        SettingsError: there is none, or it is `oracle`, which looks at the target and so cannot pick.
    """
    if name == "oracle":
        raise SettingsError("the oracle looks at the target and cannot pick; every report shows its IoU and the regret")
    if name not in PICKERS:
        hint, known = nearest(name.lower(), PICKERS), f"known: {', '.join(sorted(PICKERS))}"
        raise SettingsError(f"unknown picker {name!r}; {hint}{'' if hint == known else f' {known}'}")
    return PICKERS[name]


def _find_highest(scores: Floats) -> int | None:
    """The index of the highest score, the first of equals; a NaN never wins over a number."""
    if not len(scores):
        return None
    highest = int(scores.argmax())
    if math.isnan(scores[highest]):  # the highest to numpy: so it is seen, wherever it is
        return int(np.where(np.isnan(scores), -np.inf, scores).argmax())
    return highest


def _compute_ranks(scores: Floats, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each score, how many different ones of the known are lower: a copy of a proposal takes nobody's rank."""
    # by a set and not by numpy: there are a few proposals, seldom hundreds
    lower = {score: rank for rank, score in enumerate(sorted(set(scores[known].tolist())))}
    return np.array([lower.get(score, 0) for score in scores.tolist()], np.int64)
