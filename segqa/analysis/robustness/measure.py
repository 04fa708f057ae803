"""A measurement of robustness evaluates a model on a sample of changed cases, and compares what it predicts there."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from os import PathLike

import numpy as np

from segqa.analysis.robustness.perturbations import PERTURBATIONS, Perturbation
from segqa.analysis.robustness.perturbed_dataset import make_perturbed_id, perturb_dataset
from segqa.analysis.robustness.result import (
    Robustness,
    link_robustness,
    read_agreements,
    read_robustness,
    write_robustness,
)
from segqa.analysis.robustness.stability import PerturbationOutcome
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Mask
from segqa.data.storage import expand_home
from segqa.errors import DatasetError, SettingsError
from segqa.inference.batch_size import BatchSetting
from segqa.inference.evaluator import Evaluation, ProgressBar
from segqa.inference.model_identity import ModelIdentity, identity_of
from segqa.inference.pipeline import prediction_of
from segqa.inference.proposal_cache import ProposalCache
from segqa.models.corruptions import library_version
from segqa.models.protocol import Model
from segqa.runs.failure_kinds import kind_name
from segqa.runs.groups import group_numbers
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.run import CHANGED, Run
from segqa.runs.store import Store
from segqa.scoring.metrics import METRIC_VERSION, count, resolve
from segqa.settings import EmptyPolicy
from segqa.support.plurals import format_count

MISSING_ALBUMENTATIONS = "robustness needs albumentations: pip install 'segqa[robustness]'"
"""What to say where it is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessMeasurement:
    """What is measured, and how.

    Attributes:
        how: to evaluate, as the unchanged cases were.
        run: the model over the data set, unchanged.
        dataset: the changed cases.
        sample: the outcomes of the unchanged ones, by case id.
        left_out: the ids of those cases of the sample that the run could not evaluate.
        store: where the runs are.
        source: the name of the data set that the cases are from.
        changes: what is done to each case.
    """

    how: Evaluation
    run: Run
    dataset: Dataset
    sample: dict[str, Outcome]
    left_out: tuple[str, ...]
    store: Store
    source: str
    changes: tuple[Perturbation, ...]

    @classmethod
    def from_run(
        cls,
        how: Evaluation,
        run: Run,
        dataset: Dataset,
        store: Store,
        cases: int,
        changes: Sequence[Perturbation] = PERTURBATIONS,
    ) -> RobustnessMeasurement:
        """The measurement of a seeded sample of the cases that a run has evaluated.

        Args:
            how: the run was made.
            run: the model over the data set, with its proposals in the store.
            dataset: the data set.
            store: where the run is.
            cases: as many are changed at most.
            changes: what is done to each.

        Raises:
            SettingsError: albumentations is not installed.
            DatasetError: the run has evaluated none of the cases.
        """
        if library_version() is None:
            raise SettingsError(MISSING_ALBUMENTATIONS)
        chosen = dataset.limit(cases).cases
        answered = run.columns.take(~run.columns.failed)
        scored = {each.case_id: each for each in answered.take(answered.ids.is_among(list(chosen.own_ids)))}
        is_usable = chosen.own_ids.is_among(scored)
        usable = chosen.take(np.flatnonzero(is_usable))
        if not len(usable):
            raise DatasetError(
                f"none of {format_count(len(chosen), 'case')} of {dataset.name} could be evaluated unchanged"
            )
        options = {**how.options, CHANGED: dataset.name}
        changed = replace(how, options=options, edges=None, targets=None)
        sample = {case_id: scored[case_id] for case_id in usable.own_ids}
        left_out = tuple(compress(chosen.own_ids, ~is_usable))
        everything = perturb_dataset(replace(dataset, cases=usable), changes)
        return cls(changed, run, everything, sample, left_out, store, dataset.name, tuple(changes))

    @property
    def seconds(self) -> float:
        """How long the model will take for it, as far as the run can tell."""
        return len(self.dataset) * statistics.median(outcome.seconds for outcome in self.sample.values())

    def number_groups(self, tag: str) -> dict[str, int]:
        """Return the number of the group by a tag of each unchanged case; nothing where none of them has the tag."""
        cases = Outcomes.of(self.sample.values())
        numbers = group_numbers(cases, tag) if tag in cases.tags else None
        return {} if numbers is None else dict(zip(cases.ids, numbers.tolist(), strict=True))

    def find_earlier(self, model: Model | None) -> Robustness | None:
        """What an earlier measurement of the same has found; None where it has to be made.

        Args:
            model: will not be asked; None for that of the run.
        """
        run_id = self.how.finished(self._identity if model is None else model, self.run.model, self.dataset, self.store)
        found = read_robustness(self.store, run_id, self._sample_digest) if run_id else None
        if found is None or found.errors > 0:
            return None
        link_robustness(self.store, self.run.id, found.run)
        return replace(found, command=self.how.command)

    def make(self, model: Model | None) -> tuple[Robustness, Run]:
        """Evaluate the changed cases, compare, and keep what comes of it.

        Args:
            model: is asked; None to take what it has answered before.

        Returns:
            What was found, and the run over the changed cases.

        Raises:
            ModelError: there is no model, and not all of its answers are kept.
        """
        name = self.run.model
        if model is None:
            changed = self.how.rescore(name, self.dataset, self.store, self._identity)
        else:
            changed = self.how.run(model, name, self.dataset, self.store)
        found = Robustness(
            model=name,
            dataset=self.source,
            run=changed.id,
            cases=len(self.sample),
            left_out=self.left_out,
            trials=tuple(self._compare_all(changed)),
            command=self.how.command,
        )
        write_robustness(found, self.store, self._sample_digest)
        link_robustness(self.store, self.run.id, changed.id)
        return found, changed

    @property
    def _identity(self) -> ModelIdentity:
        """The model of the run, which need not be that of the last one under its name."""
        return identity_of(self.run.id, self.run.provenance, self.store)

    @property
    def _sample_digest(self) -> str:
        """Changes when one of the unchanged predictions does."""
        known = [(case_id, each.digest, each.proposals_key, each.picked) for case_id, each in self.sample.items()]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]

    def _compare_all(self, changed: Run) -> Iterator[PerturbationOutcome]:
        """The trials, case by case."""
        kinds = map(kind_name, changed.kind_codes.tolist())
        outcomes = {after.case_id: (after, kind or "") for after, kind in zip(changed.outcomes, kinds, strict=True)}
        with ExitStack() as stack:
            here, there = (
                stack.enter_context(ProposalCache(self.store.proposals_path(run.id))) for run in (self.run, changed)
            )
            known = read_agreements(self.store, self.run.model, changed.dataset)
            for case_id, before in self.sample.items():
                unchanged = _Prediction(before, here)
                for change, severity in _list_steps(self.changes):
                    after, kind = outcomes[make_perturbed_id(case_id, change, severity)]
                    ious = self.run.iou(before), changed.iou(after)
                    trial = PerturbationOutcome(case_id, change.name, severity, *ious, math.nan, kind)
                    pair = unchanged, _Prediction(after, there)
                    comparable = not (change.empties or after.error)
                    yield _compare_predictions(trial, change, *pair, known, changed.empty) if comparable else trial


