"""A queue of images before one model, which one thread asks: models need not be safe to be asked by several."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Thread

from segqa.data.mask import Image
from segqa.errors import ProposalsError
from segqa.inference.batch_size import BatchSize, gpu_memory
from segqa.inference.predictor import Predictor, PredictRequest
from segqa.inference.timing import StageTimer
from segqa.models.protocol import Model, Proposals
from segqa.support.escaping import to_line

log = logging.getLogger("segqa.serving")

_SMOOTHING = 0.1
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """The images of a request, and where their proposals go."""

    images: Sequence[Image]
    prompt: str
    answer: Future[list[Proposals]] = field(default_factory=Future)


class ModelThread:
    """Asks a model, first come, first served.

    Args:
        model: is asked by one thread alone.
        batch_size: so many images a call, taken from waiting requests with the same prompt.
    """

    def __init__(self, model: Model, batch_size: int) -> None:
        self.batch_size = batch_size
        self.seconds = 0.0
        self._model = model
        self._jobs: deque[_Job] = deque()
        self._changed = Condition()
        self._stopping = False
        self._asked_at: float | None = None

    @contextmanager
    def run(self) -> Iterator[ModelThread]:
        """Answer until the block ends; what has been handed in until then is answered still."""
        # a daemon: a model that never returns must not keep the process alive
        thread = Thread(target=self._work, name="segqa-model", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            with self._changed:
                self._stopping = True
                self._changed.notify()
            thread.join(timeout=_PATIENCE)

    @property
    def call_seconds(self) -> float:
        """Seconds for which the model has been at its present call; 0 where it is not asked."""
        started = self._asked_at
        return time.monotonic() - started if started is not None else 0.0

    def submit(self, images: Sequence[Image], prompt: str) -> Future[list[Proposals]]:
        """Proposals for images, to come. A future that is cancelled before its turn costs nothing."""
        job = _Job(images, prompt)
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        # not by the job, which would hold itself and its images then until the garbage collector runs
        job.answer.add_done_callback(self._forget)
        return job.answer

    def _forget(self, answer: Future[list[Proposals]]) -> None:
        """Let go of images whose answer nobody waits for any more, be the model ever so slow; no others are left."""
        with self._changed:
            for job in [each for each in self._jobs if each.answer is answer]:
                self._jobs.remove(job)

    def _work(self) -> None:
        while jobs := self._wait_for_jobs():
            self._answer(jobs)

    def _wait_for_jobs(self) -> list[_Job]:
        """The next request, and those that go into the same call; none where there is nothing more to come."""
        with self._changed:
            while True:
                while not self._jobs and not self._stopping:
                    self._changed.wait()
                jobs = self._take_batch()
                if jobs or not self._jobs:
                    return jobs

    def _take_batch(self) -> list[_Job]:
        """Those at the head of the queue that nobody has given up and that fit into one call."""
        jobs: list[_Job] = []
        free = self.batch_size
        while self._jobs:
            head = self._jobs[0]
            if jobs and (head.prompt != jobs[0].prompt or len(head.images) > free):
                break
            self._jobs.popleft()
            if head.answer.set_running_or_notify_cancel():
                jobs.append(head)
                free -= len(head.images)
        return jobs

    def _answer(self, jobs: Sequence[_Job]) -> None:
        """Ask the model, and hand each request what is its own."""
        self._asked_at = time.monotonic()
        try:
            answers = self._ask(jobs)
        except BaseException:  # noqa: BLE001 - logged
            # as it does in `prepare`, or by sys.exit; the thread has to outlive it, or all later requests wait for ever
            log.error("the model failed:\n%s", _indent(traceback.format_exc()))  # noqa: TRY400 - indented
            answers = [[] for _ in jobs]
        self._record_seconds(self.call_seconds / len(jobs))
        self._asked_at = None
        for job, requests in zip(jobs, answers, strict=True):
            _deliver(job, requests)

    def _ask(self, jobs: Sequence[_Job]) -> list[list[PredictRequest]]:
        """What the model answers, image by image of each request."""
        predictor = Predictor(self._model, BatchSize(self.batch_size), StageTimer())
        requests = [[predictor.question(image, job.prompt) for image in job.images] for job in jobs]
        waiting = [request for each in requests for request in each]
        for start in range(0, len(waiting), self.batch_size):
            predictor.ask(waiting[start : start + self.batch_size])
        for request in waiting:
            if request.error:
                log.error("the model failed:\n%s", _indent(request.error))
        return requests

    def _record_seconds(self, seconds: float) -> None:
        """Keep how long a request takes, lately."""
        self.seconds += (seconds - self.seconds) * (_SMOOTHING if self.seconds else 1.0)


def choose_batch_size(setting: int) -> int:
    """How many images a call gets: one on a CPU, where more only take longer, and as many as set on a GPU."""
    return setting if gpu_memory() is not None else 1


def _indent(text: str) -> str:
    """Indent a traceback for the log, so that a prompt in it cannot look like a line of the log, nor like a command."""
    return "\n".join(f"    {to_line(line)}" for line in text.strip().splitlines())


def _deliver(job: _Job, requests: Sequence[PredictRequest]) -> None:
    """Every image's proposals, or that there are none."""
    found = [request.proposals for request in requests if request.proposals is not None]
    if len(found) == len(job.images):
        job.answer.set_result(found)
    else:
        job.answer.set_exception(ProposalsError("the model failed"))
