"""Whatever a source, a picker or a text does, it is the recorded error of its case; the others have their scores."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
import pytest

import segqa
from segqa.analysis.data_audit.audit import audit_dataset
from segqa.data.case import Case, Source, Target
from segqa.data.case_table import CaseTable
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.data.string_columns import CategoricalBuilder, StringColumn
from segqa.errors import DatasetError, UsageError
from segqa.inference.property_cache import narrow
from segqa.inference.worker import Task, Worker
from segqa.models import pickers
from segqa.models.protocol import Model, Proposals
from segqa.report.write import write_report
from segqa.runs.outcome import Outcome
from segqa.runs.query import parse_condition
from segqa.runs.run import Run
from segqa.runs.store import Store
from tests.conftest import bright_square, write_case
from tests.inference.test_worker import Bright, Given, task

T = TypeVar("T")
BAD = "b\udce9d"


def within(seconds: float, act: Callable[[], T]) -> T:
    """What a function returns or raises; fails where it takes longer."""
    found: list[Callable[[], T]] = []

    def work() -> None:
        try:
            value = act()
        except BaseException as error:  # noqa: BLE001 - raised below
            problem = error
            found.append(lambda: _raise(problem))
        else:
            found.append(lambda: value)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, f"it hangs for more than {seconds} s"
    return found[0]()


def _raise(error: BaseException) -> NoReturn:
    raise error


@dataclass(frozen=True)
class Own:
    """A source as a user writes one; fails in one of its methods."""

    number: int
    fails: str = ""
    error: BaseException | None = None

    def _try(self, what: str) -> None:
        if self.fails == what and self.error is not None:
            raise self.error

    def digest(self) -> bytes:
        self._try("digest")
        return bytes([self.number]) * 16

    def image(self) -> Image:
        self._try("image")
        return bright_square(self.number)[0]

    def target(self) -> Target:
        self._try("target")
        return Target(bright_square(self.number)[1], f"of {BAD}" if self.fails == "note" else "")

    def target_digest(self) -> bytes:
        self._try("target_digest")
        return bytes([self.number]) * 16

    def stamp(self) -> str:
        self._try("stamp")
        return str(self.number)

    def sizes(self) -> str:
        self._try("sizes")
        return str(self.number)


def dataset_of(broken: Source, count: int = 6) -> Dataset:
    """Cases of which the third has another source."""
    return Dataset.from_cases(
        "own", [Case(f"c{n}", "person.", broken if n == 2 else Own(n), {"n": str(n)}) for n in range(count)]
    )


def evaluated(dataset: Dataset, directory: Path, **options: str) -> dict[str, Outcome]:
    run = within(60, lambda: segqa.evaluate(Bright(), dataset, directory=directory, **options))  # type: ignore[arg-type]
    assert not run.missing
    return {outcome.case_id: outcome for outcome in run.outcomes}


def require_one_error(outcomes: dict[str, Outcome], case_id: str, reason: str) -> None:
    errors = {name: outcome.reason for name, outcome in outcomes.items() if outcome.error}
    assert list(errors) == [case_id]
    assert reason in outcomes[case_id].error
    assert all(each.counts is not None and each.counts.iou == 1 for each in outcomes.values() if not each.error)


ERRORS = [ValueError("a lone \udce9"), SystemExit(0), GeneratorExit(), MemoryError(), pytest.skip.Exception("not here")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("fails", ["digest", "image", "target", "target_digest"])
def test_a_source_that_fails_is_one_recorded_error(tmp_path: Path, fails: str, error: BaseException) -> None:
    outcomes = evaluated(dataset_of(Own(2, fails, error)), tmp_path)
    require_one_error(outcomes, "c2", type(error).__name__)


@pytest.mark.parametrize("fails", ["stamp", "sizes"])
def test_a_source_that_cannot_say_its_stamp_is_evaluated(tmp_path: Path, fails: str) -> None:
    dataset = dataset_of(Own(2, fails, ValueError("no")))
    assert dataset.listing() != dataset_of(Own(2)).stamp()
    assert not any(outcome.error for outcome in evaluated(dataset, tmp_path).values())


def test_a_source_that_interrupts_interrupts(tmp_path: Path) -> None:
    dataset = dataset_of(Own(2, "image", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        within(60, lambda: segqa.evaluate(Bright(), dataset, directory=tmp_path))


def roster(source: Callable[[int], Source]) -> Dataset:
    prompts = CategoricalBuilder().build(6)
    return Dataset("own", CaseTable(StringColumn.from_strings(f"c{n}" for n in range(6)), source, prompts))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_function_of_sources_that_raises_is_one_recorded_error(tmp_path: Path, error: BaseException) -> None:
    """It is called in the thread that reads ahead."""

    def source(place: int) -> Source:
        if place == 2:
            raise error
        return Own(place)

    require_one_error(evaluated(roster(source), tmp_path), "c2", type(error).__name__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_source_that_fails_is_no_obstacle_to_an_audit(error: BaseException) -> None:
    found = audit_dataset(dataset_of(Own(2, "image", error)))
    assert [flaw.case_id for flaw in found.unreadable.found] == ["c2"]


def test_a_source_that_fails_is_no_obstacle_to_a_condition(tmp_path: Path) -> None:
    dataset = dataset_of(Own(2, "image", SystemExit(1)))
    kept, _ = narrow(dataset, parse_condition("brightness>0"), Store(tmp_path))
    assert [case.id for case in kept] == ["c0", "c1", "c3", "c4", "c5"]


def test_a_source_that_fails_later_has_no_picture(tmp_path: Path) -> None:
    run = segqa.evaluate(Bright(), dataset_of(Own(2)), directory=tmp_path / "store", threshold=1.0)
    broken = dataset_of(Own(2, "image", RuntimeError("gone")))
    page = write_report(run, tmp_path / "page", directory=tmp_path / "store", dataset=broken)
    assert page.is_file()


@pytest.mark.parametrize("error", [SystemExit(2), pytest.skip.Exception("no")], ids=lambda error: type(error).__name__)
def test_a_picker_that_leaves_is_an_error_of_its_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def leave(proposals: Proposals) -> int:
        if proposals.masks[0, 2, 6]:  # the square of the third case begins there
            raise error
        return 0

    monkeypatch.setattr(pickers, "PICKERS", {**pickers.PICKERS, "leave": leave})
    outcomes = evaluated(dataset_of(Own(2)), tmp_path, pick="leave")
    assert [name for name, outcome in outcomes.items() if type(error).__name__ in outcome.error]
    assert any(not outcome.error for outcome in outcomes.values())


@pytest.mark.parametrize("what", ["id", "prompt"])
def test_a_text_that_nothing_can_store_is_one_recorded_error(tmp_path: Path, what: str) -> None:
    cases = [Case(f"c{n}", "person.", Own(n)) for n in range(4)]
    bad: dict[str, Any] = {what: BAD}
    cases[2] = replace(cases[2], **bad)
    outcomes = evaluated(Dataset.from_cases("own", cases), tmp_path)
    case_id = "b\\udce9d" if what == "id" else "c2"
    require_one_error(outcomes, case_id, f"{what} 'b\\udce9d' is no text that UTF-8 can encode")


def test_tags_notes_and_names_are_escaped(tmp_path: Path) -> None:
    cases = [Case(f"c{n}", "person.", Own(n), {BAD: BAD, "year": 2026}) for n in range(4)]  # type: ignore[dict-item]
    dataset = Dataset.from_cases(BAD, cases, [f"left out: {BAD}"])
    run = segqa.evaluate(Bright(), dataset, name=BAD, directory=tmp_path)
    assert dict(run.outcomes[0].tags) == {"b\\udce9d": "b\\udce9d", "year": "2026"}
    assert (run.model, run.dataset) == ("b\\udce9d", "b\\udce9d")
    assert "left out: b\\udce9d" in run.provenance["notes"]
    assert json.loads((Store(tmp_path).run_folder(run.id) / "run.json").read_text(encoding="utf-8"))


def test_a_prompt_for_all_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"prompt must be a text that UTF-8 can encode, got 'b.udce9d'"):
        segqa.evaluate(Bright(), dataset_of(Own(2)), prompt=BAD, directory=tmp_path)


def test_a_file_whose_name_is_not_utf8_is_one_recorded_error(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in ("a", "case", "z"):
        write_case(folder, name, *bright_square(3))
    for part in ("images", "masks"):
        (folder / part / "case.png").rename(os.fsdecode(os.fsencode(folder / part) + b"/p\xe9.png"))
    (folder / "images" / os.fsdecode(b"n\xf6.txt")).write_text("")
    try:
        dataset = open_folder(folder, name_pattern="(?P<start>...)")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    outcomes = evaluated(dataset, tmp_path / "store")
    require_one_error(outcomes, "p\\udce9", "is not UTF-8; rename image and mask")
    assert any("n\\udcf6.txt" in note for note in dataset.notes)
    # and the next session finds the same
    assert evaluated(dataset, tmp_path / "store").keys() == outcomes.keys()


def test_an_error_that_quotes_a_lone_surrogate_is_recorded(tmp_path: Path) -> None:
    class Failing(Bright):
        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            if any(np.array_equal(image, bright_square(2)[0]) for image in images):
                raise RuntimeError(f"cannot open {BAD}")
            return super().predict(images, prompts)

    run: Run = segqa.evaluate(Failing(), dataset_of(Own(2)), directory=tmp_path)
    (failed,) = run.errors
    assert failed.reason == "RuntimeError: cannot open b\\udce9d"


def test_a_note_that_quotes_a_lone_surrogate_is_kept(tmp_path: Path) -> None:
    dataset = dataset_of(Own(2, "note"))
    for _ in range(2):
        assert evaluated(dataset, tmp_path)["c2"].note == "of b\\udce9d"


class Mute:
    """Returns without having handed anything over, or says nothing of why."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def hand_over(self, use: Callable[[Model], None]) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [None, UsageError(), SystemExit(), KeyboardInterrupt()], ids=repr)
def test_a_worker_whose_thread_ends_says_so(error: BaseException | None) -> None:
    about: Task = task(Mute(error))
    for _ in range(2):
        assert within(30, lambda: Worker(about).evaluate(list(dataset_of(Own(2))))).problem
    worker = Worker(task(Given(Bright())))
    worker.close()
    assert "ended without a word" in within(30, lambda: worker.evaluate(list(dataset_of(Own(2))))).problem
