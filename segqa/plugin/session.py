"""The session: the configuration and the results of one pytest run with segqa."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segqa.data.storage import Location, expand_home, get_location_name, resolve_location
from segqa.plugin.option_parsing import find_checkpoint, make_paths_absolute, parse_options
from segqa.support.escaping import to_file_name
from segqa.support.git import WorkTree

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.analysis.failure_clusters.clusters import Clusters
    from segqa.analysis.label_errors import LabelError
    from segqa.analysis.robustness.result import Robustness
    from segqa.data.dataset import Dataset
    from segqa.data.subsets import Shard
    from segqa.errors import UsageError
    from segqa.gate.verdict import Verdict
    from segqa.inference.target_cache import PackedTargets
    from segqa.report.exports import JudgedRun
    from segqa.runs.run import Run
    from segqa.runs.slices import Edges
    from segqa.runs.store import Store
    from segqa.settings import Settings


@dataclass(slots=True)
class Session:
    """The configuration and the results of one pytest run with segqa.

    The first ten fields and `shard` are fixed once the session is configured; tests fill the others.

    Attributes:
        settings: those of `pyproject.toml`, overridden by the command line.
        options: the options given on the command line, by name without `--segqa-`.
        models: the functions that build the declared models, by name.
        datasets: the functions that return the declared data sets, by name.
        chosen_models: the names of the models to evaluate.
        root: the folder of the settings file, or pytest's rootdir without one; paths in that file are relative to it.
        start_folder: the folder that pytest was started in; paths on the command line are relative to it.
        command: the command line, as the user typed it.
        settings_file: the file with `[tool.segqa]` that was read; None for the defaults.
        ci: whether `CI` was set when pytest was started.
        shard: the shard of the cases to evaluate, which is not judged; None for all cases.
        existing_run: the folder of a finished run to judge without an evaluation; None for an evaluation.
        started: the start time, UTC.
        runs: the runs of this session, by model.
        robustness: the measured robustness, by model.
        problem: why the session ends with exit code 4; empty for none.
        findings: reasons to end with exit code 1 although no test has failed, one line each.
        warnings: what weakens a passing session without failing it, one line each.
        requested_models: for each model that a collected test requests, before deselection, the first such test.
        requested_measurements: for each fixture that may skip, and each model, the first test that requests it.
        exit_message: the message of a `pytest.exit` that ended the session; None for none.
        exit_status: the decided exit code; None before the end.
        interruption: how far an evaluation had come when the user stopped it; empty if none was stopped.
        opened_folders: the data sets in folders, by location; listing an object store of many files takes a while.
        edges: the bin edges of numeric slices, where `--segqa-where` has narrowed the data set.
        targets: the targets that have been read, shared by several models.
        clusters: the failure clusters of a run, by its id, part and condition.
        verdicts: the gate's verdict, by the same key, or the error that prevents one.
        label_errors: the probable label errors; None before they are searched for.
        changes: what git says of a file that the gate reads, by its path.
        checked_baselines: the baselines that were compared with the committed ones.
        judged_runs: the runs with their verdicts, at the end.
        messages: the last lines of the terminal's output.
        folder: the folder of the reports; None where nothing is evaluated.
        writes_html: whether segqa, and not the user, has pytest-html write a report.
    """

    settings: Settings
    options: Mapping[str, Any]
    models: Mapping[str, Callable[..., Any]]
    datasets: Mapping[str, Callable[..., Any]]
    chosen_models: tuple[str, ...]
    root: Path
    start_folder: Path
    command: str
    settings_file: Path | None = None
    ci: bool = False
    shard: Shard | None = None
    existing_run: Path | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    runs: dict[str, Run] = field(default_factory=dict)
    robustness: dict[str, Robustness] = field(default_factory=dict)
    problem: str = ""
    findings: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    requested_models: dict[str, str] = field(default_factory=dict)
    requested_measurements: dict[str, dict[str, str]] = field(default_factory=dict)
    exit_message: str | None = None
    exit_status: int | None = None
    interruption: str = ""
    opened_folders: dict[Location, Dataset] = field(default_factory=dict)
    edges: Edges | None = None
    targets: PackedTargets | None = None
    clusters: dict[tuple[str, str, str], Clusters] = field(default_factory=dict)
    verdicts: dict[tuple[str, str, str], Verdict | UsageError] = field(default_factory=dict)
    label_errors: tuple[LabelError, ...] | None = None
    changes: dict[Path, str] = field(default_factory=dict)
    checked_baselines: set[Path] = field(default_factory=set)
    judged_runs: tuple[JudgedRun, ...] = ()
    messages: list[str] = field(default_factory=list)
    folder: Path | None = None
    writes_html: bool = False

    @property
    def page(self) -> Path | None:
        """The path of the review page, or of the JSON file in its place."""
        name = "report.json" if self.settings.report.format == "json" else "index.html"
        return self.folder / name if self.folder else None

    @property
    def group_by(self) -> str:
        """The tag whose cases with the same value count as one independent sample; empty for none."""
        typed: str | None = self.options.get("group-by")
        return self.settings.gate.group_by if typed is None else typed

    @property
    def store(self) -> Store:
        """The store of the runs."""
        from segqa.runs.store import Store

        folder = self.options.get("cache-dir")
        return Store(self.start_folder / expand_home(folder) if folder else self.root / ".segqa")

    @property
    def dataset_location(self) -> Location:
        """The location of the data set, if it is a folder; relative to the command line or `pyproject.toml`."""
        return resolve_location(self.settings.dataset, self.start_folder if "dataset" in self.options else self.root)

    @property
    def train_location(self) -> Location:
        """The location of the training data, if they are a folder; like `dataset_location`."""
        return resolve_location(
            self.settings.train_dataset, self.start_folder if "train-dataset" in self.options else self.root
        )

    @property
    def reports(self) -> Path:
        """The parent of the report folders."""
        typed = self.options.get("report")
        return self.start_folder / expand_home(typed) if typed else self.root / "reports"

    @property
    def baselines(self) -> Path:
        """The folder of the baselines."""
        typed = self.options.get("baseline")
        return self.start_folder / expand_home(typed) if typed else self.root / expand_home(self.settings.gate.baseline)

    @property
    def work_tree(self) -> WorkTree:
        """The git work tree of the models, without the files that sessions write."""
        typed = [self.options[name] for name in ("markdown", "openmetrics") if name in self.options]
        paths = [self.start_folder / expand_home(path) for path in typed]
        return WorkTree(self.root, (self.baselines, self.store.root, self.reports, *paths))

    def claim_folder(self) -> Path:
        """Make a new folder for the reports of this session.

        Raises:
            OSError: the folder cannot be made.
        """
        from segqa.runs.store import claim_folder

        dataset = self.settings.dataset_name or get_location_name(self.dataset_location)
        name = to_file_name(f"{self.started:%Y%m%d-%H%M%S}-{'+'.join(self.chosen_models)}-{dataset}")
        self.folder = claim_folder(self.reports / name)
        return self.folder

    def find_label_errors(self) -> tuple[LabelError, ...]:
        """Return probable label errors, found by the runs of this session and the last runs of other models."""
        from segqa.analysis.label_errors import find_label_errors
        from segqa.errors import StoreError

        if self.label_errors is None:
            runs = list(self.runs.values())
            try:
                runs = self.store.add_other_models(runs, self.warn)
            except StoreError as error:
                self.problem = self.problem or str(error)
            self.label_errors = find_label_errors(runs)
        return self.label_errors

    def shorten_path(self, path: Path) -> str:
        """Return a path relative to the folder that pytest was started in."""
        return os.path.relpath(path, self.start_folder)

    def warn(self, *texts: str) -> None:
        """Add warnings, each once."""
        self.warnings += [text for text in dict.fromkeys(texts) if text not in self.warnings]

    def get_clusters(self, run: Run) -> Clusters:
        """Return the failure clusters of a run, or of a slice of one; each search runs once."""
        key = (run.id, run.part, run.condition)
        if key not in self.clusters:
            self.clusters[key] = self.find_clusters(run)
        return self.clusters[key]

    def find_clusters(self, run: Run) -> Clusters:
        """Find the failure clusters of a run, grouped like the gate.

        If no case has the tag, each case counts as independent, with a warning.
        """
        from segqa.analysis.failure_clusters.search import find_clusters

        tag = self.group_by
        if not tag or tag in run.columns.tags:
            return find_clusters(run, group_by=tag)
        text = f"failure clusters of {run.title} count cases as independent: no case has the tag {tag!r} of group_by"
        if len(run.outcomes):
            self.warn(text)
        return find_clusters(run)

    def model_options(self, model: str, paths: Collection[str] = ()) -> dict[str, Any]:
        """Return the options of a model: `[tool.segqa.models.NAME]`, overridden by the command line.

        Args:
            model: the name of the model.
            paths: the options that are paths. They become absolute: in `pyproject.toml` they are relative to it, on the
                command line to the start folder. If `checkpoint` is among them, `--segqa-checkpoint` applies.
        """
        written = dict(self.settings.models.get(model, {}))
        typed = parse_options(self.options.get("model-option", ())).get(model, {})
        if "checkpoint" in paths:
            typed = {**find_checkpoint(model, self.options.get("checkpoint", ()), self.models), **typed}
        return {
            **make_paths_absolute(written, paths, self.root),
            **make_paths_absolute(typed, paths, self.start_folder),
        }
