import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import segqa
from segqa.data.case_files import CaseFiles
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.errors import CaseError, ModelError, SettingsError, UsageError
from segqa.inference.evaluator import Evaluation
from segqa.inference.merge_shards import import_run
from segqa.inference.proposal_cache import ProposalCache
from segqa.models.protocol import Proposals
from segqa.runs.run import Run
from segqa.runs.store import Store
from tests.conftest import bright_square, write_case
from tests.damage import flip_bit

Squares = Callable[[int], Path]


class Bright:
    """Segments what is bright; counts what it is asked."""

    def __init__(self, fingerprint: str = "bright") -> None:
        self.fingerprint = fingerprint
        self.batches: list[int] = []

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        self.batches.append(len(images))
        return [self.answer(image) for image in images]

    def answer(self, image: Image) -> Proposals:
        return Proposals.single(image[:, :, 0] > 100)


class Nameless(Bright):
    def __init__(self) -> None:
        super().__init__()
        del self.fingerprint


class FailsOnTall(Bright):
    def answer(self, image: Image) -> Proposals:
        if image.shape[0] > 40:
            raise RuntimeError("too tall for me")
        return super().answer(image)


class Cramped(Bright):
    """Has memory for three images."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        if len(images) > 3:
            self.batches.append(len(images))
            raise MemoryError
        return super().predict(images, prompts)


class Prepared(Bright):
    """Prepares its images ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def prepare(self, image: Image, prompt: str) -> tuple[Image, str]:
        self.threads.add(threading.current_thread().name)
        if prompt == "refuse":
            raise ValueError("not this one")
        return image, prompt

    def predict_prepared(self, prepared: Sequence[tuple[Image, str]], prompts: Sequence[str]) -> list[Proposals]:
        assert [prompt for _, prompt in prepared] == list(prompts)
        return self.predict([image for image, _ in prepared], prompts)


