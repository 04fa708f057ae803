import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segqa
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.data.subsets import Shard
from segqa.errors import PartsError, SettingsError
from segqa.inference.evaluator import Evaluation
from segqa.inference.merge_shards import merge_parts, read_part
from segqa.inference.model_identity import ModelIdentity, identify
from segqa.inference.proposal_cache import CachedAnswer, ProposalCache
from segqa.inference.spot_check import SpotCheck, StoredAnswers, choose_cases, describe_spot_check, judge_stored_answers
from segqa.models.fingerprint import Fingerprint
from segqa.models.protocol import Proposals
from segqa.runs.run import Run
from segqa.runs.store import Store

Squares = Callable[[int], Path]
CHECKED = Evaluation(spot_check=SpotCheck(handwritten=3, changed=3), built_by="a")
EDITED = replace(CHECKED, built_by="b")
"""As after an edit of what builds the model."""


class Bright:
    """Segments what is brighter than a bound; counts what it is asked."""

    def __init__(self, bound: int = 100, fingerprint: str = "bright") -> None:
        self.bound, self.fingerprint = bound, fingerprint
        self.asked = 0

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        self.asked += len(images)
        return [self.answer(image) for image in images]

    def answer(self, image: Image) -> Proposals:
        return Proposals.single(image[:, :, 0] > self.bound)


def evaluate(model: Bright, squares: Path, how: Evaluation = CHECKED, store: Store | None = None) -> Run:
    return how.run(model, "bright", open_folder(squares), store or Store(squares.parent / "store"))


def known_of(run: Run) -> StoredAnswers:
    return StoredAnswers.from_provenance(run.provenance)


def test_a_first_run_has_nothing_to_check(squares: Squares) -> None:
    model = Bright()
    assert known_of(evaluate(model, squares(5))) == StoredAnswers()
    assert model.asked == 5


def test_a_hand_written_fingerprint_is_checked_on_some_stored_cases(squares: Squares) -> None:
    folder, model = squares(5), Bright()
    evaluate(model, folder)
    run = evaluate(model, folder)
    assert known_of(run) == StoredAnswers(stored=5, asked=3, lowest_iou=1.0)
    assert model.asked == 8
    assert judge_stored_answers(run, is_strict=True) == ([], [])
    assert describe_spot_check(run) == ["spot check: 3 of 5 stored cases asked anew, lowest IoU 1.0000"]


def test_a_computed_one_is_not(squares: Squares) -> None:
    folder, model = squares(5), Bright(fingerprint=Fingerprint("c0" * 16))
    evaluate(model, folder)
    assert known_of(evaluate(model, folder)) == StoredAnswers(stored=5)
    assert known_of(evaluate(model, folder, Evaluation(spot_check=SpotCheck.for_all_cases(2)))).asked == 2
    assert model.asked == 7


def test_a_computed_one_is_where_the_source_has_changed(squares: Squares) -> None:
    folder, model = squares(5), Bright(fingerprint=Fingerprint("c0" * 16))
    how = Evaluation(built_by="a")
    evaluate(model, folder, how)
    run = evaluate(Bright(fingerprint=model.fingerprint, bound=250), folder, replace(how, built_by="b"))
    assert (known_of(run).stale, known_of(run).asked) == (5, 1)
    (finding,), _ = judge_stored_answers(run, is_strict=True)
    assert "Give segqa.fingerprint_of what it does not count" in finding


class Wrapper:
    def __init__(self, inner: Bright) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Counted:
    fingerprint = Fingerprint("c0" * 16)


class Derived(Counted):
    pass


class Delegates(Wrapper):
    @property
    def fingerprint(self) -> str:
        return "f0" * 16


def test_a_computed_fingerprint_of_a_model_within_or_of_a_base_class_is_not_that_of_the_model() -> None:
    model = Bright(fingerprint=Fingerprint("c0" * 16))
    trusted = [identify(each, "a").is_computed for each in (model, Counted())]
    assert trusted == [True, True]
    assert [identify(each, "a").is_computed for each in (Wrapper(model), Derived(), Delegates(model))] == [False] * 3


def test_where_all_cases_are_asked_there_is_nothing_to_check(squares: Squares) -> None:
    folder, model = squares(5), Bright()
    evaluate(model, folder)
    assert known_of(evaluate(model, folder, replace(CHECKED, refresh=True))) == StoredAnswers()
    assert known_of(evaluate(model, folder, replace(CHECKED, cache=False))) == StoredAnswers()
    assert model.asked == 15


