from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segqa.data.case import Target
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.errors import ProposalsError
from segqa.inference.case_scores import CaseScores
from segqa.inference.evaluator import Evaluation
from segqa.models.protocol import Proposals
from segqa.runs.outcome import Outcome
from segqa.runs.store import Store

Squares = Callable[[int], Path]


class Two:
    """Offers the square, and a part of the frame that `product` prefers."""

    fingerprint = "two"

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [self._offered(image) for image in images]

    def _offered(self, image: Image) -> Proposals:
        wrong = np.zeros(image.shape[:2], np.bool_)
        wrong[:5] = True
        masks = np.stack([image[:, :, 0] > 100, wrong])
        return Proposals(masks, np.array([0.9, 0.8]), np.array([0.5, 0.9]), np.zeros((2, 4)))


def outcomes(data: Dataset, store: Store, **how: object) -> list[Outcome]:
    """Without what differs by nature: the seconds, and whether they are of before."""
    run = Evaluation(**how).run(Two(), "two", data, store)  # type: ignore[arg-type]
    return [replace(each, seconds=0.0, cached=False) for each in run.outcomes]


@pytest.mark.parametrize(
    "how",
    [{}, {"pick": "product"}, {"pick": "mask_score"}, {"threshold": 1.0}, {"threshold": 0.0}, {"refresh": True}],
)
def test_what_is_kept_gives_the_outcomes_that_pixels_give(
    squares: Squares, tmp_path: Path, how: dict[str, object]
) -> None:
    data, store = open_folder(squares(4)), Store(tmp_path / "kept")
    wanted = outcomes(data, Store(tmp_path / "new"), **how)
    outcomes(data, store, pick="first")
    assert outcomes(data, store, **how) == wanted
    assert outcomes(data, store, **how) == wanted


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tallies SET tally = x'00'",
        "UPDATE tallies SET of = x'00'",
        "UPDATE proposals SET masks = x'00'",
        "DROP TABLE tallies",
    ],
)
def test_what_is_damaged_or_not_there_is_counted_anew(squares: Squares, tmp_path: Path, damage: str) -> None:
    data, store = open_folder(squares(4)), Store(tmp_path)
    wanted = outcomes(data, store)
    with closing(sqlite3.connect(store.shared_proposals)) as database, database:
        database.execute(damage)
    assert outcomes(data, store) == wanted


def test_another_target_is_counted(squares: Squares, tmp_path: Path) -> None:
    folder = squares(3)
    store = Store(tmp_path / "kept")
    before = outcomes(open_folder(folder), store)
    masks = sorted((folder / "masks").iterdir())
    masks[0].write_bytes(masks[1].read_bytes())
    after = outcomes(open_folder(folder), store)
    assert after == outcomes(open_folder(folder), Store(tmp_path / "new"))
    assert after[0].counts != before[0].counts


def test_a_tally_comes_back_as_it_was_and_a_damaged_one_is_refused() -> None:
    target = Target(np.eye(9, dtype=np.bool_), "odd")
    masks = np.stack([target.mask, ~target.mask])
    offered = Proposals(masks, np.array([np.nan, 1 / 3]), np.array([0.1, 1.0]), np.zeros((2, 4)))
    case_scores = CaseScores.from_proposals(offered, target, 0.5).break_down(1, masks[1], target.mask)
    assert CaseScores.unpack(case_scores.pack(), 0.5) == case_scores
    assert case_scores.select_scores(0, 0.7)[1].breakdown is None
    with pytest.raises(ProposalsError, match="damaged"):
        CaseScores.unpack(case_scores.pack()[:-3], 0.5)