class _Prediction:
    """The prediction of a case at the size of its image; read only if it is asked for."""

    def __init__(self, outcome: Outcome, cache: ProposalCache) -> None:
        self._outcome, self._cache = outcome, cache
        self.key = f"{outcome.proposals_key} {outcome.picked}"

    @cached_property
    def mask(self) -> Mask | None:
        """None where its proposals are not kept any more."""
        answer = self._cache.find(bytes.fromhex(self._outcome.proposals_key))
        return None if answer is None else prediction_of(answer.proposals, self._outcome.picked, answer.image_shape)


def _compare_predictions(
    trial: PerturbationOutcome,
    change: Perturbation,
    before: _Prediction,
    after: _Prediction,
    known: Mapping[str, float],
    empty: EmptyPolicy,
) -> PerturbationOutcome:
    """A trial with the agreement of its two predictions: as it is known, or from their masks."""
    told = f"{before.key} {after.key} {empty} {METRIC_VERSION}"
    compared = hashlib.sha256(told.encode()).hexdigest()[:32]
    if compared in known:
        return replace(trial, agreement=known[compared], compared=compared)
    if before.mask is None or after.mask is None:
        return trial
    agreement = compute_agreement(change, trial.severity, before.mask, after.mask, empty=empty)
    return replace(trial, agreement=agreement, compared=compared)


def compute_agreement(
    change: Perturbation, severity: int, before: Mask, after: Mask, *, empty: EmptyPolicy = "one"
) -> float:
    """The IoU of two predictions with each other: the first moved along, over the pixels that both images have.

    Args:
        change: what was done to the image.
        severity: how much of it.
        before: the prediction on the unchanged image, `[H, W]`.
        after: the prediction on the changed one, of its size.
        empty: what it is where both are empty.
    """
    moved, common = change.mask(severity, before)
    return resolve(count(after & common, moved & common).iou, empty)


def measure_robustness(
    model: Model,
    dataset: Dataset | str | PathLike[str],
    *,
    cases: int = 50,
    changes: Sequence[Perturbation] = PERTURBATIONS,
    name: str = "",
    prompt: str = "person.",
    pick: str = "agreement",
    empty: EmptyPolicy = "one",
    threshold: float = 0.7,
    batch_size: BatchSetting = 8,
    directory: str | PathLike[str] | None = None,
) -> Robustness:
    """Measure how robust a model is on a sample of a data set, without pytest: in a notebook, say.

    Args:
        model: anything with `predict(images, prompts)`, see `segqa.Model`.
        dataset: a data set, or a folder with `images/` and `masks/`.
        cases: how many are changed at most.
        changes: what is done to each; `PERTURBATIONS` takes 38 predictions a case.
        name: of the model; its class's by default.
        prompt: for the cases that have none of their own.
        pick: the picker's name, see `segqa.models.pickers.PICKERS`.
        empty: what a metric is where both masks are empty.
        threshold: the IoU below which a case has failed.
        batch_size: images a `predict` call.
        directory: where to keep the runs and the proposals; without one, nothing is kept.

    Raises:
        UsageError: albumentations is not installed, or data set or picker cannot be used.
    """
    opened = (dataset if isinstance(dataset, Dataset) else open_folder(dataset)).with_prompt(prompt)
    how = Evaluation(
        pick=pick,
        empty=empty,
        threshold=threshold,
        batch_size=batch_size,
        command="segqa.measure_robustness",
        progress=ProgressBar(),
    )
    with tempfile.TemporaryDirectory(prefix="segqa-") as nowhere:
        store, sample = Store(expand_home(directory or nowhere)), opened.limit(cases)
        options = {"limit": cases} if len(sample) < len(opened) else {}
        run = replace(how, options=options).run(model, name or type(model).__name__, sample, store)
        measurement = RobustnessMeasurement.from_run(
            replace(how, progress=ProgressBar()), run, sample, store, cases, changes
        )
        return measurement.find_earlier(model) or measurement.make(model)[0]


def _list_steps(changes: Sequence[Perturbation]) -> Iterator[tuple[Perturbation, int]]:
    """Every change at every severity."""
    return ((change, severity) for change in changes for severity in change.severities)
