"""The result of a robustness measurement, stored beside the run over the perturbed cases."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from segqa.analysis.robustness.perturbations import PERTURBATIONS, Perturbation, find_perturbation
from segqa.analysis.robustness.stability import Origin, PerturbationOutcome, PerturbationOutcomes, Reading
from segqa.errors import StoreError
from segqa.runs.checksums import add_checksum, require_checksum
from segqa.runs.run import Run, compute_mean, find_repeatable_options
from segqa.runs.store import Store, write_whole
from segqa.stats.permutation_test import compute_interval
from segqa.support.disk_errors import explain_disk_errors
from segqa.support.plurals import format_count

ROBUSTNESS_VERSION = 3
"""Version of the file; results of another version are measured again."""

_FILE, _LINK = "robustness.json", "changed.json"
_LOOKED_BACK = 8


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Robustness:
    """The outcomes of a sample of cases under every perturbation.

    Attributes:
        model: name of the model.
        dataset: name of the original data set.
        run: id of the run over the perturbed cases.
        cases: number of perturbed cases.
        left_out: ids of sampled cases that could not be evaluated unchanged.
        trials: the outcomes, sorted by case.
        command: the command that the user typed, for the commands in messages.
        groups: group number by case id; cases of one group depend on each other, cases without one are independent.
    """

    model: str
    dataset: str
    run: str
    cases: int
    left_out: tuple[str, ...]
    trials: tuple[PerturbationOutcome, ...]
    command: str = ""
    groups: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return a short text for failing assertions."""
        counts = f"{format_count(self.cases, 'case')}, {format_count(len(self.trials), 'trial')}"
        return f"<robustness of {self.model} on {self.dataset}: {counts}>"

    @property
    def changes(self) -> tuple[Perturbation, ...]:
        """The perturbations that were applied."""
        tried = {trial.change for trial in self.trials}
        return tuple(change for change in PERTURBATIONS if change.name in tried)

    def select(self, change: str, severity: int = 1) -> PerturbationOutcomes:
        """Return the outcomes of one perturbation at one severity, 1 being the mildest.

        Raises:
            SettingsError: the perturbation or the severity is unknown.
        """
        done = find_perturbation(change).describe(severity)
        found = (trial for trial in self.trials if trial.severity == severity and trial.change == change)
        return PerturbationOutcomes(f"{change} {severity} ({done})", tuple(found), self._origin)

    def select_all(self, change: str) -> PerturbationOutcomes:
        """Return the outcomes of one perturbation at all severities.

        Raises:
            SettingsError: the perturbation is unknown.
        """
        name = find_perturbation(change).name
        return PerturbationOutcomes(name, tuple(trial for trial in self.trials if trial.change == name), self._origin)

    @property
    def errors(self) -> Reading:
        """Share of all perturbed cases that could not be evaluated."""
        return PerturbationOutcomes("", self.trials, self._origin).errors

    def compute_rises(self, change: str, slack: float = 0.02) -> Reading:
        """Compute the share of cases whose IoU rises by more than a slack from one severity to the next.

        Args:
            change: a perturbation that should never help.
            slack: rises up to this IoU count as noise.
        """
        trials = self.select_all(change)
        steps: dict[str, list[PerturbationOutcome]] = {}
        for trial in sorted(trials.found, key=lambda trial: trial.severity):
            if not math.isnan(trial.iou):
                steps.setdefault(trial.case_id, []).append(trial)
        rising = {case_id: by for case_id, each in steps.items() if (by := _compute_greatest_rise(each)) > slack}
        worst = sorted(rising, key=lambda case_id: -rising[case_id])
        lines = [f"{trials.origin.title}, {change} ({format_count(len(steps), 'case')}), IoU by severity from 0:"]
        for case_id in worst[:5]:
            course = " → ".join(f"{iou:.4f}" for iou in _list_ious(steps[case_id]))
            lines.append(f"  +{rising[case_id]:.4f}  {course}  {case_id}")
        share = len(rising) / len(steps) if steps else math.nan
        name = f"share of cases that rise by more than {slack:g} with more {change}"
        return Reading.from_value(share, name, lines, trials.origin.build_hints(worst[:5]))

    def compute_proven_gain(self, change: str) -> Reading:
        """Compute the lower 95 % confidence bound of the gain in mean IoU; below 0 if no gain is proven.

        This is the lower end of a one-sided interval of the mean paired difference, see `segqa.stats.permutation_test`.
        All cases of one group count as one independent sample.
        """
        trials = self.select(change)
        scored = [trial for trial in trials.found if not math.isnan(trial.iou)]
        gains = np.array([-trial.drop for trial in scored])
        best = sorted(scored, key=lambda trial: (trial.drop, trial.case_id))
        numbers = [self.groups.get(trial.case_id, -1 - place) for place, trial in enumerate(scored)]
        groups = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
        reading = trials.make_reading(compute_interval(gains, groups).low, "proven gain of IoU", best)
        told = f"mean IoU {trials.before:.4f} → {float(trials.iou):.4f}, mean gain {compute_mean(gains):+.4f}"
        lines = [told if line.startswith("worst") else line for line in reading.lines]
        return Reading.from_value(reading, reading.name, lines, reading.hints)

    @property
    def _origin(self) -> Origin:
        return Origin(f"{self.model} on {self.dataset}", self.run, find_repeatable_options(self.command))


