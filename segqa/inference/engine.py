"""Run inference in many processes with Ray, and keep what they return.

What comes is kept here, and nowhere else: the actors have no store (`docs/decisions/ray.md`).
"""

from __future__ import annotations

import importlib.util
import math
import pickle
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from segqa.data.case import Case
from segqa.errors import CaseError, EngineError, ModelError
from segqa.inference.batch_size import FIRST, LARGEST, BatchSetting
from segqa.inference.pipeline import Pipeline
from segqa.inference.property_cache import PropertyCache
from segqa.inference.proposal_cache import ProposalCache, proposals_key
from segqa.inference.ray_cluster import connect
from segqa.inference.worker import ModelSupplier, Report, Task, Worker, pack_case, unpack_case, versions
from segqa.models.protocol import Model
from segqa.runs.outcome import Outcome
from segqa.settings import RaySettings
from segqa.support.plurals import format_count

if TYPE_CHECKING:
    import pyarrow as pa

_ATTEMPTS = 2
"""So many processes may end under a block before its cases are tried one by one, and under one of these."""

_PATIENCE = 16
"""So often an actor may begin something before anything has been ended; then none ever will."""

_READERS = 8


@dataclass(frozen=True, slots=True)
class Pickled:
    """A model that is sent to the actors as it is, or a function that builds it there.

    Attributes:
        content: of either, by cloudpickle.
        is_recipe: whether it is a function.
    """

    content: bytes
    is_recipe: bool

    @classmethod
    def from_model(cls, model: object) -> Pickled:
        """Pack a model, or a function that builds one.

        Raises:
            ModelError: it cannot be sent to other processes.
        """
        from ray import cloudpickle

        try:
            return cls(cloudpickle.dumps(model), is_recipe=not hasattr(model, "predict"))
        except Exception as error:
            raise ModelError(
                f"a {type(model).__name__} cannot be sent to other processes: {error}; give a function that builds it"
            ) from error

    def hand_over(self, use: Callable[[Model], None]) -> None:
        """Unpack the model, or build it."""
        found = pickle.loads(self.content)  # noqa: S301 - packed above
        use(found() if self.is_recipe else found)


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Ray, with so many actors.

    Attributes:
        settings: how many, and where.
        supply: where they get the model from.
    """

    settings: RaySettings
    supply: ModelSupplier

    def require(self, known: str | None, cases: Sequence[Case]) -> None:
        """Refuse what would fail only after Ray has been started.

        Raises:
            EngineError: Ray is not installed.
            ModelError: the model has no fingerprint.
            DatasetError: the cases cannot be sent to other processes.
        """
        require_ray()
        if not known:
            raise ModelError(
                "a model without a fingerprint is evaluated by --segqa-engine local: nobody could tell whether all "
                "actors have the same one"
            )
        for case in cases[:1]:
            pack_case(case)


def require_ray() -> None:
    """Refuse to go on without Ray Data.

    Raises:
        EngineError: it is not installed.
    """
    missing = [name for name in ("ray", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineError(f"--segqa-engine ray needs {' and '.join(missing)}: pip install 'segqa[ray]'")


@dataclass(slots=True)
class Distributed:
    """A loop whose questions are asked by actors.

    Cases whose proposals are stored are scored here.

    Attributes:
        engine: has the actors.
        loop: has what the evaluation works with; its model is not asked.
        cache: keeps the proposals.
        measured: keeps the properties.
        pick: the picker's name.
        batch_size: images a `predict` call.
        machines: those that have answered.
        batch: images in the last `predict` call.
        notes: what is odd about how the model answers.
    """

    engine: RayEngine
    loop: Pipeline
    cache: ProposalCache
    measured: PropertyCache
    pick: str
    batch_size: BatchSetting
    machines: set[str] = field(default_factory=set)
    batch: int = 0
    notes: list[str] = field(default_factory=list)

    def outcomes(self, cases: Sequence[Case], stop_after: int | None = None) -> Generator[list[Outcome]]:
        """The outcomes of all cases, a block at a time, each as soon as it is known.

        Args:
            cases: the cases.
            stop_after: see `Asker`.

        Raises:
            EngineError: no actor answers, or one says why it cannot.
        """
        stored = self._find_stored(cases)
        yield from self.loop.outcomes([case for case in cases if case.id in stored])
        waiting = {case.id: case for case in cases if case.id not in stored}
        if not waiting:
            return
        with connect(self.engine.settings):
            yield from self._ask_cases(waiting, None if stored else stop_after)

    def describe_usage(self) -> dict[str, Any]:
        """What stands in the provenance in place of what this process would say of itself."""
        if not self.machines:
            return {}
        actors = self.engine.settings.actors
        machine = f"{' and '.join(sorted(self.machines))}, {actors} actors"
        return {"hardware": machine, "batch_size": self.batch, "engine": {"name": "ray", "actors": actors}}

    def _find_stored(self, cases: Sequence[Case]) -> set[str]:
        """The ids of those that need not be asked."""
        if self.loop.refresh or not self.cache.knows(self.loop.name):
            return set()
        with ThreadPoolExecutor(_READERS, "segqa-digest") as readers:
            keys = dict(zip(readers.map(self._key, cases), (case.id for case in cases), strict=True))
        keys.pop(None, None)
        missing = set(self.cache.find_missing(key for key in keys if key))
        return {case_id for key, case_id in keys.items() if key not in missing}

    def _key(self, case: Case) -> bytes | None:
        """Under which the proposals of a case are kept; None where it cannot be read."""
        with suppress(CaseError):
            return proposals_key(self.loop.fingerprint, case.digest(), case.prompt)
        return None

    def _ask_cases(self, waiting: dict[str, Case], stop_after: int | None) -> Iterator[list[Outcome]]:
        """Have cases asked."""
        task, settings = replace(self._task(waiting.values()), stop_after=stop_after), self.engine.settings
        rows = _rows(len(waiting), self.batch_size, settings.actors)
        with closing(_reports(task, list(waiting.values()), rows, settings)) as reports:
            for report in reports:
                yield self._keep(report, waiting)
        if waiting:
            raise EngineError(
                f"Ray has lost {format_count(len(waiting), 'case')}, such as {min(waiting)}; the same command goes on"
            )

    def _keep(self, report: Report, waiting: dict[str, Case]) -> list[Outcome]:
        """Keep what an actor has found out; its outcomes, but for those that another one has brought already."""
        if report.problem:
            raise EngineError(f"an actor cannot evaluate: {report.problem}")
        self.cache.put_packed(report.answers, self.loop.name, report.scores, self.loop.source)
        self.measured.put(report.measured)
        self.loop.stages.add(report.seconds)
        self.notes += [note for note in report.notes if note not in self.notes]
        if report.machine:
            self.machines.add(report.machine)
            self.batch = report.batch_size
        return [outcome for outcome in report.outcomes if waiting.pop(outcome.case_id, None)]

    def _task(self, cases: Iterable[Case]) -> Task:
        return Task(
            name=self.loop.name,
            whole=self.loop.fingerprint,
            supply=self.engine.supply,
            pick=self.pick,
            batch_size=self.batch_size,
            threshold=self.loop.threshold,
            hidden=self.loop.hidden,
            threads=max(1, int(self.engine.settings.cpus_per_actor)),
            probe=_probe(cases),
            versions=versions(),
        )


class Ledger:
    """Knows what has been begun and not ended, so that what ends its process is not begun for ever.

    Args:
        patience: so much may be begun before the first thing has been ended.
    """

    def __init__(self, patience: int) -> None:
        self._begun: Counter[str] = Counter()
        self._patience: float = patience

    def begin(self, what: str) -> int:
        """How often it has been begun by now; -1 where nothing of all that has ever been ended."""
        self._begun[what] += 1
        return self._begun[what] if self._begun.total() <= self._patience else -1

    def end(self, what: str) -> None:
        """It has not ended its process."""
        del self._begun[what]
        self._patience = math.inf


class _Actor:
    """What Ray Data calls: a worker that is asked in tables of packed cases and answers in tables of packed reports.

    Args:
        task: the worker's.
        ledger: an actor that has the `Ledger`.
    """

    def __init__(self, task: Task, ledger: Any) -> None:
        self._worker = Worker(task)
        self._ledger = ledger

    def __call__(self, block: pa.Table) -> pa.Table:
        cases = [unpack_case(packed) for packed in block.column("case").to_pylist()]
        whole = self._evaluate(f"block of {cases[0].id}", cases)
        return _table([whole] if whole else [self._evaluate(case.id, [case]) or _describe_lost(case) for case in cases])

    def __del__(self) -> None:
        """Ray Data lets go of it when all is done."""
        self._worker.close()

    def _evaluate(self, what: str, cases: Sequence[Case]) -> Report | None:
        """What becomes of some cases; None where too many processes have ended under them."""
        import ray

        times = ray.get(self._ledger.begin.remote(what))
        if times < 0:
            return Report(problem="each process has ended at its first cases, without a word: killed, or crashed")
        if times > _ATTEMPTS:
            return None
        report = self._worker.evaluate(cases)
        ray.get(self._ledger.end.remote(what))
        return report


def _reports(task: Task, cases: Sequence[Case], rows: int, settings: RaySettings) -> Generator[Report]:
    """What the actors report, as it comes."""
    import ray.data

    blocks = -(-len(cases) // rows)
    ledger = _ledger(_PATIENCE * settings.actors)
    dataset = ray.data.from_items([{"case": pack_case(case)} for case in cases], override_num_blocks=blocks)
    dataset.context.enable_progress_bars = False
    dataset.context.print_on_execution_start = False
    reported = dataset.map_batches(
        _Actor,
        fn_constructor_args=(task, ledger),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(settings.actors, blocks)),
        num_cpus=settings.cpus_per_actor,
        num_gpus=settings.gpus_per_actor,
    )
    try:
        for table in reported.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
            yield from map(pickle.loads, table.column("report").to_pylist())
    except ray.exceptions.RayError as error:
        raise EngineError(f"Ray has given up: {error}; the same command goes on where this one stopped") from error


def _ledger(patience: int) -> Any:
    """An actor that has a ledger: here, where nothing goes on without this machine, and asked again if it has ended."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    lasting = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    return lasting(Ledger).remote(patience)


def _table(reports: Iterable[Report]) -> pa.Table:
    """Reports as rows."""
    import pyarrow as pa

    return pa.table({"report": pa.array([pickle.dumps(report) for report in reports], pa.large_binary())})


def _rows(cases: int, batch_size: BatchSetting, actors: int) -> int:
    """How many cases a block has: some batches, so that reading ahead is of use, but several blocks for each actor."""
    batch, most = (FIRST, LARGEST) if batch_size == "auto" else (batch_size, 4 * batch_size)
    return max(batch, min(most, cases // (4 * actors)))


def _probe(cases: Iterable[Case]) -> tuple[bytes, bytes] | None:
    """The first case that can be read, packed, and the digest of its image."""
    for case in cases:
        with suppress(CaseError):
            return pack_case(case), case.digest()
    return None


def _describe_lost(case: Case) -> Report:
    """What is said of a case under which the processes end."""
    error = f"the process that evaluated it ended, {_ATTEMPTS} times alone and without a word: killed, or crashed"
    return Report([Outcome(case_id=case.id, prompt=case.prompt, tags=dict(case.tags), properties={}, error=error)])
