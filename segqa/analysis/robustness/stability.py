"""A trial is one case under one change: its IoU before and after, and how far the two predictions agree."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segqa.runs.query import Or, Predicate
from segqa.runs.run import mean_of
from segqa.support.plurals import format_count

SHOWN = 5
"""So many trials are listed."""


@dataclass(frozen=True, slots=True)
class PerturbationOutcome:
    """What became of one case under one change.

    Attributes:
        case_id: of the unchanged case.
        change: its name.
        severity: how much of it.
        before: the IoU of the prediction on the unchanged image with the target.
        iou: that of the prediction on the changed image with the target that has moved along; NaN for an error.
        agreement: the IoU of the two predictions with each other, over the pixels that both images have; NaN where
            they say nothing about each other.
        kind: of failure; empty where the changed case met the threshold.
        compared: hex, equal for two trials if the same two predictions were compared; empty where none were.
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
        """By how much the IoU is lower; below 0 where it is higher."""
        return self.before - self.iou

    def __str__(self) -> str:
        """The trial in a line."""
        agreement = "" if math.isnan(self.agreement) else f"agreement {self.agreement:.4f}  "
        moved = f"IoU {self.before:.4f} → {self.iou:.4f}"
        return f"{agreement}{moved}  {self.kind or 'passed'}  {self.case_id}~{self.change}-{self.severity}"


class Reading(float):
    """A number that knows what it was read off, so that a failing assertion can say more than two numbers.

    Attributes:
        name: of the number, as it stands before it.
        lines: what it is made of, the worst first.
        hints: the commands that show more.
    """

    __slots__ = ("hints", "lines", "name")
    name: str
    lines: tuple[str, ...]
    hints: tuple[str, ...]

    @classmethod
    def from_value(cls, value: float, name: str, lines: Iterable[str] = (), hints: Iterable[str] = ()) -> Reading:
        """The value of the number called `name`."""
        reading = cls(value)
        reading.name, reading.lines, reading.hints = name, tuple(lines), tuple(hints)
        return reading


@dataclass(frozen=True, slots=True)
class Origin:
    """Where trials come from.

    Attributes:
        title: model and data set.
        run: the id of the run over the changed cases.
        words: of the command that tries the cases again.
    """

    title: str
    run: str
    words: tuple[str, ...] = ("pytest", "suites")

    def build_hints(self, case_ids: Sequence[str]) -> tuple[str, ...]:
        """The commands that try these cases again, and that show all of them."""
        condition = str(Or(tuple(Predicate("id", "=", each) for each in dict.fromkeys(case_ids))))
        again = [f"just these: {shlex.join([*self.words, '--segqa-where', condition])}"] if case_ids else []
        return (*again, f"the changed cases: segqa report {self.run} --open")


@dataclass(frozen=True, slots=True)
class PerturbationOutcomes:
    """Some trials of one sort: those of one change at one severity, say.

    Attributes:
        title: what was done.
        found: sorted by case.
        origin: where they come from.
    """

    title: str
    found: tuple[PerturbationOutcome, ...]
    origin: Origin

    def __len__(self) -> int:
        return len(self.found)

    @property
    def agreement(self) -> Reading:
        """The mean agreement of the predictions on the changed and on the unchanged images; NaN without any."""
        return self._average("agreement", lambda trial: trial.agreement, lowest=True)

    @property
    def drop(self) -> Reading:
        """By how much the mean IoU is lower than on the unchanged images; NaN where nothing was scored."""
        return self._average("drop of IoU", lambda trial: trial.drop, lowest=False)

    @property
    def iou(self) -> Reading:
        """The mean IoU on the changed images; NaN where nothing was scored."""
        return self._average("mean IoU", lambda trial: trial.iou, lowest=True)

    @property
    def before(self) -> float:
        """The mean IoU of the same cases on the unchanged images."""
        return mean_of(np.array([trial.before for trial in self.found if not math.isnan(trial.iou)]))

    @property
    def hallucinated(self) -> Reading:
        """The share of the answered trials in which something was predicted where there is nothing."""
        return self.compute_share("hallucinated")

    @property
    def errors(self) -> Reading:
        """The share of the trials that could not be evaluated."""
        return self.compute_share("error")

    def compute_share(self, kind: str) -> Reading:
        """The share of the trials that failed in this way; errors are no answers, so they are left out of others."""
        counted = [trial for trial in self.found if kind == "error" or trial.kind != "error"]
        failed = [trial for trial in counted if trial.kind == kind]
        value = len(failed) / len(counted) if counted else math.nan
        return self.make_reading(value, f"share of {kind}", failed)

    def make_reading(self, value: float, name: str, worst: Sequence[PerturbationOutcome]) -> Reading:
        """A number with the trials that made it what it is, the worst first."""
        shown = worst[:SHOWN]
        lines = [f"{self.origin.title}, {self.title} ({self.tally})"]
        if shown:
            lines += [f"worst {len(shown)}:", *(f"  {trial}" for trial in shown)]
        hints = self.origin.build_hints([trial.case_id for trial in shown])
        return Reading.from_value(value, f"{name}, {self.title}," if self.title else name, lines, hints)

    @property
    def tally(self) -> str:
        """How many there are: `49 scored, 1 error`."""
        errors = sum(trial.kind == "error" for trial in self.found)
        return f"{len(self.found) - errors} scored, {format_count(errors, 'error')}"

    def _average(self, name: str, of: Callable[[PerturbationOutcome], float], *, lowest: bool) -> Reading:
        """The mean of a number over the trials that have it."""
        known = [trial for trial in self.found if not math.isnan(of(trial))]
        ordered = sorted(known, key=lambda trial: (of(trial) if lowest else -of(trial), trial.case_id, trial.severity))
        return self.make_reading(mean_of(np.array([of(trial) for trial in known])), name, ordered)
