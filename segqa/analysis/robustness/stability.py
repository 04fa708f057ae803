"""The outcome of one case under one perturbation, and the mean agreement, IoU drop and error rate of many."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segqa.runs.query import Or, Predicate
from segqa.runs.run import compute_mean
from segqa.support.plurals import format_count

SHOWN = 5
"""Maximum number of outcomes that are listed."""


@dataclass(frozen=True, slots=True)
class PerturbationOutcome:
    """The outcome of one case under one perturbation.

    Attributes:
        case_id: id of the unchanged case.
        change: name of the perturbation.
        severity: its severity, from 1.
        before: IoU of the prediction on the unchanged image.
        iou: IoU of the prediction on the perturbed image with the warped target; NaN for an error.
        agreement: IoU of the two predictions with each other, over the pixels that both images share; NaN if they
            cannot be compared.
        kind: failure kind; empty if the perturbed case passed.
        compared: hex digest of the two predictions compared; empty if none were.
    """

    case_id: str
    change: str
    severity: int
    before: float
    iou: float
    agreement: float
    kind: str = ""
    compared: str = ""

    @property
    def drop(self) -> float:
        """Drop in IoU; negative if the IoU rises."""
        return self.before - self.iou

    def __str__(self) -> str:
        """Describe the outcome in one line."""
        agreement = "" if math.isnan(self.agreement) else f"agreement {self.agreement:.4f}  "
        moved = f"IoU {self.before:.4f} → {self.iou:.4f}"
        return f"{agreement}{moved}  {self.kind or 'passed'}  {self.case_id}~{self.change}-{self.severity}"


class Reading(float):
    """A number with an explanation for failing assertions.

    Attributes:
        name: name of the number.
        lines: the cases behind it, the worst first.
        hints: commands that show more.
    """

    __slots__ = ("hints", "lines", "name")
    name: str
    lines: tuple[str, ...]
    hints: tuple[str, ...]

    @classmethod
    def from_value(cls, value: float, name: str, lines: Iterable[str] = (), hints: Iterable[str] = ()) -> Reading:
        """Make a reading from a value and its explanation."""
        reading = cls(value)
        reading.name, reading.lines, reading.hints = name, tuple(lines), tuple(hints)
        return reading


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of perturbed outcomes.

    Attributes:
        title: model and data set.
        run: id of the run over the perturbed cases.
        words: the words of the command that evaluates the cases again.
    """

    title: str
    run: str
    words: tuple[str, ...] = ("pytest", "suites")

    def build_hints(self, case_ids: Sequence[str]) -> tuple[str, ...]:
        """Return the commands that evaluate these cases again and that show all perturbed cases."""
        condition = str(Or(tuple(Predicate("id", "=", each) for each in dict.fromkeys(case_ids))))
        again = [f"just these: {shlex.join([*self.words, '--segqa-where', condition])}"] if case_ids else []
        return (*again, f"the changed cases: segqa report {self.run} --open")


@dataclass(frozen=True, slots=True)
class PerturbationOutcomes:
    """The outcomes of one perturbation, for example at one severity.

    Attributes:
        title: the perturbation.
        found: the outcomes, sorted by case.
        origin: model, data set and run.
    """

    title: str
    found: tuple[PerturbationOutcome, ...]
    origin: Origin

    def __len__(self) -> int:
        return len(self.found)

    @property
    def agreement(self) -> Reading:
        """Mean agreement of the predictions on the perturbed and the unchanged images; NaN without any."""
        return self._average("agreement", lambda trial: trial.agreement, lowest=True)

    @property
    def drop(self) -> Reading:
        """Drop in mean IoU from the unchanged images; NaN if nothing was scored."""
        return self._average("drop of IoU", lambda trial: trial.drop, lowest=False)

    @property
    def iou(self) -> Reading:
        """Mean IoU on the perturbed images; NaN if nothing was scored."""
        return self._average("mean IoU", lambda trial: trial.iou, lowest=True)

    @property
    def before(self) -> float:
        """Mean IoU of the same cases on the unchanged images."""
        return compute_mean(np.array([trial.before for trial in self.found if not math.isnan(trial.iou)]))

    @property
    def hallucinated(self) -> Reading:
        """Share of the answered cases with a prediction although the target is empty."""
        return self.compute_share("hallucinated")

    @property
    def errors(self) -> Reading:
        """Share of the cases that could not be evaluated."""
        return self.compute_share("error")

    def compute_share(self, kind: str) -> Reading:
        """Compute the share of outcomes with a failure kind; only the share of errors counts errors."""
        counted = [trial for trial in self.found if kind == "error" or trial.kind != "error"]
        failed = [trial for trial in counted if trial.kind == kind]
        value = len(failed) / len(counted) if counted else math.nan
        return self.make_reading(value, f"share of {kind}", failed)

    def make_reading(self, value: float, name: str, worst: Sequence[PerturbationOutcome]) -> Reading:
        """Make a reading that lists the worst outcomes."""
        shown = worst[:SHOWN]
        lines = [f"{self.origin.title}, {self.title} ({self.tally})"]
        if shown:
            lines += [f"worst {len(shown)}:", *(f"  {trial}" for trial in shown)]
        hints = self.origin.build_hints([trial.case_id for trial in shown])
        return Reading.from_value(value, f"{name}, {self.title}," if self.title else name, lines, hints)

    @property
    def tally(self) -> str:
        """The counts: `49 scored, 1 error`."""
        errors = sum(trial.kind == "error" for trial in self.found)
        return f"{len(self.found) - errors} scored, {format_count(errors, 'error')}"

    def _average(self, name: str, of: Callable[[PerturbationOutcome], float], *, lowest: bool) -> Reading:
        """Compute the mean of a number over the outcomes that have it."""
        known = [trial for trial in self.found if not math.isnan(of(trial))]
        ordered = sorted(known, key=lambda trial: (of(trial) if lowest else -of(trial), trial.case_id, trial.severity))
        return self.make_reading(compute_mean(np.array([of(trial) for trial in known])), name, ordered)
