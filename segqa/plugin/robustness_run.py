"""Measure the robustness of the models of a session, once for all tests and workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.analysis.robustness.measure import MISSING_ALBUMENTATIONS, RobustnessMeasurement
from segqa.analysis.robustness.result import Robustness
from segqa.data.dataset import Dataset
from segqa.errors import ModelError
from segqa.inference.evaluator import Evaluation
from segqa.models.image_corruptions import find_library_version
from segqa.models.protocol import Model
from segqa.plugin.model_source_digest import report_stored_answers
from segqa.plugin.progress import RecordedProgress, create_progress
from segqa.plugin.session import Session
from segqa.plugin.xdist import share_robustness
from segqa.report.case_images import draw_choice
from segqa.runs.run import Run
from segqa.support.plurals import format_count

_DRAWN = 100
"""Maximum number of perturbed cases to draw for their own page; drawing one takes as long as predicting one."""

Ask = Callable[[], Model | None]
"""Returns the model, built on the first call; None if it must not be called."""


def measure_or_skip(
    config: pytest.Config, session: Session, run: Run, dataset: Dataset, how: Evaluation, ask: Ask
) -> Robustness:
    """Return the robustness of a model of the session; skip the test if it must not or cannot be measured."""
    if find_library_version() is None:
        pytest.skip(MISSING_ALBUMENTATIONS)
    wanted = session.settings.robustness_for(run.model)
    if wanted.cases == 0:
        pytest.skip("no case is to be changed: cases = 0 in [tool.segqa.robustness], or --segqa-robustness-cases=0")
    progress = RecordedProgress(create_progress(config, f"{run.model}, changed"))
    measurement = RobustnessMeasurement.from_run(
        replace(how, progress=progress), run, dataset, session.store, wanted.cases
    )
    try:
        found = share_robustness(config, session, run.model, lambda: _measure(session, measurement, ask()))
        return replace(found, groups=measurement.number_groups(session.group_by))
    except KeyboardInterrupt:
        session.interruption = f"{run.model}, changed: {progress.done} of {progress.total} cases are done and kept"
        raise


def _measure(session: Session, measurement: RobustnessMeasurement, model: Model | None) -> Robustness:
    """Return the stored robustness, or measure it and draw some perturbed cases."""
    kept, problem = None, ""
    try:
        kept = measurement.find_earlier(model)
    except ModelError as error:
        problem = str(error)
    if problem:
        pytest.skip(problem)
    if kept is not None:
        return kept
    wanted = session.settings.robustness_for(measurement.run.model)
    if measurement.seconds > 60 * wanted.minutes:
        pytest.skip(
            f"{format_count(len(measurement.dataset), 'prediction')} would take about "
            f"{format_count(round(measurement.seconds / 60), 'minute')}, more "
            f"than {wanted.minutes:g}: fewer cases, or more minutes, in [tool.segqa.robustness]"
        )
    try:
        found, changed = measurement.make(model)
    except ModelError as error:
        problem = f"its answers to changed images are not kept: {error}"
    if problem:
        pytest.skip(problem)
    report_stored_answers(session, changed)
    settings = session.settings.report
    few = replace(settings, images=min(settings.images, _DRAWN))
    # rules of two conditions suffice to choose cases; those of three take five times as long
    draw_choice([(find_clusters(changed, depth=2), None)], measurement.dataset, session.store, few)
    return found
