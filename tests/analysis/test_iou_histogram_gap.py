from dataclasses import FrozenInstanceError

import pytest

from segqa.analysis.iou_histogram_gap import Gap, find_gap
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from tests.outcomes import outcome_of


def make_run(*ious: float) -> Run:
    outcomes = tuple(
        outcome_of(Counts(tp, 1000 - tp, 0, 10), f"{n:04}") for n, tp in enumerate(round(1000 * iou) for iou in ious)
    )
    return Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "agreement")


def test_the_storys_spike_is_a_gap() -> None:
    gap = find_gap(make_run(*[0.0] * 124, *[0.5] * 6, *[0.86, 0.91, 0.94] * 354))
    assert gap is not None
    assert str(gap) == "gap: 124 of 1192 cases (10.4%) have IoU below 0.05, and 6 between that and 0.85"


@pytest.mark.parametrize(
    "ious",
    [
        [0.0] * 2 + [0.9] * 50,
        [n / 100 for n in range(100)],
        [0.0] * 10 + [0.12] * 10 + [0.9] * 50,
        [0.0] * 10,
        [0.0] * 10 + [0.3] * 2 + [0.9] * 1,
        [],
    ],
    ids=["two zeros", "no gap", "too narrow", "nothing above", "hardly anything above", "empty"],
)
def test_what_is_no_gap(ious: list[float]) -> None:
    assert find_gap(make_run(*ious)) is None


def test_perfect_cases_are_above_the_gap() -> None:
    gap = find_gap(make_run(*[0.0] * 5, *[1.0] * 20))
    assert gap is not None
    assert (gap.spike, gap.between, gap.upper) == (5, 0, 0.95)
    assert "and none between that and 0.95" in str(gap)


@pytest.mark.parametrize(
    ("ious", "found"),
    [
        ([0.0] * 3 + [0.9] * 5, Gap(3, 8, 0.9, 0)),
        ([0.0] * 10 + [0.12] * 2 + [0.9] * 9, Gap(10, 21, 0.9, 2)),
        ([0.0] * 10 + [0.12] * 3 + [0.9] * 9, None),
        ([0.0] * 10 + [0.27] * 9, Gap(10, 19, 0.25, 0)),
        ([0.0] * 10 + [0.22] * 9, None),
        ([0.04] * 10 + [0.07] * 2 + [0.14] * 2 + [0.9] * 3 + [0.97] * 2, Gap(10, 19, 0.9, 4)),
        ([0.04] * 10 + [0.07] * 2 + [0.14] * 2 + [0.9] * 3 + [0.97], None),
        ([0.0] * 10 + [0.07] * 2 + [0.27] * 2 + [0.32] * 5, Gap(10, 19, 0.3, 4)),
        ([0.0] * 10 + [0.07] * 2 + [0.27] * 2 + [0.32] * 3, None),
        ([0.0] * 10 + [0.5] * 2 + [0.62] * 3 + [0.9] * 9, Gap(10, 24, 0.6, 2)),
    ],
    ids=[
        "three are a spike", "a fifth is sparse", "more is not", "four bins are wide", "three are not",
        "the rest has to hold more", "as many are not more",
        "its last bin is of it", "fewer are not more", "it ends at the first full bin",
    ],
)  # fmt: skip
def test_where_a_gap_begins_and_ends(ious: list[float], found: Gap | None) -> None:
    assert find_gap(make_run(*ious)) == found


def test_a_gap_cannot_be_changed() -> None:
    gap = Gap(3, 8, 0.9, 0)
    with pytest.raises(FrozenInstanceError):
        gap.spike = 2  # type: ignore[misc]
    assert not hasattr(gap, "__dict__")
