"""Columns hold what the outcomes were, and count as these do one by one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segqa.data.string_columns import CategoricalColumn
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.outcomes import Outcomes
from segqa.runs.parquet_blocks import PartWriter, to_table
from segqa.runs.parquet_columns import ParquetColumns
from segqa.scoring.error_breakdown import Breakdown
from segqa.scoring.metrics import Counts

COUNTS = (Counts(5, 1, 2, 12), Counts(0, 3, 7, 10), Counts(7, 0, 0, 13), Counts(2, 2, 5, 11))


def drawn(seed: int, many: int = 40) -> list[Outcome]:
    """Outcomes of every sort: errors, nothing offered or picked, empty targets, scores and tags that are not there."""
    random = np.random.default_rng(seed)
    return [_drawn(random, f"{place:03}") for place in range(many)]


def _drawn(random: np.random.Generator, case_id: str) -> Outcome:
    if random.random() < 0.1:
        return Outcome(case_id=case_id, tags={"camera": "C1"}, error="Traceback\nValueError: no")
    empty = random.random() < 0.2
    offers = [
        ProposalScore(
            Counts(0, fp := int(random.integers(3)), 0, 20 - fp), Counts(0, fp, 0, 9 - fp), float(random.random())
        )
        if empty
        else ProposalScore(COUNTS[random.integers(4)], COUNTS[random.integers(4)], None, 0.5)
        for _ in range(random.integers(4))
    ]
    picked = int(random.integers(len(offers))) if offers and random.random() < 0.8 else None
    if picked is not None and random.random() < 0.5:
        offers[picked] = replace(offers[picked], breakdown=Breakdown(1, 2, 3, 4, 5, 6, 21))
    return Outcome(
        case_id=case_id,
        prompt=["person.", "dog."][random.integers(2)],
        tags={name: f"{random.integers(3)}" for name in ("camera", "light") if random.random() < 0.7},
        properties={name: float(random.random()) for name in ("brightness", "border") if random.random() < 0.7},
        digest=f"{random.integers(1000):x}",
        pixels=f"{random.integers(1000):x}" if random.random() < 0.8 else "",
        proposals_key="ab" * int(random.integers(2)),
        proposal_scores=tuple(offers),
        picked=picked,
        empty_prediction=Counts(0, 0, 0, 20) if empty else Counts(0, 0, 7, 13),
        seconds=float(random.random()),
        cached=bool(random.integers(2)),
        note="odd" if random.random() < 0.2 else "",
    )


Keep = Callable[[Sequence[Outcome]], Outcomes]


@pytest.fixture(params=["in memory", "in files"])
def keep(request: pytest.FixtureRequest, tmp_path: Path) -> Keep:
    """Puts outcomes into columns, of either sort."""

    def in_files(cases: Sequence[Outcome]) -> Outcomes:
        pytest.importorskip("pyarrow")
        writer = PartWriter(tmp_path / "cases")
        for start in range(0, len(cases), 15):
            writer.add(to_table(Outcomes.from_outcomes(cases[start : start + 15]).columns))  # type: ignore[arg-type] # in memory
        writer.close()
        return Outcomes(ParquetColumns(tmp_path / "cases"))

    return Outcomes.from_outcomes if request.param == "in memory" else in_files


@pytest.mark.parametrize("seed", range(5))
def test_outcomes_come_out_as_they_went_in(seed: int, keep: Keep) -> None:
    cases = drawn(seed)
    kept = keep(cases)
    assert list(kept) == cases
    assert kept[7] == cases[7]
    assert kept[-1] == cases[-1]
    assert kept[5:25][3::4] == cases[5:25][3::4]
    assert kept.take(np.array([3, 1])).take(np.array([False, True])) == [cases[1]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("part", [slice(None), slice(31, 2, -1)], ids=["all", "some, backwards"])
def test_all_at_once_counts_as_one_by_one(seed: int, part: slice, keep: Keep) -> None:
    cases, columns = drawn(seed)[part], keep(drawn(seed))[part]
    zeros = Counts(0, 0, 0, 0)
    assert columns.failed.tolist() == [bool(each.error) for each in cases]
    assert columns.counts.tolist() == [list(each.counts or zeros) for each in cases]
    assert columns.interior_counts.tolist() == [list(each.interior_counts or zeros) for each in cases]
    assert columns.oracle.tolist() == [list(each.oracle or zeros) for each in cases]
    assert [None if best < 0 else best for best in columns.best.tolist()] == [each.best for each in cases]
    assert columns.offered.tolist() == [len(each.proposal_scores) for each in cases]
    assert columns.wrong.tolist() == [_wrong(each) for each in cases]
    assert dict(columns.breakdowns()) == {
        place: each.breakdown for place, each in enumerate(cases) if each.breakdown is not None
    }
    assert columns.notes == [(each.case_id, each.note) for each in cases if each.note]
    for scores, each in zip(columns.offer_scores(), cases, strict=True):
        np.testing.assert_array_equal(scores, _scores(each))
    assert list(columns.prompts) == [each.prompt for each in cases]
    assert columns.digests == [each.digest for each in cases]
    assert columns.pixels == [each.pixels for each in cases]
    assert columns.keys == [each.proposals_key for each in cases]
    assert columns.seconds.tolist() == [each.seconds for each in cases]
    assert columns.cached.tolist() == [each.cached for each in cases]
    assert {name: list(tag) for name, tag in columns.tags.items()} == {
        name: [each.tags.get(name) for each in cases] for name in ("camera", "light")
    }
    for name, numbers in columns.properties.items():
        np.testing.assert_array_equal(numbers, [each.properties.get(name, math.nan) for each in cases])


def _wrong(case: Outcome) -> list[int]:
    """Wrong pixels at the contour and elsewhere, of a prediction that was broken down."""
    found = case.breakdown if case.picked is not None else None
    if found is None:
        return [-1, -1]
    return [found.fp_boundary + found.fn_boundary, sum(found.numbers[:6]) - found.fp_boundary - found.fn_boundary]


@pytest.mark.parametrize("seed", range(5))
def test_another_pick(seed: int, keep: Keep) -> None:
    cases = drawn(seed)
    chosen = [len(each.proposal_scores) - 1 for each in cases]
    wanted = [replace(each, picked=None if pick < 0 else pick) for each, pick in zip(cases, chosen, strict=True)]
    kept = keep(cases).repick(np.array(chosen))
    assert list(kept) == wanted
    assert kept.counts.tolist() == Outcomes.from_outcomes(wanted).counts.tolist()
    assert kept.interior_counts.tolist() == Outcomes.from_outcomes(wanted).interior_counts.tolist()
    assert kept[20:5:-3] == wanted[20:5:-3]


def _scores(outcome: Outcome) -> list[list[float]]:
    nan = math.nan
    return [
        [nan if score is None else score for score in (offer.mask_score, offer.box_score)] + [offer.counts.iou]
        for offer in outcome.proposal_scores
    ]


@pytest.mark.parametrize("metric", ["iou", "dice", "precision", "recall"])
def test_a_metric_of_all_is_that_of_each(metric: str) -> None:
    cases = drawn(0)
    wanted = [math.nan if each.counts is None else getattr(each.counts, metric) for each in cases]
    np.testing.assert_array_equal(Outcomes.from_outcomes(cases).metric(metric), wanted)


def test_tags_and_properties_are_those_that_a_case_has() -> None:
    known = Outcome(case_id="a", tags={"camera": "C1"}, properties={"brightness": 0.5})
    both = Outcomes.from_outcomes([Outcome(case_id="x"), known, Outcome(case_id="y", tags={"light": "dim"})])
    assert set(both.tags) == {"camera", "light"}
    assert list(both.tags["camera"]) == [None, "C1", None]
    assert both.properties["brightness"][1:2].tolist() == [0.5]
    assert set(both[:2].tags) == {"camera"}
    assert both[2:].properties == {}


def test_no_outcome_at_all() -> None:
    none = Outcomes.from_outcomes([])
    assert len(none) == 0
    assert none.counts.shape == (0, 4)
    assert none.best.tolist() == none.metric("iou").tolist() == []
    assert none.tags == {}


def test_outcomes_are_told_by_the_first_of_them() -> None:
    outcomes = Outcomes.from_outcomes([Outcome(case_id=name) for name in "abcdef"])
    assert repr(outcomes) == "<6 outcomes: a, b, c, d, e, …>"
    assert repr(outcomes[:1]) == "<1 outcome: a>"
    assert repr(outcomes[:0]) == "<0 outcomes>"


def test_pixels_beyond_32_bits() -> None:
    huge = Counts(0, 0, 1 << 33, 5)
    case = Outcome(case_id="a", proposal_scores=(ProposalScore(huge, huge),), picked=0, empty_prediction=huge)
    assert Outcomes.from_outcomes([case])[0] == case


def test_names_that_become_one() -> None:
    column = CategoricalColumn(("a", "A", "b"), np.array([0, 1, 2, -1], np.int32))
    assert list(column.map_values(str.lower)) == ["a", "a", "b", None]
    assert column.map_values(str.lower).equals("a").tolist() == [True, True, False, False]
    assert list(column.fill_from(CategoricalColumn(("A", "c"), np.array([1, 1, 1, 0], np.int32)))) == [
        "a",
        "A",
        "b",
        "A",
    ]
    assert column.fill_from(CategoricalColumn(("A",), np.array([0, 0, 0, 0], np.int32))).used == [
        (1, "A"),
        (0, "a"),
        (2, "b"),
    ]
    assert not column.equals("z").any()


def test_a_case_takes_a_few_hundred_bytes() -> None:
    """An object each takes 2,200: a run of a hundred thousand cases has to fit beside its baseline."""
    columns = Outcomes.from_outcomes(drawn(0, 2_000)).columns
    arrays = [value for value in vars(columns).values() if isinstance(value, np.ndarray)]
    arrays += [column.codes for column in columns.tags.values()] + list(columns.properties.values())
    texts = [columns.ids, columns.digests, columns.keys]
    assert (
        sum(each.nbytes for each in arrays) + sum(len(each.joined.text) + each.joined.starts.nbytes for each in texts)
        < 800_000
    )
