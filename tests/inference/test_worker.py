"""A worker without Ray: what it reports of a block is what the ordinary loop makes of it, and what is to be kept."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import segqa
from segqa.data.case_files import CaseFiles
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.errors import ModelError
from segqa.inference.engine import Ledger
from segqa.inference.model_identity import identify
from segqa.inference.proposal_cache import ProposalCache
from segqa.inference.worker import Task, Worker, pack_case, unpack_case, versions
from segqa.models.protocol import Model, Proposals
from segqa.runs.run import Run

Squares = Callable[[int], Path]


class Bright:
    """Segments what is bright."""

    fingerprint = "bright"

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [Proposals.single(image[:, :, 0] > 100) for image in images]


class EndedError(BaseException):
    """What no library catches."""


class Ends(Bright):
    """Ends its thread."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        raise EndedError("for good")


class Answerless(Bright):
    """Has no `return`."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return None  # type: ignore[return-value]


class OneAtATime(Bright):
    """Answers one image a call."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return super().predict(images[:1], prompts)


@dataclass
class Given:
    """A model that is there; notes when it has been handed back."""

    model: Model
    is_back: bool = False

    def hand_over(self, use: Callable[[Model], None]) -> None:
        use(self.model)
        self.is_back = True


class Nothing:
    """There is no model."""

    def hand_over(self, use: Callable[[Model], None]) -> None:
        raise ModelError("no weights in this place")


def task(supply: Any, **changed: Any) -> Task:
    known = Task(
        name="bright",
        whole=identify(Bright(), "bright").whole,
        supply=supply,
        pick="first",
        batch_size=4,
        threshold=0.7,
        hidden=frozenset(),
        threads=1,
        probe=None,
        versions=versions(),
    )
    return replace(known, **changed)


def told(run: Run) -> list[Any]:
    return [replace(outcome, seconds=0.0) for outcome in run.outcomes]


def test_a_report_has_what_the_loop_would_have_kept(squares: Squares, tmp_path: Path) -> None:
    data = open_folder(squares(10)).with_prompt("person.")
    worker, kept = Worker(task(Given(Bright()))), tmp_path / "kept"
    report = pickle.loads(pickle.dumps(worker.evaluate(data.cases)))  # noqa: S301 - just made
    run = segqa.evaluate(Bright(), data, name="bright", pick="first", directory=kept)
    assert [replace(outcome, seconds=0.0) for outcome in report.outcomes] == told(run)
    with ProposalCache(tmp_path / "new.sqlite") as new, ProposalCache(kept / "proposals.sqlite") as old:
        new.put_packed(report.answers, "bright")
        for key in (bytes.fromhex(outcome.proposals_key) for outcome in run.outcomes):
            ours, theirs = new.get(key), old.get(key)
            assert ours is not None
            assert theirs is not None
            assert (ours.proposals.masks == theirs.proposals.masks).all()
    assert len(report.measured) == len(report.seconds["infer"]) == 10
    assert report.batch_size == 4


def test_a_second_block_is_reported_without_the_first(squares: Squares) -> None:
    cases = open_folder(squares(6)).cases
    worker = Worker(task(Given(Bright())))
    worker.evaluate(cases[:4])
    report = worker.evaluate(cases[4:])
    assert [outcome.case_id for outcome in report.outcomes] == [case.id for case in cases[4:]]
    assert len(report.answers) == len(report.measured) == len(report.seconds["infer"]) == 2


def test_a_model_is_handed_back_when_the_worker_is_closed() -> None:
    supply = Given(Bright())
    worker = Worker(task(supply))
    worker.close()
    assert supply.is_back


def test_what_is_odd_about_the_answers_is_reported(squares: Squares) -> None:
    model = OneAtATime()
    worker = Worker(task(Given(model), whole=identify(model, "bright").whole))
    (note,) = worker.evaluate(open_folder(squares(4)).cases).notes
    assert "a call for 4 images failed" in note


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        pytest.param({"supply": Nothing()}, "no weights in this place", id="no model"),
        pytest.param({"whole": "another"}, "the model must be the same everywhere", id="another model"),
        pytest.param({"versions": {"segqa": "0"}}, "segqa must have the same version", id="another segqa"),
        pytest.param(
            {"supply": Given(Ends()), "whole": identify(Ends(), "bright").whole}, "EndedError: for good", id="end"
        ),
        pytest.param(
            {"supply": Given(Answerless()), "whole": identify(Answerless(), "bright").whole, "stop_after": 2},
            "got None; end predict with a return",
            id="no answer",
        ),
    ],
)
def test_every_block_is_told_what_stands_in_the_way(squares: Squares, changed: dict[str, Any], problem: str) -> None:
    cases = open_folder(squares(2)).cases
    worker = Worker(task(**{"supply": Given(Bright()), **changed}))
    for _ in range(2):
        report = worker.evaluate(cases)
        assert problem in report.problem
        assert report.outcomes == []


def test_data_that_is_not_there_is_told(squares: Squares) -> None:
    folder = squares(2)
    case = open_folder(folder).cases[0]
    probe = pack_case(case), case.source.digest()
    for path in (folder / "images").iterdir():
        path.unlink()
    report = Worker(task(Given(Bright()), probe=probe)).evaluate([case])
    assert "the cases must be at the same paths on every machine" in report.problem


def test_a_case_arrives_as_it_was(squares: Squares) -> None:
    case = Dataset.from_cases("squares", [replace(open_folder(squares(1)).cases[0], tags={"camera": "C2"})]).cases[0]
    found = unpack_case(pack_case(case))
    source, sent = case.source, found.source
    assert isinstance(source, CaseFiles)
    assert isinstance(sent, CaseFiles)
    assert (found, sent.image_file, sent.mask_file) == (case, source.image_file, source.mask_file)
    assert sent.reading.rules == source.reading.rules
    assert dict(found.tags) == {"camera": "C2"}


def test_a_ledger_counts_what_has_not_been_ended() -> None:
    ledger = Ledger(9)
    assert [ledger.begin("a"), ledger.begin("a"), ledger.begin("b")] == [1, 2, 1]
    ledger.end("a")
    assert [ledger.begin("a"), ledger.begin("b")] == [1, 2]


def test_a_ledger_loses_patience_only_while_nothing_has_ever_been_ended() -> None:
    ledger = Ledger(2)
    assert [ledger.begin(each) for each in "aab"] == [1, 2, -1]
    ledger.end("b")
    assert [ledger.begin("a") for _ in range(3)] == [3, 4, 5]
