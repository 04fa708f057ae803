from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.errors import ProposalsError, StoreError
from segqa.inference import pipeline
from segqa.inference.evaluator import Evaluation
from segqa.inference.pipeline import _check_pick, get_prediction
from segqa.inference.proposal_cache import ProposalCache
from segqa.models.protocol import Proposals
from segqa.runs.store import Store
from tests.inference.test_evaluator import Bright

Squares = Callable[[int], Path]


@pytest.mark.parametrize("picked", [-1, 2, 99])
def test_a_pick_that_is_no_index_is_refused(picked: int) -> None:
    with pytest.raises(ProposalsError, match=f"answered {picked}, expected an index below 2"):
        _check_pick(picked, 2)


def test_a_prediction_without_a_pick_is_empty() -> None:
    assert not get_prediction(Proposals.none((4, 6)), None, (2, 3)).any()
    assert get_prediction(Proposals.single(np.ones((4, 6), np.bool_)), 0, (2, 3)).all()


def events(squares: Squares, folder: Path) -> list[str]:
    """What happens in an evaluation of three batches, in its order."""
    told: list[str] = []

    class Telling(Bright):
        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            told.append("asked")
            return super().predict(images, prompts)

    how = Evaluation(batch_size=2, progress=lambda done, _: told.append(f"{done} done"))
    how.run(Telling(), "bright", open_folder(squares(6)), Store(folder))
    return told


def test_a_fast_model_is_asked_for_the_next_batch_while_the_one_before_is_scored(
    squares: Squares, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_SLOW", 60)
    assert events(squares, tmp_path) == ["0 done", "asked", "asked", "2 done", "asked", "4 done", "6 done"]


def test_of_a_slow_model_each_batch_is_told_at_once(
    squares: Squares, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_SLOW", 0)
    assert events(squares, tmp_path) == ["0 done", "asked", "2 done", "asked", "4 done", "asked", "6 done"]


def test_what_cannot_be_kept_ends_the_evaluation(
    squares: Squares, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(ProposalCache, "put", full)
    with pytest.raises(StoreError, match="no room"):
        events(squares, tmp_path)
