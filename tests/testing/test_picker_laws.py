from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from segqa.models.pickers import PICKERS, agreement, first, sequential_agreement
from segqa.models.protocol import Proposals
from segqa.testing import BrokenLawError, broken, check_picker, picker_laws

Choose = Callable[[Proposals], int | None]


@pytest.mark.parametrize("name", [name for name in PICKERS if name not in {"first", "sequential_agreement"}])
def test_ours_keep_the_laws(name: str) -> None:
    check_picker(PICKERS[name])


def test_what_is_known_of_the_others_is_all_that_they_break() -> None:
    assert list(broken(picker_laws(first))) == ["order changes nothing", "never NaN beside numbers"]
    assert list(broken(picker_laws(sequential_agreement))) == ["order changes nothing"]


def test_the_rule_of_the_story_is_found_by_a_few_proposals() -> None:
    with pytest.raises(BrokenLawError) as raised:
        check_picker(sequential_agreement)
    assert raised.value.law == "order changes nothing"
    assert len(raised.value.example.splitlines()) <= 5


def ranks_with_copies(offered: Proposals) -> int | None:
    """Ranks that count proposals, not scores: a copy of one moves others."""
    if not len(offered):
        return None
    both = [(scores[:, None] > scores[None, :]).sum(axis=1) for scores in (offered.mask_scores, offered.box_scores)]
    return int(np.argmax(both[0] + both[1]))


def largest_mask(offered: Proposals) -> int | None:
    return int(np.argmax(offered.masks.sum(axis=(1, 2)))) if len(offered) else None


def lowest(offered: Proposals) -> int | None:
    return int(np.argmin(offered.mask_scores)) if len(offered) else None


def nan_first(offered: Proposals) -> int | None:
    """numpy's argmax answers NaN."""
    return int(np.argmax(offered.mask_scores)) if len(offered) else None


def from_one(offered: Proposals) -> int | None:
    return int(np.argmax(offered.mask_scores)) + 1 if len(offered) else None


def never_none(offered: Proposals) -> int | None:
    return int(np.argmax(offered.mask_scores)) if len(offered) else 0


class Moody:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, offered: Proposals) -> int | None:
        self.calls += 1
        return self.calls % len(offered) if len(offered) else None


@pytest.mark.parametrize(
    ("fn", "law"),
    [
        (ranks_with_copies, "a copy of the picked one changes nothing"),
        (largest_mask, "what the masks hold changes nothing"),
        (lowest, "raising the picked one keeps it"),
        (nan_first, "never NaN beside numbers"),
        (from_one, "a valid index"),
        (never_none, "nothing to pick is None"),
        (Moody(), "the same again"),
        (lambda offered: int(offered.mask_scores.argmax()), "nothing to pick is None"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
def test_a_picker_that_goes_wrong_is_found(fn: Choose, law: str) -> None:
    example = broken(picker_laws(fn), 60)[law]
    assert "came" in example


def test_a_copy_takes_nobody_s_rank() -> None:
    scores = np.array([0.0, 0.125, 0.0]), np.array([0.125, 0.0, 0.125])
    assert agreement(Proposals(np.zeros((3, 1, 1), np.bool_), *scores, np.zeros((3, 4)))) == 0


def test_a_law_can_be_tried_again() -> None:
    laws = picker_laws(PICKERS["product"])
    for examples in (3, 3, 5):
        laws["a valid index"](examples)
