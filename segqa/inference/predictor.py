"""Call the model in batches, on copies of the images or on what it prepared of them, and validate what it returns.

Neither side can write into what the other one holds (`docs/decisions/what-passes-between-segqa-and-a-model.md`).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segqa.data.mask import Image
from segqa.errors import ModelError, ProposalsError
from segqa.inference.batch_size import BatchSize, is_out_of_memory
from segqa.inference.timing import StageTimer
from segqa.inference.validation import check_answers
from segqa.models.protocol import Model, Proposals
from segqa.runs.outcome import find_exception_line

_NOTHING = object()
_SEGQA = Path(__file__).parents[1]


class PredictRequest:
    """An image for the model, with what comes of it.

    Attributes:
        image: as it was read; the model gets copies of it.
        prompt: what to segment.
        prepared: what the model has made of a copy, until a call has had it.
        proposals: the answer, once it is there.
        seconds: what it took, as the share of its batch.
        error: why there is none.
    """

    __slots__ = ("error", "image", "prepared", "prompt", "proposals", "seconds")

    def __init__(self, image: Image, prompt: str) -> None:
        self.image = image
        self.prompt = prompt
        self.prepared: Any = _NOTHING
        self.proposals: Proposals | None = None
        self.seconds = 0.0
        self.error = ""


class Predictor:
    """Asks a model.

    Args:
        model: is asked.
        batch: how many images a call gets.
        stages: takes the time.
        stop_after: if the answers to the first so many images are all refused, the model is at fault, and nothing more
            is asked; None for never, where a model has given answers before.
    """

    def __init__(self, model: Model, batch: BatchSize, stages: StageTimer, stop_after: int | None = None) -> None:
        whole: Any = model
        # only both together split the work
        self._prepare = getattr(whole, "prepare", None) if hasattr(whole, "predict_prepared") else None
        self._predict = whole.predict_prepared if self._prepare else whole.predict
        self._batch = batch
        self._stages = stages
        self._notes: dict[str, str] = {}
        self._refused = 0
        self.stop_after = stop_after

    @property
    def notes(self) -> list[str]:
        """What is odd about how the model answers, each said once."""
        return list(self._notes.values())

    def question(self, image: Image, prompt: str) -> PredictRequest:
        """An image as the model wants it; may be called from another thread than the rest."""
        question = PredictRequest(image, prompt)
        if self._prepare is not None:
            with self._stages.measure("prepare"):
                question.prepared = self._prepare_image(question)
        return question

    def ask(self, questions: Sequence[PredictRequest]) -> None:
        """Have some questions answered.

        If a call fails for want of memory, it is made again with half of them; if it fails in another way, for each
        question alone, so that one does not fail all.

        Raises:
            ModelError: the model has answered nothing yet, and the first `stop_after` answers were refused.
        """
        rest, size = list(questions), len(questions)
        while rest:
            part, rest = rest[:size], rest[size:]
            error = self._attempt(part)
            if error is None:
                continue
            if len(part) == 1:
                self._fail(part[0], error)
            elif is_out_of_memory(error):
                # its frames hold what the failed call has taken
                error = None
                self._batch.record_failure(len(part))
                rest, size = part + rest, self._batch.current
            else:
                why, error = _describe_error(error), None
                self._ask_alone(part, why)
            # its frames refer to this one: images would stay in memory until the garbage collector runs
            error = None

    def _ask_alone(self, questions: Sequence[PredictRequest], why: str) -> None:
        """Ask for each image alone, since a call for all of them has failed."""
        for question in questions:
            self.ask([question])
        if all(question.proposals is not None for question in questions):
            self._notes.setdefault(
                "alone",
                f"a call for {len(questions)} images failed ({why}), and the model answered each of them alone, which "
                "takes longer: mend predict, or set batch_size = 1",
            )

    def _fail(self, question: PredictRequest, error: Exception) -> None:
        """Note why there is no answer; end the evaluation where there never will be one."""
        question.error = "".join(traceback.format_exception(error))
        if not isinstance(error, ProposalsError):
            self.stop_after = None
        self._refused += 1
        if self._refused == self.stop_after:
            raise ModelError(
                f"{error}{_find_model_line(error)}; no answer to the first {self._refused} images can be used"
            )

    def _attempt(self, questions: Sequence[PredictRequest]) -> Exception | None:
        """One call; what it raised, if it failed."""
        prompts = [each.prompt for each in questions]
        try:
            given = [self._give(each) for each in questions]
            with self._stages.measure("infer", len(questions)):
                answers = _call(self._predict, given, prompts)
            if self._prepare is None:
                self._compare(questions, given)
            found = check_answers(answers, [(each.image.shape[0], each.image.shape[1]) for each in questions])
        except Exception as error:  # noqa: BLE001 - the one place where a model's failure becomes an outcome
            return error
        seconds = self._stages.last("infer")
        for question, proposals in zip(questions, found, strict=True):
            question.proposals, question.seconds = proposals, seconds
        self._batch.record_success(len(questions), seconds * len(questions))
        self.stop_after = None
        return None

    def _give(self, question: PredictRequest) -> Any:
        """Return what a call hands to the model: no other call has had it, so nothing in it has been changed."""
        if self._prepare is None:
            return question.image.copy()
        prepared, question.prepared = question.prepared, _NOTHING
        return self._prepare_image(question) if prepared is _NOTHING else prepared

    def _prepare_image(self, question: PredictRequest) -> Any:
        """Return what the model makes of a copy of an image."""
        assert self._prepare is not None  # noqa: S101 - only a model that prepares gets here
        given = question.image.copy()
        prepared = _call(self._prepare, given, question.prompt)
        self._compare([question], [given])
        return prepared

    def _compare(self, questions: Sequence[PredictRequest], given: Sequence[Image]) -> None:
        """Note that the model has changed an image that it was given."""
        if "changes" in self._notes:
            return
        if not all(np.array_equal(each.image, copy) for each, copy in zip(questions, given, strict=True)):
            self._notes["changes"] = (
                "the model changes the images that it is given; segqa hands out copies, but whoever else calls it "
                "twice with one array gets two answers: copy the image before it is changed"
            )


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the model, which must not end the process."""
    try:
        return function(*arguments)
    except SystemExit as error:
        raise ProposalsError(
            f"predict must return, but it called sys.exit({error.code!r}); argparse does so, too, since it reads the "
            "command line of pytest: give a model its options in its fixture"
        ) from error


def _describe_error(error: Exception) -> str:
    return find_exception_line("".join(traceback.format_exception_only(error)))


def _find_model_line(error: Exception) -> str:
    """Return where in the model's own code segqa was called; empty where it was not."""
    frames = traceback.extract_tb(error.__traceback__)
    calls = [frame for frame in frames if not Path(frame.filename).is_relative_to(_SEGQA)]
    return f", at {calls[-1].filename}:{calls[-1].lineno}" if calls else ""
