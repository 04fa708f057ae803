from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import segqa
from segqa.analysis.robustness.measure import RobustnessMeasurement, compute_agreement
from segqa.analysis.robustness.perturbations import PERTURBATIONS, find_perturbation
from segqa.analysis.robustness.result import find_robustness, read_agreements
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.errors import DatasetError, ModelError
from segqa.inference.evaluator import Evaluation
from segqa.models.protocol import Proposals
from segqa.runs.store import Store

pytest.importorskip("albumentations")

Squares = Callable[[int], Path]
EACH = sum(len(change.amounts) for change in PERTURBATIONS)


class Bright:
    """Segments what is bright in its image; says so."""

    def __init__(self, cutoff: int = 128, fingerprint: str = "bright") -> None:
        self.cutoff, self.fingerprint, self.asked = cutoff, fingerprint, 0

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        self.asked += len(images)
        return [Proposals.single(image[:, :, 1] > self.cutoff) for image in images]


class Fragile(Bright):
    """Fails on an image that is all white."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        if any(image.min() == 255 for image in images):
            raise RuntimeError("too bright for me")
        return super().predict(images, prompts)


def make_measurement(folder: Path, store: Store, model: Bright, cases: int = 2) -> RobustnessMeasurement:
    how, dataset = Evaluation(command="pytest suites"), open_folder(folder)
    return RobustnessMeasurement.from_run(how, how.run(model, "bright", dataset, store), dataset, store, cases)


def test_what_a_change_does_to_a_simple_model_is_known(squares: Squares, tmp_path: Path) -> None:
    model = Bright(150)
    found, changed = make_measurement(squares(4), Store(tmp_path / "s"), model).make(model)
    assert len(found.trials) == len(changed.outcomes) == 2 * EACH
    for name in ("flip", "shift", "channel_swap", "grayscale", "padding"):
        assert found.select(name).agreement == pytest.approx(1, abs=1e-9)
    assert found.select("padding").drop == 0.0
    assert found.select("flip").drop == 0.0
    # squares of 200 stay above the cutoff until they are much darker
    assert found.select("gamma", 1).agreement == 1.0
    assert found.select("gamma", 3).iou == 0.0
    assert found.select_all("blank").hallucinated == pytest.approx(1 / 3)
    assert found.compute_rises("occlusion") == 0.0
    assert found.select("occlusion", 3).iou == pytest.approx(1 - round(0.45 * 12) / 12)
    assert found.select("occlusion", 3).agreement == found.select("occlusion", 3).iou
    assert all(math.isnan(trial.agreement) for trial in found.select_all("blank").found)


def test_a_second_time_nothing_is_asked_and_nothing_evaluated(squares: Squares, tmp_path: Path) -> None:
    folder, store, model = squares(4), Store(tmp_path / "s"), Bright()
    first = make_measurement(folder, store, model)
    assert first.find_earlier(model) is None
    made, _ = first.make(model)
    asked, runs = model.asked, len(store.run_ids())
    again = make_measurement(folder, store, model)
    kept = again.find_earlier(model)
    assert kept is not None
    assert str(kept.trials) == str(made.trials)
    assert model.asked == asked
    assert len(store.run_ids()) == runs + 1
    assert again.run.id != first.run.id
    assert find_robustness(store, again.run) is not None


def test_another_model_other_cases_and_a_refresh_are_measured_anew(squares: Squares, tmp_path: Path) -> None:
    folder, store, model = squares(4), Store(tmp_path / "s"), Bright()
    make_measurement(folder, store, model).make(model)
    assert make_measurement(folder, store, model, cases=3).find_earlier(model) is None
    assert make_measurement(folder, store, Bright(60, "other")).find_earlier(Bright(60, "other")) is None
    same = make_measurement(folder, store, model)
    assert same.find_earlier(model) is not None
    assert replace(same, how=replace(same.how, refresh=True)).find_earlier(model) is None


def test_other_predictions_on_the_unchanged_images_are_compared_anew(squares: Squares, tmp_path: Path) -> None:
    folder, store, model = squares(4), Store(tmp_path / "s"), Bright()
    make_measurement(folder, store, model).make(model)
    same = make_measurement(folder, store, model)
    other = {case_id: replace(outcome, picked=None) for case_id, outcome in same.sample.items()}
    assert replace(same, sample=other).find_earlier(model) is None


def test_errors_are_errors_and_are_tried_again(squares: Squares, tmp_path: Path) -> None:
    folder, store, fragile = squares(2), Store(tmp_path / "s"), Fragile()
    found, changed = make_measurement(folder, store, fragile).make(fragile)
    assert found.select("blank", 3).tally == "0 scored, 2 errors"
    assert found.errors == pytest.approx(1 / EACH)
    assert len(changed.errors) == 2
    assert make_measurement(folder, store, fragile).find_earlier(fragile) is None


def test_stored_answers_are_enough(squares: Squares, tmp_path: Path) -> None:
    folder, store, model = squares(4), Store(tmp_path / "s"), Bright()
    first = make_measurement(folder, store, model)
    with pytest.raises(ModelError, match="have no stored proposals"):
        first.make(None)
    first.make(model)
    found, _ = first.make(None)
    assert found.select("flip").agreement == 1.0


def test_an_older_run_is_compared_with_its_own_model(squares: Squares, tmp_path: Path) -> None:
    folder, store = squares(4), Store(tmp_path / "s")
    older, newer = Bright(), Bright(60, "other")
    first = make_measurement(folder, store, older)
    make_measurement(folder, store, newer).make(newer)
    # the answers of the newer model are there, those of the older one to changed images are not
    with pytest.raises(ModelError, match="have no stored proposals"):
        first.make(None)
    made, _ = first.make(older)
    make_measurement(folder, store, newer)
    kept = first.find_earlier(None)
    assert kept is not None
    assert str(kept.trials) == str(made.trials)


def test_a_model_without_a_fingerprint_is_compared_too(squares: Squares, tmp_path: Path) -> None:
    class Nameless(Bright):
        def __init__(self) -> None:
            super().__init__()
            del self.fingerprint

    model = Nameless()
    first = make_measurement(squares(2), Store(tmp_path / "s"), model)
    found, _ = first.make(model)
    assert found.select("flip").agreement == 1.0
    assert first.find_earlier(model) is None


def test_cases_that_cannot_be_read_are_left_out_and_named(squares: Squares, tmp_path: Path) -> None:
    folder = squares(3)
    (folder / "images" / "A_000.png").write_bytes(b"")
    found, _ = make_measurement(folder, Store(tmp_path / "s"), Bright(), cases=3).make(Bright())
    assert found.left_out == ("A_000",)
    assert found.cases == 2
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="none of 3 cases of squares could be evaluated unchanged"):
        make_measurement(folder, Store(tmp_path / "s"), Bright(), cases=3)


def test_agreement_is_over_the_pixels_that_both_images_have() -> None:
    before = np.zeros((100, 100), np.bool_)
    before[:, 80:] = True
    shift = find_perturbation("shift")
    after, _ = shift.mask(3, before)
    assert compute_agreement(shift, 3, before, after) == 1
    after[:10] = True
    after[:, :10] = True
    assert compute_agreement(shift, 3, before, after) == 1
    after[10:55] = False
    assert compute_agreement(shift, 3, before, after) == 0.5
    assert compute_agreement(find_perturbation("blur"), 1, before, np.zeros_like(before)) == 0
    assert compute_agreement(find_perturbation("blur"), 1, ~before & before, ~before & before) == 1


def test_in_a_notebook_a_folder_is_enough(squares: Squares, tmp_path: Path) -> None:
    model = Bright()
    found = segqa.measure_robustness(model, squares(4), cases=2, directory=tmp_path / "kept")
    assert (found.model, found.dataset, found.cases) == ("Bright", "squares", 2)
    asked = model.asked
    segqa.measure_robustness(model, tmp_path / "squares", cases=2, directory=tmp_path / "kept")
    assert model.asked == asked
    assert repr(found) == f"<robustness of Bright on squares: 2 cases, {2 * EACH} trials>"


class Two(Bright):
    """Offers what is bright and all but that; which of them the box score likes better depends on the image's mean."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [self._answer(image) for image in images]

    def _answer(self, image: Image) -> Proposals:
        bright = image[:, :, 1] > self.cutoff
        box_scores = np.array([0.5, float(image.mean() > 60)])
        return Proposals(np.stack([bright, ~bright]), np.array([0.9, 0.1]), box_scores, np.zeros((2, 4)))


