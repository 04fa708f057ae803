"""Measure robustness: evaluate a model on perturbed cases and compare the predictions."""

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
from segqa.data.folder import to_dataset
from segqa.data.mask import Mask
from segqa.data.storage import expand_home
from segqa.errors import DatasetError, SettingsError
from segqa.inference.batch_size import BatchSetting
from segqa.inference.evaluator import Evaluation, ProgressBar
from segqa.inference.model_identity import ModelIdentity, get_identity
from segqa.inference.pipeline import get_prediction
from segqa.inference.proposal_cache import ProposalCache
from segqa.models.image_corruptions import find_library_version
from segqa.models.protocol import Model
from segqa.runs.failure_kinds import get_kind_name
from segqa.runs.groups import number_groups
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.run import CHANGED, Run
from segqa.runs.store import Store
from segqa.scoring.metrics import METRIC_VERSION, count, resolve_empty
from segqa.settings import EmptyPolicy
from segqa.support.plurals import format_count

MISSING_ALBUMENTATIONS = "robustness needs albumentations: pip install 'segqa[robustness]'"
"""Error message if albumentations is not installed."""


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessMeasurement:
    """A model, a sample of cases and the perturbations to apply.

    Attributes:
        how: the settings of the evaluation, as for the unchanged cases.
        run: the run over the unchanged data set.
        dataset: the perturbed cases.
        sample: the outcomes of the unchanged cases, by case id.
        left_out: ids of the sampled cases that the run could not evaluate.
        store: holds the runs.
        source: name of the original data set.
        changes: the perturbations.
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
        """Draw a sample (fixed seed) of the cases that a run has evaluated.

        Args:
            how: the settings of the run.
            run: the run over the data set, with its proposals in the store.
            dataset: the data set.
            store: holds the run.
            cases: maximum number of cases to perturb.
            changes: the perturbations.

        Raises:
            SettingsError: albumentations is not installed.
            DatasetError: the run has evaluated none of the cases.
        """
        if find_library_version() is None:
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
        """Estimated time of the model in seconds, from the times in the run."""
        return len(self.dataset) * statistics.median(outcome.seconds for outcome in self.sample.values())

    def number_groups(self, tag: str) -> dict[str, int]:
        """Return the group number of each unchanged case by a tag; an empty dict if no case has the tag."""
        cases = Outcomes.from_outcomes(self.sample.values())
        numbers = number_groups(cases, tag) if tag in cases.tags else None
        return {} if numbers is None else dict(zip(cases.ids, numbers.tolist(), strict=True))

    def find_earlier(self, model: Model | None) -> Robustness | None:
        """Return the result of an earlier, identical measurement, or None.

        Args:
            model: identifies the model and is not called; None for the model of the run.
        """
        run_id = self.how.find_finished(
            self._identity if model is None else model, self.run.model, self.dataset, self.store
        )
        found = read_robustness(self.store, run_id, self._sample_digest) if run_id else None
        if found is None or found.errors > 0:
            return None
        link_robustness(self.store, self.run.id, found.run)
        return replace(found, command=self.how.command)

    def make(self, model: Model | None) -> tuple[Robustness, Run]:
        """Evaluate the perturbed cases, compare the predictions and store the result.

        Args:
            model: the model to call; None to use its cached answers.

        Returns:
            The result and the run over the perturbed cases.

        Raises:
            ModelError: no model is given and some of its answers are not cached.
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
        """Identity of the model of the run, which may differ from the latest model of the same name."""
        return get_identity(self.run.id, self.run.provenance, self.store)

    @property
    def _sample_digest(self) -> str:
        """Digest of the unchanged predictions."""
        known = [(case_id, each.digest, each.proposals_key, each.picked) for case_id, each in self.sample.items()]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]

    def _compare_all(self, changed: Run) -> Iterator[PerturbationOutcome]:
        """Compare the predictions case by case."""
        kinds = map(get_kind_name, changed.kind_codes.tolist())
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
    """The prediction of a case at the size of its image, read on first use."""

    def __init__(self, outcome: Outcome, cache: ProposalCache) -> None:
        self._outcome, self._cache = outcome, cache
        self.key = f"{outcome.proposals_key} {outcome.picked}"

    @cached_property
    def mask(self) -> Mask | None:
        """The predicted mask; None if its proposals are no longer cached."""
        answer = self._cache.find(bytes.fromhex(self._outcome.proposals_key))
        return None if answer is None else get_prediction(answer.proposals, self._outcome.picked, answer.image_shape)


def _compare_predictions(
    trial: PerturbationOutcome,
    change: Perturbation,
    before: _Prediction,
    after: _Prediction,
    known: Mapping[str, float],
    empty: EmptyPolicy,
) -> PerturbationOutcome:
    """Add the agreement of the two predictions to a trial, from earlier results or from the masks."""
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
    """Compute the IoU of two predictions: warp the first, and compare the pixels that both images share.

    Args:
        change: the perturbation of the image.
        severity: its severity, from 1.
        before: the prediction on the unchanged image, `[H, W]`.
        after: the prediction on the perturbed image, at its size.
        empty: the value if both masks are empty.
    """
    moved, common = change.mask(severity, before)
    return resolve_empty(count(after & common, moved & common).iou, empty)


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
    """Measure the robustness of a model on a sample of a data set, for example in a notebook.

    Args:
        model: anything with `predict(images, prompts)`, see `segqa.Model`.
        dataset: a data set, or a folder with `images/` and `masks/`.
        cases: maximum number of cases to perturb.
        changes: the perturbations; the default needs 38 predictions per case.
        name: name of the model; by default the name of its class.
        prompt: for cases without a prompt of their own.
        pick: the picker's name, see `segqa.models.pickers.PICKERS`.
        empty: value of a metric if both masks are empty.
        threshold: cases with a lower IoU count as failed.
        batch_size: number of images in a `predict` call.
        directory: where to store runs and proposals; by default nothing is stored.

    Raises:
        UsageError: albumentations is not installed, or the data set or the picker cannot be used.
    """
    opened = to_dataset(dataset).with_prompt(prompt)
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
    """List every perturbation at every severity."""
    return ((change, severity) for change in changes for severity in change.severities)