def write_robustness(found: Robustness, store: Store, of: str) -> None:
    """Write a result beside the run over the perturbed cases.

    Args:
        found: the result.
        store: holds that run.
        of: digest of the unchanged predictions that it was compared with.
    """
    described = {name: getattr(found, name) for name in ("model", "dataset", "run", "cases", "left_out")}
    rows = [[_to_json(getattr(trial, name)) for name in PerturbationOutcome.__slots__] for trial in found.trials]
    document = add_checksum({"version": ROBUSTNESS_VERSION, "of": of, **described, "trials": rows})
    text = json.dumps(document, ensure_ascii=False)
    _write_file(store, found.run, _FILE, f"{text}\n")


def read_robustness(store: Store, run_id: str, of: str | None = None) -> Robustness | None:
    """Read the result beside a run over perturbed cases; return None if there is none or it does not match.

    Args:
        store: holds the run.
        run_id: id of the run over the perturbed cases.
        of: required digest of the unchanged predictions; None for any.

    Raises:
        StoreError: the file is damaged.
    """
    kept = _read_file(store, run_id, _FILE)
    if kept.get("version") != ROBUSTNESS_VERSION or of not in (None, kept["of"]):
        return None
    trials = tuple(_parse_row(row) for row in kept.pop("trials"))
    described = {name: value for name, value in kept.items() if name not in ("version", "of", "checksum")}
    return Robustness(**described | {"left_out": tuple(kept["left_out"])}, trials=trials)


def read_agreements(store: Store, model: str, dataset: str) -> dict[str, float]:
    """Read the agreements of the last measurements of a model by `compared`: another picker changes few of them.

    Args:
        store: holds the runs.
        model: name of the model.
        dataset: name of the perturbed data set.
    """
    found: dict[str, float] = {}
    for run_id in store.find_recent(model, dataset, _LOOKED_BACK):
        with suppress(StoreError):
            measured = read_robustness(store, run_id)
            found |= {trial.compared: trial.agreement for trial in measured.trials} if measured else {}
    return found


def link_robustness(store: Store, run_id: str, changed: str) -> None:
    """Store the id of the run over the perturbed cases beside the original run."""
    _write_file(store, run_id, _LINK, json.dumps(add_checksum({"run": changed})) + "\n")


def find_robustness(store: Store, run: Run) -> Robustness | None:
    """Return the robustness measured with a run; None if there is none or the run over perturbed cases is gone.

    Raises:
        StoreError: a file is damaged.
    """
    changed = _read_file(store, run.id, _LINK).get("run")
    return read_robustness(store, changed) if changed else None


def _read_file(store: Store, run_id: str, name: str) -> dict[str, Any]:
    """Read a file beside a run; return an empty dict if it does not exist."""
    path = store.run_folder(run_id) / name
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        require_checksum(found, path, "remove it", is_new=found.get("version") == ROBUSTNESS_VERSION)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: {error}; remove it") from error
    return found


def _write_file(store: Store, run_id: str, name: str, text: str) -> None:
    """Write a file beside a run."""
    path = store.run_folder(run_id) / name
    with explain_disk_errors("robustness", path, "remove it"):
        write_whole(path, text)


def _to_json(value: object) -> object:
    """Convert a value to JSON; NaN becomes null."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _parse_row(row: list[Any]) -> PerturbationOutcome:
    """Make an outcome from its row."""
    values: list[Any] = [math.nan if value is None else value for value in row]
    return PerturbationOutcome(*values)


def _list_ious(trials: list[PerturbationOutcome]) -> list[float]:
    """List the IoU of one case, first unchanged, then by severity."""
    return [trials[0].before, *(trial.iou for trial in trials)]


def _compute_greatest_rise(trials: list[PerturbationOutcome]) -> float:
    """Return the greatest rise in IoU of one case from one severity to the next."""
    return max(after - before for before, after in pairwise(_list_ious(trials)))