def test_other_answers_under_the_same_fingerprint_are_found(squares: Squares) -> None:
    folder = squares(5)
    evaluate(Bright(), folder)
    run = evaluate(Bright(bound=250), folder)
    known = known_of(run)
    assert (known.asked, known.lowest_iou, len(known.differences)) == (3, 0.0, 3)
    (finding,), notes = judge_stored_answers(run, is_strict=False)
    assert "bright no longer gives its stored answers" in finding
    assert "stored no failure, now missed" in finding
    assert not notes


def test_a_model_that_fails_now_is_found(squares: Squares) -> None:
    class Fails(Bright):
        def answer(self, image: Image) -> Proposals:
            raise RuntimeError("no weights")

    folder = squares(5)
    evaluate(Bright(), folder)
    Fails.__qualname__ = "Bright"
    known = known_of(evaluate(Fails(), folder))
    assert len(known.differences) == 3
    assert "now an error (RuntimeError: no weights)" in known.differences[0]
    assert known.lowest_iou is None


def test_a_difference_of_some_pixels_is_told_and_no_finding(squares: Squares) -> None:
    class Pixel(Bright):
        def answer(self, image: Image) -> Proposals:
            mask = image[:, :, 0] > self.bound
            mask[np.unravel_index(np.argmax(mask), mask.shape)] = False
            return Proposals.single(mask)

    folder = squares(5)
    evaluate(Bright(), folder)
    Pixel.__qualname__ = "Bright"
    run = evaluate(Pixel(), folder)
    assert describe_spot_check(run) == ["spot check: 3 of 5 stored cases asked anew, lowest IoU 0.9931"]
    assert judge_stored_answers(run, is_strict=True)[0] == []
    strict = replace(CHECKED, spot_check=SpotCheck(handwritten=3, iou=0.995))
    assert (
        "IoU of stored and new prediction 0.9931, below 0.995"
        in known_of(evaluate(Pixel(), folder, strict)).differences[0]
    )


def test_other_source_is_a_finding_until_a_check_agrees(squares: Squares) -> None:
    folder = squares(5)
    evaluate(Bright(), folder)
    run = evaluate(Bright(), folder, replace(EDITED, spot_check=SpotCheck.for_all_cases(0)))
    assert known_of(run) == StoredAnswers(stored=5, stale=5, unconfirmed=5)
    (text,), notes = judge_stored_answers(run, is_strict=True)
    assert "5 of 5 stored answers of bright are from other source" in text
    assert not notes
    assert judge_stored_answers(run, is_strict=False) == ([], [text])
    checked = evaluate(Bright(), folder, Evaluation(built_by="b"))
    assert known_of(checked) == StoredAnswers(stored=5, stale=5, asked=1, lowest_iou=1.0)
    assert "1 asked anew agrees, lowest IoU 1.0000" in judge_stored_answers(checked, is_strict=True)[1][0]


def test_other_source_is_found_when_a_run_goes_on(squares: Squares) -> None:
    class Stops(Bright):
        def answer(self, image: Image) -> Proposals:
            if self.asked > 2:
                raise KeyboardInterrupt
            return super().answer(image)

    folder, one_by_one = squares(5), replace(CHECKED, batch_size=1)
    Stops.__qualname__ = "Bright"
    with pytest.raises(KeyboardInterrupt):
        evaluate(Stops(), folder, one_by_one)
    run = evaluate(Bright(), folder, replace(one_by_one, built_by="b"))
    known = known_of(run)
    assert run.provenance["resumed_at"] == 2
    assert (known.stored, known.stale, known.asked) == (2, 2, 2)


def test_the_model_of_a_finished_run_is_not_taken_for_one_of_other_source(squares: Squares) -> None:
    folder = squares(5)
    store, dataset = Store(folder.parent / "store"), open_folder(folder)
    run = evaluate(Bright(), folder)
    assert CHECKED.find_finished(Bright(), "bright", dataset, store) == run.id
    assert EDITED.find_finished(Bright(), "bright", dataset, store) is None
    evaluate(Bright(), folder, EDITED)
    assert EDITED.find_finished(Bright(), "bright", dataset, store) is None