class Interrupted(Bright):
    """Is interrupted by the user after some batches."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        if len(self.batches) == self.after:
            raise KeyboardInterrupt
        return super().predict(images, prompts)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".segqa")


def test_a_perfect_model_scores_1(squares: Squares) -> None:
    run = segqa.evaluate(Bright(), squares(10), batch_size=4)
    assert run.mean_iou == 1.0
    assert run.tally == "10 scored, 0 missing, 0 errors"
    assert run.model == "Bright"
    assert [outcome.case_id for outcome in run.outcomes] == list(run.expected)


def test_without_a_directory_nothing_is_kept(squares: Squares, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = squares(3)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    segqa.evaluate(Bright(), folder)
    assert list((tmp_path / "here").iterdir()) == []


def test_with_a_directory_the_run_is_kept(squares: Squares, tmp_path: Path) -> None:
    run = segqa.evaluate(Bright(), squares(3), directory=tmp_path / "kept")
    assert Store(tmp_path / "kept").load(run.id) == run


def test_images_are_predicted_in_batches(squares: Squares) -> None:
    model = Bright()
    segqa.evaluate(model, squares(10), batch_size=4)
    assert model.batches == [4, 4, 2]


def test_where_memory_does_not_suffice_batches_are_halved_and_stay_so(squares: Squares, store: Store) -> None:
    model = Cramped()
    run = Evaluation().run(model, "cramped", open_folder(squares(20)), store)
    assert (len(run.outcomes), len(run.errors), run.mean_iou) == (20, 0, 1.0)
    assert model.batches == [8, 4, *[2] * 10]
    assert run.provenance["batch_size"] == 2


def test_a_model_that_prepares_does_so_in_the_thread_that_reads(squares: Squares) -> None:
    model = Prepared()
    assert segqa.evaluate(model, squares(5)).mean_iou == 1.0
    assert model.threads == {"segqa-read-ahead"}


def test_an_image_that_cannot_be_prepared_is_an_error_and_no_other(squares: Squares, store: Store) -> None:
    data = open_folder(squares(5))
    cases = (replace(data.cases[0], prompt="refuse"), *data.cases[1:])
    run = Evaluation().run(Prepared(), "prepared", Dataset.from_cases("squares", cases), store)
    assert [outcome.case_id for outcome in run.errors] == [cases[0].id]
    assert "ValueError: not this one" in run.errors[0].error
    assert run.provenance["stages"]["prepare"]["cases"] == 4


def test_a_case_on_which_the_model_fails_is_an_error_and_no_other(squares: Squares) -> None:
    folder = squares(5)
    write_case(folder, "tall", *bright_square(0, (80, 60)))
    run = segqa.evaluate(FailsOnTall(), folder, batch_size=6)
    assert run.tally == "5 scored, 0 missing, 1 error"
    assert run.errors[0].case_id == "tall"
    assert run.errors[0].reason == "RuntimeError: too tall for me"
    assert "in answer" in run.errors[0].error


def test_a_mask_of_another_size_is_scored_at_the_targets(squares: Squares) -> None:
    class Doubles(Bright):
        def answer(self, image: Image) -> Proposals:
            return Proposals.single((image[:, :, 0] > 100).repeat(2, 0).repeat(2, 1))

    assert segqa.evaluate(Doubles(), squares(3)).mean_iou == 1.0


def test_a_square_mask_of_a_network_is_stretched(squares: Squares) -> None:
    class Square(Bright):
        def answer(self, image: Image) -> Proposals:
            rows, columns = np.linspace(0, 39, 120).astype(int), np.linspace(0, 59, 120).astype(int)
            return Proposals.single((image[:, :, 0] > 100)[rows][:, columns])

    assert segqa.evaluate(Square(), squares(3)).mean_iou > 0.8


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        pytest.param(Bright, {}, "expected an object .*, got the class Bright; make one", id="a class"),
        pytest.param(object(), {}, "expected an object with a method predict.*, got object", id="no predict"),
        pytest.param(Bright(), {"threshold": 70}, "threshold must lie between 0 and 1, got 70", id="percent"),
        pytest.param(Bright(), {"threshold": float("nan")}, "threshold must lie", id="a NaN threshold"),
        pytest.param(Bright(), {"batch_size": 0}, "batch_size must be 1 or more, or auto, got 0", id="no batch"),
    ],
)
def test_nonsense_is_refused(squares: Squares, model: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        segqa.evaluate(model, squares(1), **options)  # type: ignore[arg-type]


def test_a_mask_that_vanishes_between_two_reads_is_an_error_of_its_case(squares: Squares) -> None:
    @dataclass(frozen=True, slots=True)
    class Vanishing(CaseFiles):
        def target_digest(self) -> bytes:
            raise CaseError("the mask is gone")

    first, second = open_folder(squares(2)).cases
    assert isinstance(first.source, CaseFiles)
    gone = replace(first, source=Vanishing(first.source.image_file, first.source.mask_file, first.source.reading))
    run = segqa.evaluate(Bright(), Dataset.from_cases("two", (gone, second)))
    assert run.tally == "1 scored, 0 missing, 1 error"
    assert run.errors[0].reason == "CaseError: the mask is gone"


def test_a_model_that_offers_nothing_scores_0(squares: Squares) -> None:
    class Blind(Bright):
        def answer(self, image: Image) -> Proposals:
            return Proposals.none((image.shape[0], image.shape[1]))

    run = segqa.evaluate(Blind(), squares(3))
    assert run.mean_iou == 0.0
    assert run.kinds() == {"missed": 3}


def test_the_picker_decides_and_the_oracle_knows_better(squares: Squares) -> None:
    class TwoMinds(Bright):
        def answer(self, image: Image) -> Proposals:
            right = image[:, :, 0] > 100
            return Proposals(np.stack([~right, right]), np.array([0.9, 0.8]), np.array([0.1, 0.7]), np.zeros((2, 4)))

    folder = squares(3)
    by_mask, by_product = (segqa.evaluate(TwoMinds(), folder, pick=pick) for pick in ("mask_score", "product"))
    assert (by_mask.mean_iou, by_mask.oracle_iou, by_mask.regret) == (0.0, 1.0, 1.0)
    assert by_product.regret == 0.0
    assert by_mask.failures("wrong_object").recoverable == 3


def test_the_model_sees_the_prompt_of_the_case(squares: Squares) -> None:
    class Listens(Bright):
        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            assert list(prompts) == ["square."] * len(images)
            return super().predict(images, prompts)

    assert not segqa.evaluate(Listens(), squares(2), prompt="square.").errors


def test_an_unknown_picker_is_refused_before_anything_is_read(squares: Squares) -> None:
    model = Bright()
    with pytest.raises(SettingsError, match="unknown picker"):
        segqa.evaluate(model, squares(2), pick="best")
    assert model.batches == []


def test_a_second_run_asks_the_model_nothing(squares: Squares, store: Store) -> None:
    data = open_folder(squares(6))
    first = Evaluation(batch_size=4).run(Bright(), "bright", data, store)
    again = Bright()
    second = Evaluation(pick="product").run(again, "bright", data, store)
    assert again.batches == []
    assert second.ious.tolist() == first.ious.tolist()
    assert all(outcome.cached for outcome in second.outcomes)


def test_a_second_run_knows_the_pixels_without_decoding_an_image(
    squares: Squares, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = open_folder(squares(6))
    first = Evaluation().run(Bright(), "bright", data, store)
    monkeypatch.setattr(CaseFiles, "image", lambda _: pytest.fail("decoded an image"))
    monkeypatch.setattr(CaseFiles, "target", lambda _: pytest.fail("decoded a mask"))
    second = Evaluation(pick="product").run(Bright(), "bright", data, store)
    assert list(second.columns.pixels) == list(first.columns.pixels)
    assert {len(digest) for digest in first.columns.pixels} == {32}


def test_files_that_are_packed_anew_have_the_same_pixels(squares: Squares, store: Store) -> None:
    folder = squares(2)
    before = Evaluation().run(Bright(), "bright", open_folder(folder), store).columns
    for path in (folder / "images" / "A_000.png", folder / "masks" / "A_000.png"):
        with Pillow.open(path) as image:
            image.copy().save(path, compress_level=0)
    after = Evaluation().run(Bright(), "bright", open_folder(folder), store).columns
    assert [one == other for one, other in zip(before.digests, after.digests, strict=True)] == [False, True]
    assert list(before.pixels) == list(after.pixels)


@pytest.mark.parametrize(
    ("model", "how"),
    [
        pytest.param(Bright("other weights"), Evaluation(), id="another fingerprint"),
        pytest.param(FailsOnTall("bright"), Evaluation(), id="another class that says the same of itself"),
        pytest.param(Bright(""), Evaluation(), id="an empty fingerprint"),
        pytest.param(Nameless(), Evaluation(), id="no fingerprint"),
        pytest.param(Bright(), Evaluation(refresh=True), id="told to refresh"),
        pytest.param(Bright(), Evaluation(cache=False), id="told not to use them"),
    ],
)
def test_kept_proposals_are_not_used_for(squares: Squares, store: Store, model: Bright, how: Evaluation) -> None:
    data = open_folder(squares(3))
    Evaluation().run(Bright(), "bright", data, store)
    how.run(model, "bright", data, store)
    assert model.batches == [3]


def test_another_model_of_the_same_class_shares_nothing(squares: Squares, store: Store) -> None:
    data = open_folder(squares(3))
    Evaluation().run(Bright(), "bright", data, store)
    other = Bright()
    Evaluation().run(other, "bright_too", data, store)
    assert other.batches == [3]


def test_damaged_proposals_are_asked_for_again(squares: Squares, store: Store) -> None:
    data = open_folder(squares(3))
    run = Evaluation().run(Bright(), "bright", data, store)
    with closing(sqlite3.connect(store.proposals_path(run.id))) as database, database:
        database.execute("UPDATE proposals SET masks = x'00'")
    model = Bright()
    assert not Evaluation().run(model, "bright", data, store).errors
    assert model.batches == [3]
    assert Evaluation().run(Bright(), "bright", data, store).outcomes[0].cached


def test_an_error_is_tried_again_when_a_run_goes_on(squares: Squares, store: Store) -> None:
    class Moody(Interrupted):
        def answer(self, image: Image) -> Proposals:
            if self.after == 2:
                raise RuntimeError("out of memory, for the moment")
            return super().answer(image)

    data = open_folder(squares(6))
    with pytest.raises(KeyboardInterrupt):
        Evaluation(batch_size=1).run(Moody(after=2), "moody", data, store)
    assert len(store.load(store.run_ids()[0]).errors) == 2
    run = Evaluation(batch_size=1).run(Moody(after=99), "moody", data, store)
    assert run.tally == "6 scored, 0 missing, 0 errors"
    assert len(store.run_ids()) == 1


def test_what_was_told_not_to_use_kept_proposals_goes_on_with_none(squares: Squares, store: Store) -> None:
    data = open_folder(squares(6))
    Evaluation(batch_size=2).run(Interrupted(after=99), "bright", data, store)
    with pytest.raises(KeyboardInterrupt):
        Evaluation(batch_size=2, refresh=True).run(Interrupted(after=1), "bright", data, store)
    run = Evaluation(batch_size=2).run(Interrupted(after=99), "bright", data, store)
    assert "resumed_at" not in run.provenance


def test_cases_that_a_model_was_trained_on_are_noted(squares: Squares, store: Store) -> None:
    model = Bright()
    model.trained_on = {"A_000", "B_001", "elsewhere"}  # type: ignore[attr-defined]
    run = Evaluation().run(model, "bright", open_folder(squares(4)), store)
    assert run.provenance["notes"] == ["2 of 4 cases were trained on, such as A_000 (by their ids)"]


def test_what_is_picked_does_not_depend_on_the_targets(squares: Squares) -> None:
    folder = squares(6)
    before = segqa.evaluate(Bright(), folder)
    for path in (folder / "masks").iterdir():
        Pillow.new("L", (60, 40), 255).save(path)
    after = segqa.evaluate(Bright(), folder)
    assert [o.picked for o in before.outcomes] == [o.picked for o in after.outcomes]
    assert before.mean_iou != after.mean_iou


def test_a_changed_image_is_predicted_anew(squares: Squares, store: Store) -> None:
    folder = squares(3)
    Evaluation().run(Bright(), "bright", open_folder(folder), store)
    write_case(folder, "A_000", *bright_square(7))
    model = Bright()
    run = Evaluation().run(model, "bright", open_folder(folder), store)
    assert model.batches == [1]
    assert run.mean_iou == 1.0


def test_a_model_without_a_fingerprint_leaves_nothing_to_others(squares: Squares, store: Store) -> None:
    run = Evaluation().run(Nameless(), "bright", open_folder(squares(3)), store)
    assert store.proposals_path(run.id).parent == store.run_folder(run.id)


def test_an_interrupted_run_goes_on_where_it_stopped(squares: Squares, store: Store) -> None:
    data = open_folder(squares(11))
    with pytest.raises(KeyboardInterrupt):
        Evaluation(batch_size=2).run(Interrupted(after=3), "bright", data, store)
    (run_id,) = store.run_ids()
    assert len(store.load(run_id).outcomes) == 6

    model = Interrupted(after=99)
    run = Evaluation(batch_size=2).run(model, "bright", data, store)
    assert run.id == run_id
    assert run.provenance["resumed_at"] == 6
    assert sum(model.batches) == 5
    assert run.ious.tolist() == segqa.evaluate(Bright(), data).ious.tolist()


def test_another_picker_does_not_go_on_with_an_interrupted_run(squares: Squares, store: Store) -> None:
    data = open_folder(squares(6))
    with pytest.raises(KeyboardInterrupt):
        Evaluation(batch_size=2).run(Interrupted(after=1), "bright", data, store)
    run = Evaluation(batch_size=2, pick="product").run(Bright(), "bright", data, store)
    assert "resumed_at" not in run.provenance


def test_a_run_that_another_process_writes_is_left_alone(squares: Squares, store: Store) -> None:
    data = open_folder(squares(6))
    with pytest.raises(KeyboardInterrupt):
        Evaluation(batch_size=2).run(Interrupted(after=1), "bright", data, store)
    (run_id,) = store.run_ids()
    with store.hold_write_lock(run_id):
        assert Evaluation().run(Bright(), "bright", data, store).id != run_id


def test_a_finished_run_is_not_gone_on_with(squares: Squares, store: Store) -> None:
    data = open_folder(squares(2))
    runs = [Evaluation().run(Bright(), "bright", data, store) for _ in range(2)]
    assert runs[0].id != runs[1].id
    assert runs[0].provenance["dataset_digest"] == runs[1].provenance["dataset_digest"]


def test_progress_is_told_at_the_start_and_after_each_batch(squares: Squares, store: Store) -> None:
    told: list[tuple[int, int]] = []
    how = Evaluation(batch_size=2, progress=lambda done, total: told.append((done, total)))
    how.run(Bright(), "bright", open_folder(squares(5)), store)
    assert told == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_a_limit_evaluates_just_those(squares: Squares) -> None:
    data: Dataset = open_folder(squares(9)).limit(4)
    assert len(segqa.evaluate(Bright(), data).outcomes) == 4


def test_stored_proposals_are_scored_again_without_the_model(squares: Squares, store: Store) -> None:
    data, model = open_folder(squares(5)), Bright()
    first = Evaluation(pick="product").run(model, "bright", data, store)
    again = Evaluation(pick="mask_score", threshold=0.9).rescore("bright", data, store)
    assert [outcome.proposal_scores for outcome in again.outcomes] == [
        outcome.proposal_scores for outcome in first.outcomes
    ]
    assert all(outcome.cached for outcome in again.outcomes)
    assert again.provenance["fingerprint"] == "bright"
    assert len(model.batches) == 1


def test_missing_proposals_are_named_before_anything_is_made(squares: Squares, store: Store) -> None:
    data, model = open_folder(squares(5)), Bright()
    Evaluation().run(model, "bright", Dataset.from_cases("squares", data.cases[:3]), store)
    with pytest.raises(ModelError, match="2 of 5 cases have no stored proposals of bright, such as B_001"):
        Evaluation().rescore("bright", data, store)
    with pytest.raises(ModelError, match="no finished run of it is kept"):
        Evaluation().rescore("other", data, store)
    assert len(store.run_ids()) == 1


def test_a_model_without_a_fingerprint_cannot_be_scored_again(squares: Squares, store: Store) -> None:
    data = open_folder(squares(3))
    Evaluation().run(Nameless(), "bright", data, store)
    with pytest.raises(ModelError, match="it has no fingerprint"):
        Evaluation().rescore("bright", data, store)


def at(year: int) -> Evaluation:
    """An evaluation on a machine whose clock says so."""
    return Evaluation(started=datetime(year, 1, 1, tzinfo=UTC))


def test_the_last_model_is_scored_again_though_the_clock_was_set_back(squares: Squares, store: Store) -> None:
    data = open_folder(squares(3))
    at(2031).run(Bright("good"), "net", data, store)
    bad = at(2030).run(Bright("bad"), "net", data, store)
    again = at(2032).rescore("net", data, store)
    assert again.provenance["fingerprint"] == "bad"
    assert f"scored again: the model is that of run {bad.id}" in again.provenance["notes"]


def interrupted(model: Bright, data: Dataset, store: Store) -> Run:
    """An unfinished run."""
    whole = Evaluation().run(model, "net", data, Store(store.root / "elsewhere"))
    run = store.begin(replace(whole, outcomes=()), "key")
    store.append(run.id, whole.outcomes[:1])
    return run


def test_no_older_model_is_scored_again_while_a_newer_one_is_not_finished(squares: Squares, store: Store) -> None:
    data = open_folder(squares(3))
    good = Evaluation().run(Bright("good"), "net", data, store)
    unfinished = interrupted(Bright("bad"), data, store)
    match = f"its last finished run {good.id} is older than run {unfinished.id} of another model was begun and not"
    with pytest.raises(ModelError, match=match):
        Evaluation().rescore("net", data, store)
    shutil.rmtree(store.run_folder(unfinished.id))
    assert Evaluation().rescore("net", data, store).provenance["fingerprint"] == "good"


def test_a_run_that_was_copied_here_does_not_hide_the_model_that_was_evaluated_here(
    squares: Squares, store: Store, tmp_path: Path
) -> None:
    data, other = open_folder(squares(3)), Store(tmp_path / "other")
    good = Evaluation().run(Bright("good"), "net", data, other)
    import_run(other.run_folder(good.id), store)
    assert Evaluation().rescore("net", data, store).provenance["fingerprint"] == "good"
    Evaluation().run(Bright("bad"), "net", data, store)
    assert Evaluation().rescore("net", data, store).provenance["fingerprint"] == "bad"
    copied = at(2031).run(Bright("good again"), "net", data, other)
    import_run(other.run_folder(copied.id), store)
    with pytest.raises(ModelError, match=r"was copied here after run .* of another model was made here"):
        Evaluation().rescore("net", data, store)


def test_a_whole_copy_is_judged_in_place_of_a_damaged_run(squares: Squares, store: Store, tmp_path: Path) -> None:
    run = Evaluation().run(Bright(), "net", open_folder(squares(3)), store)
    shutil.copytree(store.root, tmp_path / "copy")
    copy = Store(tmp_path / "copy").run_folder(run.id)
    assert import_run(copy, store).id == run.id
    flip_bit(store.run_folder(run.id) / "cases.sqlite", b'"proposals": 1.0', 2)
    found = import_run(copy, store)
    assert found.id == f"{run.id}-2"
    assert found.outcomes == run.outcomes
    assert import_run(copy, store).id == found.id


def test_a_damaged_unfinished_run_is_begun_anew(squares: Squares, store: Store) -> None:
    data, model = open_folder(squares(4)), Bright()
    whole = Evaluation().run(model, "net", data, store)
    (_, header) = next(store.read_headers("net"))
    run = store.begin(replace(whole, outcomes=()), header["key"])
    store.append(run.id, whole.outcomes[:2])
    flip_bit(store.run_folder(run.id) / "cases.sqlite", b'"proposals": 1.0', 2)
    again = Evaluation().run(model, "net", data, store)
    assert again.id not in {run.id, whole.id}
    assert [each.counts for each in again.outcomes] == [each.counts for each in whole.outcomes]


def test_damaged_proposals_are_missing_where_no_model_is_there(squares: Squares, store: Store) -> None:
    data = open_folder(squares(3))
    run = Evaluation().run(Bright(), "net", data, store)
    with closing(sqlite3.connect(store.shared_proposals)) as database, database:
        key = bytes.fromhex(run.outcomes[1].proposals_key)
        database.execute("UPDATE proposals SET seconds = seconds + 1 WHERE key = ?", (key,))
    with pytest.raises(ModelError, match=f"1 of 3 cases .*, such as {run.outcomes[1].case_id}, or damaged ones"):
        Evaluation().rescore("net", data, store)
    model = Bright()
    again = Evaluation().run(model, "net", data, store)
    assert model.batches == [1]
    assert [each.counts for each in again.outcomes] == [each.counts for each in run.outcomes]


def test_there_is_never_more_kept_than_allowed_but_for_today(squares: Squares, store: Store) -> None:
    data, model = open_folder(squares(5)), Bright()
    Evaluation(max_cache_mb=0.000001).run(model, "bright", data, store)
    with ProposalCache(store.shared_proposals) as cache:
        assert cache.holdings()[0].entries == 5
        cache._database.execute("UPDATE proposals SET used = used - 1")
        cache._database.commit()
    Evaluation(max_cache_mb=0.000001).run(model, "bright", Dataset.from_cases("squares", data.cases[:1]), store)
    with ProposalCache(store.shared_proposals) as cache:
        assert cache.holdings()[0].entries == 1


def test_a_run_says_how_long_its_stages_took(squares: Squares, store: Store) -> None:
    data = open_folder(squares(5))
    first = Evaluation().run(Bright(), "bright", data, store).provenance
    assert {name: took["cases"] for name, took in first["stages"].items()} == {
        "read": 5,
        "measure": 5,
        "infer": 5,
        "pick": 5,
        "score": 5,
    }
    assert first["peak_mb"]["ram"] > 20
    again = Evaluation(pick="first").run(Bright(), "bright", data, store).provenance
    assert again["stages"].keys() == {"read", "pick"}


def test_a_finished_run_is_found_by_what_it_was_made_of(squares: Squares, tmp_path: Path) -> None:
    dataset, store, how, model = open_folder(squares(3)), Store(tmp_path / ".segqa"), Evaluation(), Bright()
    assert how.find_finished(model, "bright", dataset, store) is None
    run = how.run(model, "bright", dataset, store)
    assert how.find_finished(model, "bright", dataset, store) == run.id
    assert how.find_finished(None, "bright", dataset, store) == run.id
    assert how.find_finished(Bright("other"), "bright", dataset, store) is None
    assert how.find_finished(model, "bright", dataset.limit(2), store) is None
    for other in (replace(how, refresh=True), replace(how, cache=False), replace(how, threshold=0.5)):
        assert other.find_finished(model, "bright", dataset, store) is None


def test_of_a_model_that_can_be_any_no_run_is_found(squares: Squares, tmp_path: Path) -> None:
    dataset, store = open_folder(squares(3)), Store(tmp_path / ".segqa")
    Evaluation().run(Nameless(), "nameless", dataset, store)
    assert Evaluation().find_finished(Nameless(), "nameless", dataset, store) is None
    with pytest.raises(ModelError, match="it has no fingerprint"):
        Evaluation().find_finished(None, "nameless", dataset, store)


def test_a_case_whose_mask_is_read_by_another_rule_counts_as_changed_data(squares: Squares) -> None:
    folder = squares(3)
    for path in (folder / "masks").iterdir():
        values = np.asarray(Pillow.open(path)) // 255
        values[:1] = 255
        Pillow.fromarray(values.astype(np.uint8)).save(path)
    data = [open_folder(folder, mask_values=values) for values in ([1], [1, 255])]
    first, second = (segqa.evaluate(Bright(), each).outcomes for each in data)
    assert all(one.pixels != other.pixels for one, other in zip(first, second, strict=True))
    assert all(one.digest != other.digest for one, other in zip(first, second, strict=True))
