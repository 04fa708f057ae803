"""Queue requests for one thread that calls the model, since models need not be thread-safe."""

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
    """The images of a request and the future of their proposals."""

    images: Sequence[Image]
    prompt: str
    answer: Future[list[Proposals]] = field(default_factory=Future)


class ModelThread:
    """Call a model from one thread; first come, first served.

    Args:
        model: the model.
        batch_size: maximum number of images in a call, from waiting requests with the same prompt.
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
        """Run the thread until the block ends; requests submitted before that are still answered."""
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
        """Duration of the current call of the model in seconds; 0 if it is idle."""
        started = self._asked_at
        return time.monotonic() - started if started is not None else 0.0

    def submit(self, images: Sequence[Image], prompt: str) -> Future[list[Proposals]]:
        """Queue images and return the future of their proposals; cancelled in time, it does not call the model."""
        job = _Job(images, prompt)
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        # not a method of the job: a reference cycle would keep its images until the garbage collector runs
        job.answer.add_done_callback(self._forget)
        return job.answer

    def _forget(self, answer: Future[list[Proposals]]) -> None:
        """Remove the job of a finished or cancelled future, so that its images are freed at once."""
        with self._changed:
            for job in [each for each in self._jobs if each.answer is answer]:
                self._jobs.remove(job)

    def _work(self) -> None:
        while jobs := self._wait_for_jobs():
            self._answer(jobs)

    def _wait_for_jobs(self) -> list[_Job]:
        """Wait for the requests of the next call; return an empty list when the thread is to stop."""
        with self._changed:
            while True:
                while not self._jobs and not self._stopping:
                    self._changed.wait()
                jobs = self._take_batch()
                if jobs or not self._jobs:
                    return jobs

    def _take_batch(self) -> list[_Job]:
        """Take the requests at the head of the queue that fit into one call; skip cancelled ones."""
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
        """Call the model and deliver the answers of each request."""
        self._asked_at = time.monotonic()
        try:
            answers = self._ask(jobs)
        except BaseException:  # noqa: BLE001 - logged
            # for example in `prepare` or by sys.exit; the thread must survive, or all later requests wait for ever
            log.error("the model failed:\n%s", _indent(traceback.format_exc()))  # noqa: TRY400 - indented
            answers = [[] for _ in jobs]
        self._record_seconds(self.call_seconds / len(jobs))
        self._asked_at = None
        for job, requests in zip(jobs, answers, strict=True):
            _deliver(job, requests)

    def _ask(self, jobs: Sequence[_Job]) -> list[list[PredictRequest]]:
        """Call the model and return the predictions of each request, image by image."""
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
        """Update the moving average of the time per request."""
        self.seconds += (seconds - self.seconds) * (_SMOOTHING if self.seconds else 1.0)


def choose_batch_size(setting: int) -> int:
    """Return the batch size: 1 on a CPU, where batches only take longer, and the setting on a GPU."""
    return setting if gpu_memory() is not None else 1


def _indent(text: str) -> str:
    """Indent a traceback, so that a prompt in it cannot imitate a log line or a command."""
    return "\n".join(f"    {to_line(line)}" for line in text.strip().splitlines())


def _deliver(job: _Job, requests: Sequence[PredictRequest]) -> None:
    """Set the proposals of all images, or an exception if one is missing."""
    found = [request.proposals for request in requests if request.proposals is not None]
    if len(found) == len(job.images):
        job.answer.set_result(found)
    else:
        job.answer.set_exception(ProposalsError("the model failed"))