def test_answers_of_before_source_was_kept_are_neither_right_nor_wrong(squares: Squares) -> None:
    folder = squares(5)
    evaluate(Bright(), folder)
    with closing(sqlite3.connect(folder.parent / "store" / "proposals.sqlite")) as database, database:
        database.execute("ALTER TABLE proposals DROP COLUMN source")
    known = known_of(evaluate(Bright(), folder, EDITED))
    assert (known.stored, known.stale, known.asked) == (5, 0, 3)


def test_source_is_compared_part_by_part() -> None:
    who = ModelIdentity("a", "a", None, (), source="built.class")
    assert [who.is_of_other_source(each) for each in ("", "built.class", "built.", ".class")] == [False] * 4
    assert [who.is_of_other_source(each) for each in ("other.class", "built.other", ".other")] == [True] * 3


def test_what_a_model_holds_counts_as_its_source() -> None:
    first, second = Holds(), Holds()
    first.inner, second.inner = Evaluation, SpotCheck(handwritten=1)
    assert identify(first, "a").source == identify(second, "a").source
    second.inner = Unlike()
    assert identify(first, "a").source != identify(second, "a").source


class Holds(Bright):
    inner: object = None


class Unlike:
    """Of the user's own code, as a model's network would be."""


def test_stale_cases_are_chosen_first_and_others_from_run_to_run() -> None:
    stored = [f"{index:03}" for index in range(100)]
    assert set(choose_cases("a", stored, ["007", "042"], 3)) > {"007", "042"}
    assert choose_cases("a", stored, [], 3) == choose_cases("a", reversed(stored), [], 3)
    seen = {case for run in range(200) for case in choose_cases(f"run-{run}", stored, [], 3)}
    assert len(seen) > 95
    assert len(choose_cases("a", ["1"], [], 3)) == 1


def parts_of(folder: Path, store: Store, ways: Sequence[Evaluation], bound: int = 100) -> list[Run]:
    return [
        evaluate(Bright(bound), folder, replace(how, shard=Shard(number, len(ways))), store)
        for number, how in enumerate(ways, start=1)
    ]


def test_shards_of_different_source_are_not_merged(squares: Squares, tmp_path: Path) -> None:
    store = Store(tmp_path / "shards")
    runs = parts_of(squares(12), store, [CHECKED, EDITED])
    with pytest.raises(PartsError, match="parts must have the same source of the model"):
        merge_parts([read_part(store.run_folder(run.id)) for run in runs], store)


def test_what_the_shards_found_is_found_in_the_whole(squares: Squares, tmp_path: Path) -> None:
    folder, store = squares(12), Store(tmp_path / "shards")
    evaluate(Bright(), folder, store=store)
    runs = parts_of(folder, store, [CHECKED, CHECKED], bound=250)
    whole = merge_parts([read_part(store.run_folder(run.id)) for run in runs], store)
    known = known_of(whole)
    assert (known.stored, known.asked, known.lowest_iou) == (12, 6, 0.0)
    assert judge_stored_answers(whole, is_strict=False)[0]


def test_answers_that_are_taken_over_keep_their_source(tmp_path: Path) -> None:
    answer = CachedAnswer(Proposals.single(np.ones((2, 2), np.bool_)), 1.0, (2, 2))
    with ProposalCache(tmp_path / "a.sqlite") as first, ProposalCache(tmp_path / "b.sqlite") as second:
        first.put([(b"1", answer)], "m", source="s.t")
        second.take_over(tmp_path / "a.sqlite", [b"1"], "m")
        assert second.sources([b"1", b"2"]) == {b"1": "s.t"}


def test_in_a_notebook_it_is_asked_for_and_warns(squares: Squares, tmp_path: Path) -> None:
    folder = squares(5)
    segqa.evaluate(Bright(), folder, directory=tmp_path / "store")
    with pytest.warns(UserWarning, match="Bright no longer gives its stored answers"):
        run = segqa.evaluate(Bright(bound=250), folder, directory=tmp_path / "store", spot_check=2)
    assert known_of(run).asked == 2


@pytest.mark.parametrize("iou", [0.0, -1.0, 1.1])
def test_a_bound_that_checks_nothing_is_refused(iou: float) -> None:
    with pytest.raises(SettingsError, match="spot_check_iou must be above 0 and at most 1"):
        SpotCheck(iou=iou)
