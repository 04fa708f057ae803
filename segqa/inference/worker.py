"""A worker process: hold a model and evaluate blocks of cases for the process that stores the results."""

from __future__ import annotations

import pickle
import queue
import socket
import threading
import traceback
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Protocol

from segqa.data.case import Case
from segqa.data.image_io import READER
from segqa.data.remote_folder import prefetch
from segqa.errors import CaseError, DatasetError, EngineError, ModelError, UsageError
from segqa.inference.batch_size import BatchSetting, BatchSize
from segqa.inference.case_scores import CaseScores
from segqa.inference.model_identity import identify
from segqa.inference.pipeline import Pipeline
from segqa.inference.predictor import Predictor
from segqa.inference.proposal_cache import CachedAnswer, Packed, PackedScores, pack, pack_scores
from segqa.inference.timing import StageTimer
from segqa.models.pickers import find_picker
from segqa.models.protocol import Model
from segqa.runs.outcome import Outcome
from segqa.scoring.metrics import METRIC_VERSION
from segqa.scoring.properties import PROPERTY_VERSION, CaseProperties
from segqa.support.environment import describe_hardware, limit_threads

_LOOKED_AFTER = 1.0
"""After so many seconds without a report it is seen whether the thread that owes it is still there."""


class ModelSupplier(Protocol):
    """Where a worker gets its model from. It goes to other processes, so it can be pickled."""

    def hand_over(self, use: Callable[[Model], None]) -> None:
        """Set the model up, hand it over, and clean up after it when that returns.

        Raises:
            UsageError: it cannot be built.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker has to know, beside the cases.

    Attributes:
        name: of the model.
        whole: who it has to be, see `Identity`.
        supply: where it comes from.
        pick: the picker's name.
        batch_size: images a `predict` call.
        threshold: below this IoU the wrong pixels of a prediction are broken down.
        hidden: the properties that a tag of their name hides.
        threads: of OpenCV and torch.
        probe: a packed case that can be read where the task was made, and its image's digest; None where none can.
        versions: of all that has to be the same.
        stop_after: see `Predictor`.
    """

    name: str
    whole: str
    supply: ModelSupplier
    pick: str
    batch_size: BatchSetting
    threshold: float
    hidden: frozenset[str]
    threads: int
    probe: tuple[bytes, bytes] | None
    versions: Mapping[str, str]
    stop_after: int | None = None


@dataclass(slots=True)
class Report:
    """What came of a block.

    Attributes:
        outcomes: one a case; empty where there was no model to ask.
        answers: what the model answered, to be kept.
        scores: scores of cases, to be stored.
        measured: the properties of the images, to be kept, by digests.
        seconds: that the stages took.
        batch_size: as it is by now.
        machine: where it was.
        notes: what is odd about how the model answers.
        problem: why there are no outcomes.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    answers: list[Packed] = field(default_factory=list)
    scores: list[PackedScores] = field(default_factory=list)
    measured: list[tuple[bytes, CaseProperties]] = field(default_factory=list)
    seconds: Mapping[str, array[float]] = field(default_factory=dict)
    batch_size: int = 0
    machine: str = ""
    notes: Sequence[str] = ()
    problem: str = ""


def versions() -> dict[str, str]:
    """What decides the outcomes, so that all workers need the same."""
    numbers = {"metrics": METRIC_VERSION, "properties": PROPERTY_VERSION, "reader": READER}
    return {"segqa": version("segqa"), **{name: str(number) for name, number in numbers.items()}}


def pack_case(case: Case) -> bytes:
    """A case for other processes.

    Raises:
        DatasetError: its source cannot be sent to them.
    """
    try:
        return pickle.dumps(replace(case, tags=dict(case.tags)))
    except Exception as error:
        raise DatasetError(
            f"the cases must be sent to other processes, but the source of {case.id!r} cannot be: {error}; "
            "a source that holds paths, and opens nothing before it is asked, can (--segqa-engine local needs neither)"
        ) from error


def unpack_case(packed: bytes) -> Case:
    """A case from another process of ours."""
    case: Case = pickle.loads(packed)  # noqa: S301 - `pack_case` has made it
    return case


class Worker:
    """Holds a model, in a thread that does nothing else: where it is built, it is asked.

    Args:
        task: what to do; what stands in its way is said of every block.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._problem = ""
        self._blocks: queue.Queue[Sequence[Case] | None] = queue.Queue()
        self._reports: queue.Queue[Report] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="segqa-worker", daemon=True)
        self._thread.start()

    def evaluate(self, cases: Sequence[Case]) -> Report:
        """What becomes of a block of cases."""
        self._blocks.put(cases)
        while True:
            # asked first: what a thread has reported before it ended is there
            is_working = self._thread.is_alive()
            try:
                return self._reports.get(timeout=_LOOKED_AFTER if is_working else 0)
            except queue.Empty:
                if not is_working:
                    return self._refusal()

    def close(self, seconds: float = 10.0) -> None:
        """Have the model cleaned up after, and wait for that so long."""
        self._blocks.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        """Hold the model for as long as there is one; where there is none, say why."""
        self._attempt(self._hold)
        while self._problem and self._blocks.get() is not None:
            self._reports.put(self._refusal())

    def _hold(self) -> None:
        _require_same(self._task)
        self._task.supply.hand_over(lambda model: self._attempt(lambda: self._serve(model)))

    def _attempt(self, act: Callable[[], None]) -> None:
        """Do something; where it fails, that is the problem from now on."""
        try:
            act()
        except UsageError as error:
            self._problem = self._problem or str(error) or repr(error)
        except BaseException:  # noqa: BLE001 - whoever waits for a report must be told
            self._problem = self._problem or traceback.format_exc()

    def _serve(self, model: Model) -> None:
        """Evaluate what comes, until it is closed."""
        task = self._task
        who = identify(model, task.name)
        if who.whole != task.whole:
            raise ModelError(f"the model must be the same everywhere: expected {task.whole}, got {who.whole}")
        with limit_threads(task.threads):
            bench = _Bench.from_task(model, task)
            while (cases := self._blocks.get()) is not None:
                self._attempt(lambda cases=cases: self._reports.put(bench.report(cases)))  # type: ignore[misc]
                if self._problem:
                    self._reports.put(self._refusal())
                    return

    def _refusal(self) -> Report:
        problem = self._problem or "the thread that holds the model has ended without a word"
        return Report(problem=f"{socket.gethostname()}: {problem}")


