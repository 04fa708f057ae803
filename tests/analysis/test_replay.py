from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import segqa
from segqa.analysis.replay import find_flips, replay
from segqa.data.mask import Image
from segqa.errors import SettingsError
from segqa.models.pickers import PICKERS
from segqa.models.protocol import Proposals
from segqa.runs.run import Run
from tests.conftest import bright_square, write_case


class TwoMinds:
    """Offers what is dark with the better mask score and what is bright with the better box score."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [self.answer(image[:, :, 0] > 100) for image in images]

    def answer(self, right: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Proposals:
        if right[0, 0]:
            return Proposals.none((right.shape[0], right.shape[1]))
        return Proposals(np.stack([~right, right]), np.array([0.9, 0.8]), np.array([0.1, np.nan]), np.zeros((2, 4)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(5):
        write_case(tmp_path, f"{index}", *bright_square(index))
    (tmp_path / "masks" / "3.png").unlink()
    return tmp_path


def drop_times(run: Run) -> list[object]:
    return [(o.case_id, o.proposal_scores, o.picked, o.counts, o.interior_counts, o.status) for o in run.outcomes]


@pytest.mark.parametrize("pick", PICKERS)
def test_a_replay_is_the_run_that_would_have_been(folder: Path, pick: str) -> None:
    run = segqa.evaluate(TwoMinds(), folder, pick="mask_score")
    really = segqa.evaluate(TwoMinds(), folder, pick=pick)
    replayed = replay(run, pick)
    assert drop_times(replayed) == drop_times(really)
    assert replayed.pick == pick
    assert replayed.mean_iou == really.mean_iou


def test_flips_are_the_cases_decided_otherwise(folder: Path) -> None:
    run = segqa.evaluate(TwoMinds(), folder, pick="mask_score")
    # the first case has no proposals and the fourth is an error: neither can flip
    assert find_flips(run, replay(run, "first")) == []
    back = replay(segqa.evaluate(TwoMinds(), folder, pick="first"), "mask_score")
    assert find_flips(back, back) == []


def test_flips_come_with_the_greatest_gain_first(tmp_path: Path) -> None:
    class Graded(TwoMinds):
        def answer(self, right: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Proposals:
            half = right.copy()
            half[: int(np.flatnonzero(right.any(axis=1))[0]) + 6] = False
            return Proposals(np.stack([half, right]), np.array([0.9, 0.8]), np.array([0.1, 0.9]), np.zeros((2, 4)))

    for index in range(3):
        write_case(tmp_path, f"{index}", *bright_square(index))
    run = segqa.evaluate(Graded(), tmp_path, pick="mask_score")
    found = find_flips(run, replay(run, "box_score"))
    assert [flip.before.case_id for flip in found] == ["0", "1", "2"]
    assert all(flip.gain == pytest.approx(0.5) for flip in found)


def test_an_unknown_picker_is_refused(folder: Path) -> None:
    with pytest.raises(SettingsError, match="unknown picker"):
        replay(segqa.evaluate(TwoMinds(), folder), "best")
