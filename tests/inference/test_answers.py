"""What a model may answer, what it may not, and that neither side writes into what the other one holds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import segqa
from segqa.data.folder import open_folder
from segqa.data.mask import Image, Mask
from segqa.errors import ModelError, ProposalsError, UsageError
from segqa.inference.batch_size import BatchSize
from segqa.inference.evaluator import Evaluation
from segqa.inference.predictor import Predictor
from segqa.inference.timing import StageTimer
from segqa.inference.validation import check_answers
from segqa.models.protocol import Proposals
from segqa.runs.run import Run
from segqa.runs.store import Store

Squares = Callable[[int], Path]


def bright(image: Image) -> Mask:
    return image[:, :, 0] > 100


class Model:
    """Answers with what a function makes of all images; counts its calls."""

    def __init__(self, answer: Callable[[Sequence[Image]], Any], fingerprint: str = "model") -> None:
        self.answer, self.fingerprint = answer, fingerprint
        self.calls: list[int] = []

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> Any:
        self.calls.append(len(images))
        return self.answer(images)


def each(make: Callable[[Image], Any]) -> Model:
    """A model that answers image by image."""
    return Model(lambda images: [make(image) for image in images])


def notes(run: Run) -> list[str]:
    found: list[str] = run.provenance["notes"]
    return found


class Reuses:
    """Writes every answer into one buffer."""

    def __init__(self, *, by_batch: bool = False) -> None:
        self.buffer = np.zeros((8, 40, 60), np.bool_)
        self.by_batch = by_batch

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        found = []
        for at, image in enumerate(images):
            buffer = self.buffer[at if self.by_batch else 0]
            buffer[:] = bright(image)
            found.append(Proposals.single(buffer))
        return found


def test_a_buffer_that_the_next_call_overwrites_is_scored_as_it_was(squares: Squares, tmp_path: Path) -> None:
    run = segqa.evaluate(Reuses(by_batch=True), squares(24), batch_size=2)
    assert run.mean_iou == 1.0
    assert notes(run) == []


def test_a_buffer_that_all_images_of_a_call_share_is_scored_as_it_was_and_said(squares: Squares) -> None:
    run = segqa.evaluate(Reuses(), squares(24), batch_size=8)
    assert (run.mean_iou, len(run.errors)) == (1.0, 0)
    (note,) = notes(run)
    assert "masks of two images share memory" in note
    assert "return mask.copy()" in note


def test_answers_that_are_parts_of_one_array_share_nothing(squares: Squares) -> None:
    def stacked(images: Sequence[Image]) -> list[Proposals]:
        masks = np.stack([bright(image) for image in images], axis=-1)
        return [Proposals.single(masks[:, :, at]) for at in range(len(images))]

    model = Model(stacked)
    assert segqa.evaluate(model, squares(8), batch_size=4).mean_iou == 1.0
    assert model.calls == [4, 4]


def in_place(image: Image) -> Proposals:
    mask = bright(image)
    image[:] = 0
    return Proposals.single(mask)


class ChangesThenFails(Model):
    """Changes its images before it finds that they do not fit into its memory."""

    def __init__(self) -> None:
        super().__init__(lambda images: [in_place(image) for image in images])

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> Any:
        found = super().predict(images, prompts)
        if len(images) > 2:
            raise MemoryError
        return found


class PreparesAndChanges(ChangesThenFails):
    def prepare(self, image: Image, prompt: str) -> Image:
        del prompt
        prepared = image.copy()
        image[:] = 0
        return prepared

    def predict_prepared(self, prepared: Sequence[Image], prompts: Sequence[str]) -> Any:
        return self.predict(prepared, prompts)


@pytest.mark.parametrize("make", [ChangesThenFails, PreparesAndChanges])
def test_a_call_that_is_made_again_gets_the_images_as_they_were(squares: Squares, make: Callable[[], Model]) -> None:
    model = make()
    run = segqa.evaluate(model, squares(8), batch_size=4)
    assert run.mean_iou == 1.0
    assert model.calls == [4, 2, 2, 2, 2]
    assert ["the model changes the images" in note for note in notes(run)] == [True]


def test_a_model_that_prepares_in_place_does_not_change_what_is_measured(squares: Squares) -> None:
    honest, changing = (
        segqa.evaluate(model, squares(4))
        for model in (each(lambda i: Proposals.single(bright(i))), PreparesAndChanges())
    )
    assert changing.outcomes[0].properties == honest.outcomes[0].properties
    assert changing.outcomes[0].properties["brightness"] > 0


def test_an_image_that_its_source_hands_out_twice_stays_as_it_is(squares: Squares) -> None:
    class Kept:
        def __init__(self, source: Any) -> None:
            self.source, self.kept = source, source.image()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.source, name)

        def image(self) -> Image:
            kept: Image = self.kept
            return kept

    data = open_folder(squares(4))
    kept = [segqa.Case(case.id, case.prompt, Kept(case.source)) for case in data]
    cases = segqa.Dataset.from_cases(data.name, kept)
    for _ in range(2):
        assert segqa.evaluate(each(in_place), cases).mean_iou == 1.0


def test_half_size_masks_are_said_once_and_again_where_they_are_stored(squares: Squares, tmp_path: Path) -> None:
    model = each(lambda image: Proposals.single(bright(image)[::2, ::2]))
    for _ in range(2):
        run = Evaluation().run(model, "half", open_folder(squares(10)), Store(tmp_path))
        (note,) = notes(run)
        assert "10 cases are scored by resized masks, such as A_000: 30 × 20 for an image of 60 × 40" in note
    assert len(model.calls) == 2


def test_a_model_that_answers_one_image_a_call_is_said_once(squares: Squares) -> None:
    model = Model(lambda images: [Proposals.single(bright(images[0]))])
    run = segqa.evaluate(model, squares(16), batch_size=8)
    assert (run.mean_iou, len(run.errors)) == (1.0, 0)
    (note,) = notes(run)
    assert note.startswith("a call for 8 images failed (ProposalsError: predict must return a list")
    assert "expected 8, got 1" in note


def test_a_case_that_fails_in_its_batch_makes_no_note(squares: Squares) -> None:
    def fails_on_one(image: Image) -> Proposals:
        if image[0, 0, 0] == wanted:
            raise RuntimeError("not this one")
        return Proposals.single(bright(image))

    folder = squares(8)
    wanted = next(iter(open_folder(folder))).image()[0, 0, 0]
    assert not any("alone" in note for note in notes(segqa.evaluate(each(fails_on_one), folder)))


PROBABILITIES = np.full((40, 60), 0.7)
SAM = [{"segmentation": PROBABILITIES > 0, "predicted_iou": 0.9, "bbox": [0, 0, 9, 9], "stability_score": 0.8}]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(lambda images: None, "got None; end predict with a return", id="nothing at all"),
        pytest.param(lambda images: Proposals.none((4, 4)), r"got Proposals; return \[proposals\]", id="no list"),
        pytest.param(lambda images: (i for i in images), r"got generator; return list\(...\)", id="a generator"),
        pytest.param(lambda images: [], r"expected 1, got 0; for no mask: segqa.Proposals.none\(image", id="too few"),
        pytest.param(
            lambda images: np.stack([bright(i) for i in images]),
            r"got ndarray of shape .*; return \[segqa.Proposals.single\(mask\) for mask in masks\]",
            id="an array of all",
        ),
        pytest.param(lambda images: [bright(i) for i in images], r"return segqa.Proposals.single\(mask\)", id="arrays"),
        pytest.param(
            lambda images: [None for _ in images], r"nothing is found, return segqa.Proposals.none", id="None"
        ),
        pytest.param(
            lambda images: [np.zeros((2, 40, 60), np.bool_) for _ in images],
            r"of masks \[N, height, width\]: segqa.Proposals\(masks, scores, scores, boxes\)",
            id="several masks",
        ),
        pytest.param(
            lambda images: [[bright(i)] for i in images], r"for one mask: segqa.Proposals.single", id="lists of arrays"
        ),
        pytest.param(
            lambda images: [SAM for _ in images], r"each\['segmentation'\] for each in found", id="SAM's lists"
        ),
        pytest.param(lambda images: [SAM[0] for _ in images], r"each\['predicted_iou'\]", id="SAM's dictionaries"),
        pytest.param(
            lambda images: [{"masks": PROBABILITIES, "scores": 1, "boxes": 1, "labels": 1} for _ in images],
            r"found\['masks'\] > 0.5, found\['scores'\], found\['scores'\], found\['boxes'\]",
            id="torchvision's dictionaries",
        ),
        pytest.param(
            lambda images: [{"masks": PROBABILITIES, "scores": 1} for _ in images], r"found\['masks'\] > 0", id="scores"
        ),
        pytest.param(
            lambda images: [{"segmentation": PROBABILITIES, "segments_info": []} for _ in images],
            "for each in found",
            id="a map of segments",
        ),
        pytest.param(
            lambda images: [SimpleNamespace(xyxy=1, mask=1, confidence=1) for _ in images],
            "segqa.Proposals\\(found.mask, found.confidence",
            id="supervision's detections",
        ),
        pytest.param(
            lambda images: [(bright(i), 0.5) for i in images],
            "of one mask and its score: segqa.Proposals.single\\(mask, score\\)",
            id="tuples",
        ),
        pytest.param(
            lambda images: (np.zeros((3, 40, 60), np.bool_), np.zeros(3), np.zeros((3, 9, 9))),
            "got tuple of ndarray; of masks and their scores",
            id="SAM's predictor",
        ),
        pytest.param(lambda images: "masks", "got str; for one mask", id="a text"),
        pytest.param(
            lambda images: [PROBABILITIES.tolist() for _ in images], "got a list with list of list", id="lists"
        ),
        pytest.param(
            lambda images: [Proposals.single(PROBABILITIES) for _ in images],
            r"got 0\.7; apply a cutoff first, such as mask > 0\.5, at .*test_answers.py:\d+; no answer to the first 3",
            id="probabilities",
        ),
        pytest.param(
            lambda images: [Proposals.single(bright(i).T) for i in images],
            r"image's size \(40, 60\), or be it scaled; got \(60, 40\): height and width are exchanged",
            id="turned masks",
        ),
        pytest.param(
            lambda images: [Proposals.single(bright(i)[:30]) for i in images], r"\(30, 60\): one side is cut", id="cut"
        ),
        pytest.param(
            lambda images: [Proposals.single(bright(i)[:0]) for i in images], r"got \(0, 60\): no pixel", id="empty"
        ),
        pytest.param(lambda images: sys.exit(3), r"called sys.exit\(3\); argparse does so, too", id="an exit"),
    ],
)
def test_what_is_no_answer_ends_the_evaluation_with_the_way_out(
    squares: Squares, answer: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        segqa.evaluate(Model(answer), squares(3))


def test_of_many_images_the_first_few_are_asked_for_in_vain(squares: Squares) -> None:
    model = Model(lambda images: None)
    with pytest.raises(ModelError, match="no answer to the first 8 images can be used"):
        segqa.evaluate(model, squares(40), batch_size=16)
    assert model.calls == [16, *[1] * 8]


def test_after_one_answer_what_is_none_is_an_error_of_its_case(squares: Squares) -> None:
    model = Model(lambda images: [Proposals.single(bright(images[0]))] if len(model.calls) == 1 else None)
    run = segqa.evaluate(model, squares(12), batch_size=1)
    assert len(run.errors) == 11
    assert "got None" in run.errors[0].reason


def test_after_a_failure_of_another_sort_none_ends_the_evaluation(squares: Squares) -> None:
    def answer(images: Sequence[Image]) -> Any:
        if len(model.calls) == 1:
            raise RuntimeError("not this one")

    model = Model(answer)
    assert len(segqa.evaluate(model, squares(12), batch_size=1).errors) == 12


def test_where_answers_are_stored_none_ends_the_evaluation(squares: Squares, tmp_path: Path) -> None:
    answers: dict[str, Any] = {"odd": None}
    dark = segqa.open_folder(squares(12))

    def answer(images: Sequence[Image]) -> Any:
        return [Proposals.single(bright(image)) if answers["odd"] else None for image in images]

    answers["odd"] = "answered"
    Evaluation().run(Model(answer), "model", dark.limit(1), Store(tmp_path))
    answers["odd"] = None
    run = Evaluation().run(Model(answer), "model", dark, Store(tmp_path))
    assert run.tally == "1 scored, 0 missing, 11 errors"


def test_a_model_that_exits_at_one_image_fails_at_that_one(squares: Squares) -> None:
    def exits(images: Sequence[Image]) -> Any:
        return sys.exit("enough") if len(model.calls) == 3 else [Proposals.single(bright(image)) for image in images]

    model = Model(exits)
    run = segqa.evaluate(model, squares(5), batch_size=1)
    assert run.tally == "4 scored, 0 missing, 1 error"
    assert "sys.exit('enough')" in run.errors[0].reason


def test_a_model_that_exits_as_it_prepares_fails_at_that_image(squares: Squares) -> None:
    class Exits(PreparesAndChanges):
        def prepare(self, image: Image, prompt: str) -> Image:
            sys.exit(1)

    run = segqa.evaluate(Exits(), squares(3))
    assert len(run.errors) == 3
    assert "sys.exit(1)" in run.errors[0].reason


def test_an_asker_alone_never_gives_up() -> None:
    asker = Predictor(Model(lambda images: None), BatchSize(8), StageTimer())
    questions = [asker.question(np.zeros((4, 4, 3), np.uint8), "person.") for _ in range(20)]
    asker.ask(questions)
    assert all("got None" in question.error for question in questions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"fingerprint": Path("w.pt")}, r"fingerprint must be a text, got PosixPath\('w.pt'\) of", id="path"
        ),
        pytest.param({"fingerprint": 3}, "got 3 of type int; write segqa.fingerprint_of", id="number"),
        pytest.param({"fingerprint": b"x"}, "got b'x' of type bytes", id="bytes"),
        pytest.param({"fingerprint": len}, "make it a property, or call it", id="function"),
        pytest.param({"weights_bytes": np.int64(3)}, "weights_bytes must be a whole number", id="numpy's number"),
        pytest.param(
            {"predict": lambda images: []}, r"predict must take \(images, prompts\), got \(images\)", id="few"
        ),
        pytest.param({"predict": None}, "expected an object with a method predict", id="no function"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_read(
    tmp_path: Path, squares: Squares, change: dict[str, Any], message: str
) -> None:
    model = each(lambda image: None)
    vars(model).update(change)
    with pytest.raises(ModelError, match=message):
        Evaluation().run(model, "model", open_folder(squares(1)), Store(tmp_path / "kept"))
    assert not (tmp_path / "kept").exists()


def test_nothing_is_no_model(squares: Squares) -> None:
    with pytest.raises(ModelError, match="got None: the function that builds it must end with `return model`"):
        segqa.evaluate(lambda: None, squares(1))  # type: ignore[arg-type, return-value]


def test_a_note_may_be_one_text(squares: Squares) -> None:
    model = each(lambda image: Proposals.single(bright(image)))
    vars(model)["notes"] = "cut at 100"
    assert notes(segqa.evaluate(model, squares(1))) == ["cut at 100"]


def test_a_checked_answer_is_a_copy() -> None:
    mask = np.ones((1, 2, 2), np.bool_)
    (found,) = check_answers([Proposals(mask, np.ones(1), np.ones(1), np.zeros((1, 4)))], [(2, 2)])
    mask[:] = False
    assert found.masks.all()


def test_nothing_found_in_two_images_shares_nothing() -> None:
    nothing = Proposals.none((2, 2))
    assert len(check_answers([nothing, nothing], [(2, 2)] * 2)) == 2
    with pytest.raises(ProposalsError, match="share memory"):
        check_answers([Proposals.single(np.ones((2, 2), np.bool_))] * 2, [(2, 2)] * 2)
