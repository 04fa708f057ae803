"""Report writing from stored runs; needs only the runs' own files, at any time and on any machine."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.analysis.label_errors import find_label_errors
from segqa.analysis.robustness.result import find_robustness
from segqa.data.dataset import Dataset
from segqa.data.folder import to_dataset
from segqa.data.storage import expand_home
from segqa.errors import IncomparableError
from segqa.gate.baseline import get_scope, get_stored_baseline_path, read_baseline
from segqa.gate.comparison import compare
from segqa.gate.policy import judge_with_settings
from segqa.report.case_images import draw_choice
from segqa.report.exports import JudgedRun
from segqa.report.page import write_review
from segqa.report.session_result import SessionResult, read_ending
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.settings import GateSettings, ReportSettings, Settings


def write_report(
    runs: Run | Sequence[Run],
    folder: str | PathLike[str],
    *,
    directory: str | PathLike[str] = ".segqa",
    baselines: Sequence[Run] = (),
    dataset: Dataset | str | PathLike[str] | None = None,
    gate: Settings | GateSettings | None = None,
    settings: ReportSettings | None = None,
) -> Path:
    """Write the review page of one run or several.

    For two runs of one model, the first is the baseline of the second, unless one is given. A run without a given
    baseline is judged against the baseline used when it was evaluated, if there was one.

    Args:
        runs: from `segqa.evaluate(…, directory=…)` or `Store.load`.
        folder: output folder; created if it does not exist.
        directory: the folder of the runs and their images.
        baselines: baselines from `read_baseline`, or runs; one per model.
        dataset: the source for drawing missing images: a data set, or a folder with `images/` and
            `masks/`. Its pixels must be those that were evaluated.
        gate: the settings of the gate or, to report which thresholds and known failures were relaxed
            since the baseline was written, all settings. The default rules apply otherwise.
        settings: format and size of the page.

    Returns:
        The file to open: `index.html`, or `report.json`.

    Raises:
        UsageError: a baseline is corrupt.
        StoreError: the robustness results of a run are damaged.
    """
    runs = [runs] if isinstance(runs, Run) else list(runs)
    store, settings = Store(expand_home(directory)), settings or ReportSettings()
    rules = gate or GateSettings()
    judged = [_judge_run(run, _read_baseline(run, runs, baselines, store), rules, store) for run in runs]
    if dataset is not None:
        cases = to_dataset(dataset)
        found = [(one.clusters, one.verdict.comparison if one.verdict else None) for one in judged]
        draw_choice(found, cases, store, settings)
    return write_review(
        judged,
        store,
        expand_home(folder),
        ending=_find_session_result(runs, store),
        suspicions=find_label_errors(store.add_other_models(runs, lambda text: warnings.warn(text, stacklevel=2))),
        settings=settings,
    )


def _read_baseline(run: Run, runs: Sequence[Run], baselines: Sequence[Run], store: Store) -> Run | None:
    """Read the baseline that a run is judged against, or return None."""
    fitting = [each for each in baselines if each.model == run.model and get_scope(each) == get_scope(run)]
    earlier = [
        each for each in runs[: runs.index(run)] if each.model == run.model and get_scope(each) == get_scope(run)
    ]
    if fitting or earlier:
        return (fitting or earlier)[0]
    kept = get_stored_baseline_path(store, run)
    return read_baseline(kept) if kept.is_file() else None


def _judge_run(run: Run, baseline: Run | None, rules: Settings | GateSettings, store: Store) -> JudgedRun:
    """Return a run with its gate verdict, if any, and its robustness results."""
    tag = (rules.gate if isinstance(rules, Settings) else rules).group_by
    found = find_clusters(run, group_by=tag)
    judged = JudgedRun(run, None, "", found, robustness=find_robustness(store, run), group_by=tag)
    if baseline is None:
        return judged
    try:
        return replace(judged, verdict=judge_with_settings(rules, compare(baseline, run, same_picker=False)))
    except IncomparableError as error:
        return replace(judged, why=str(error))


def _find_session_result(runs: Sequence[Run], store: Store) -> SessionResult | None:
    """Return the session's test results if all runs belong to one session."""
    endings = [read_ending(store, run.id) for run in runs]
    return endings[0] if all(ending == endings[0] for ending in endings) else None