@dataclass(frozen=True, slots=True)
class _Bench:
    """The ordinary loop, with boxes in the place of a store."""

    loop: Pipeline
    answers: _Answers
    measured: _Measured
    threads: int

    @classmethod
    def from_task(cls, model: Model, task: Task) -> _Bench:
        answers, measured = _Answers(), _Measured()
        batch, stages = BatchSize(task.batch_size), StageTimer()
        loop = Pipeline(
            Predictor(model, batch, stages, task.stop_after),
            task.name,
            task.whole,
            find_picker(task.pick),
            answers,
            measured,
            stages,
            None,
            batch,
            threshold=task.threshold,
            hidden=task.hidden,
            refresh=True,
        )
        return cls(loop, answers, measured, task.threads)

    def report(self, cases: Sequence[Case]) -> Report:
        with prefetch(cases):
            outcomes = [outcome for batch in self.loop.outcomes(cases) for outcome in batch]
        return Report(
            outcomes=outcomes,
            answers=self.answers.take(),
            scores=self.answers.take_scores(),
            measured=self.measured.take(),
            seconds=self.loop.stages.take(),
            batch_size=self.loop.batch.current,
            machine=describe_hardware(self.threads),
            notes=self.loop.notes,
        )


class _Answers:
    """Takes answers for somebody else to keep."""

    def __init__(self) -> None:
        self._packed: list[Packed] = []
        self._scores: list[PackedScores] = []

    def get(self, key: bytes) -> CachedAnswer | None:
        """Nothing is kept here."""

    def get_scores(self, key: bytes, target: bytes) -> CaseScores | None:
        """Nothing is kept here."""

    def put(
        self,
        answers: Iterable[tuple[bytes, CachedAnswer]],
        model: str = "",  # noqa: ARG002 - as `Answers` has it
        scores: Iterable[tuple[bytes, bytes, CaseScores]] = (),
        source: str = "",  # noqa: ARG002 - likewise; whoever keeps them knows it
    ) -> None:
        self._packed += [pack(key, answer) for key, answer in answers]
        self._scores += [pack_scores(*each) for each in scores]

    def touch(self, keys: Iterable[bytes]) -> None:
        """There is nothing to touch."""

    def take(self) -> list[Packed]:
        taken, self._packed = self._packed, []
        return taken

    def take_scores(self) -> list[PackedScores]:
        taken, self._scores = self._scores, []
        return taken


class _Measured:
    """Takes properties for somebody else to keep."""

    def __init__(self) -> None:
        self._numbers: list[tuple[bytes, CaseProperties]] = []

    def get(self, digests: bytes) -> CaseProperties | None:
        """Nothing is kept here."""

    def put(self, measured: Iterable[tuple[bytes, CaseProperties]]) -> None:
        self._numbers += measured

    def take(self) -> list[tuple[bytes, CaseProperties]]:
        taken, self._numbers = self._numbers, []
        return taken


def _require_same(task: Task) -> None:
    """Refuse to work with another segqa, or where the data set is not."""
    for name, wanted in task.versions.items():
        if versions()[name] != wanted:
            raise EngineError(
                f"{name} must have the same version everywhere: expected {wanted}, got {versions()[name]}"
            )
    if task.probe is None:
        return
    case, digest = unpack_case(task.probe[0]), task.probe[1]
    try:
        found = case.digest()
    except CaseError as error:
        raise DatasetError(
            f"{error}: the cases must be at the same paths on every machine (a shared drive, an object store), or use "
            "shards"
        ) from error
    if found != digest:
        raise DatasetError(f"the image of {case.id!r} is another one than where the evaluation was started")
