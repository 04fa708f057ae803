"""Asking: the model is given what it prepared ahead, in batches; what it answers is checked."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

from segqa.errors import ProposalsError
from segqa.evaluation.batches import BatchSize, is_out_of_memory
from segqa.evaluation.stages import Stages
from segqa.mask import Image
from segqa.proposals import Model, Proposals


class Question:
    """An image for the model, with what comes of it.

    Attributes:
        given: what the model is handed: the image, or what the model has made of it.
        prompt: what to segment.
        proposals: the answer, once it is there.
        seconds: what it took, as the share of its batch.
        error: why there is none.
    """

    __slots__ = ("error", "given", "prompt", "proposals", "seconds")

    def __init__(self, given: Any, prompt: str) -> None:
        self.given = given
        self.prompt = prompt
        self.proposals: Proposals | None = None
        self.seconds = 0.0
        self.error = ""


class Asker:
    """Asks a model.

    Args:
        model: is asked.
        batch: how many images a call gets.
        stages: takes the time.
    """

    def __init__(self, model: Model, batch: BatchSize, stages: Stages) -> None:
        whole: Any = model
        # only both together split the work
        self._prepare = getattr(whole, "prepare", None) if hasattr(whole, "predict_prepared") else None
        self._predict = whole.predict_prepared if self._prepare else whole.predict
        self._batch = batch
        self._stages = stages

    def question(self, image: Image, prompt: str) -> Question:
        """An image as the model wants it; may be called from another thread than the rest."""
        if self._prepare is None:
            return Question(image, prompt)
        with self._stages.timed("prepare"):
            return Question(self._prepare(image, prompt), prompt)

    def ask(self, questions: Sequence[Question]) -> None:
        """Have some questions answered.

        If a call fails for want of memory, it is made again with half of them; if it fails in another way, for each
        question alone, so that one does not fail all.
        """
        rest, size = list(questions), len(questions)
        while rest:
            part, rest = rest[:size], rest[size:]
            error = self._attempt(part)
            if error is None:
                continue
            if len(part) == 1:
                part[0].error = "".join(traceback.format_exception(error))
            elif is_out_of_memory(error):
                # its frames hold what the failed call has taken
                error = None
                self._batch.exhausted(len(part))
                rest, size = part + rest, self._batch.current
            else:
                for question in part:
                    self.ask([question])
            # its frames refer to this one: images would stay in memory until the garbage collector runs
            error = None

    def _attempt(self, questions: Sequence[Question]) -> Exception | None:
        """One call; what it raised, if it failed."""
        try:
            with self._stages.timed("infer", len(questions)):
                answers = self._predict([each.given for each in questions], [each.prompt for each in questions])
            _require_answers(answers, len(questions))
        except Exception as error:  # noqa: BLE001 - the one place where a model's failure becomes an outcome
            return error
        seconds = self._stages.last("infer")
        for question, proposals in zip(questions, answers, strict=True):
            question.proposals, question.seconds = proposals, seconds
        self._batch.succeeded(len(questions), seconds * len(questions))
        return None


def _require_answers(answers: object, count: int) -> None:
    if not isinstance(answers, Sequence):
        raise ProposalsError(f"predict must return a list of Proposals, got {type(answers).__name__}")
    if len(answers) != count:
        raise ProposalsError(f"predict must return one Proposals an image: {count}, got {len(answers)}")
    for proposals in answers:
        if not isinstance(proposals, Proposals):
            raise ProposalsError(f"predict must return segqa.Proposals, got {type(proposals).__name__}")