def test_another_pick_agrees_as_if_nothing_had_been_measured_before(squares: Squares, tmp_path: Path) -> None:
    dataset, model = open_folder(squares(4)), Two(fingerprint="two")

    def trials(store: Store, pick: str) -> list[str]:
        how = Evaluation(pick=pick)
        run = how.run(model, "two", dataset, store)
        return list(map(str, RobustnessMeasurement.from_run(how, run, dataset, store, 2).make(model)[0].trials))

    both, alone = Store(tmp_path / "both"), Store(tmp_path / "alone")
    first = trials(both, "mask_score")
    assert trials(both, "box_score") == trials(alone, "box_score") != first


def test_what_was_compared_before_is_not_compared_again(squares: Squares, tmp_path: Path) -> None:
    model, store = Bright(), Store(tmp_path / "s")
    made, changed = make_measurement(squares(4), store, model).make(model)
    known = read_agreements(store, "bright", changed.dataset)
    told = [trial for trial in made.trials if trial.compared]
    assert len(told) == len(made.trials) - 2 * 3  # blank ones
    assert {trial.compared: str(trial.agreement) for trial in told} == {
        pair: str(known[pair]) for pair in known if pair
    }
    store.shared_proposals.unlink()
    again = dict(zip(made.trials, make_measurement(squares(4), store, model)._compare_all(changed), strict=True))
    assert all(str(before.agreement) == str(after.agreement) for before, after in again.items())
