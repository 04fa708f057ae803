"""The state: what one pytest run of segqa knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segqa.data.storage import Location, expand_home, get_location_name, resolve_location
from segqa.plugin.option_parsing import absolute_paths, checkpoint_of, parse_options
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
    """What one pytest run of segqa knows.

    Attributes:
        settings: of `pyproject.toml`, with what stands on the command line in its place.
        options: what stands on the command line.
        models: the functions that build the declared models, by name.
        datasets: the functions that give the declared data sets, by name.
        chosen: the names of the models to evaluate.
        root: the folder of the settings file; paths in it are relative to that. Without such a file pytest's rootdir.
        here: where pytest was started; paths on the command line are relative to that.
        command: what the user typed.
        settings_file: the file with `[tool.segqa]` that was read; None for the defaults.
        ci: whether `CI` was set when pytest was started, whatever becomes of the variable since.
        shard: the part of the cases that is evaluated, and not judged; None for all of them.
        finished: the folder of the run that is judged in place of an evaluation; None for an evaluation.
        runs: the runs of this session, by model.
        robustness: how robust the models are, as far as a test has asked.
        problem: why tests could not be run: what the user typed.
        findings: reasons to end with exit code 1 although no test has failed, one line each.
        warnings: what weakens a passing session without failing it, one line each.
        asked: the models that a collected test asks for, before deselection, each with the first such test.
        wanted: the tests that ask for a fixture that may judge nothing, by its name and by model, the first of each.
        ended: the message of a `pytest.exit` that ended the session; None where none did.
        exit_status: the exit code that was decided; None before the end.
        interrupted: how far an evaluation was when the user stopped it.
        listed: the folders that have been listed; in an object store of many files that takes a while.
        edges: of numeric slices, where `--segqa-where` chose a part of the data set.
        targets: those that have been read, where several models need them.
        found: the clusters of a run, by its id, part and condition.
        verdicts: of the gate, by the same, or why there is none.
        suspicions: the labels that one should check, once all runs are there.
        uncommitted: what git says of a file that is judged by, by its path.
        compared: the baselines that were compared with those before this change.
        judged: the runs against their baselines, at the end.
        said: lines for the end of the terminal's output.
        folder: where reports go; None where nothing is evaluated.
        html: whether pytest-html has been asked by segqa, and not by the user, to write a report there.
    """

    settings: Settings
    options: Mapping[str, Any]
    models: Mapping[str, Callable[..., Any]]
    datasets: Mapping[str, Callable[..., Any]]
    chosen: tuple[str, ...]
    root: Path
    here: Path
    command: str
    settings_file: Path | None = None
    ci: bool = False
    shard: Shard | None = None
    finished: Path | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    runs: dict[str, Run] = field(default_factory=dict)
    robustness: dict[str, Robustness] = field(default_factory=dict)
    problem: str = ""
    findings: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, dict[str, str]] = field(default_factory=dict)
    ended: str | None = None
    exit_status: int | None = None
    interrupted: str = ""
    listed: dict[Location, Dataset] = field(default_factory=dict)
    edges: Edges | None = None
    targets: PackedTargets | None = None
    found: dict[tuple[str, str, str], Clusters] = field(default_factory=dict)
    verdicts: dict[tuple[str, str, str], Verdict | UsageError] = field(default_factory=dict)
    suspicions: tuple[LabelError, ...] | None = None
    uncommitted: dict[Path, str] = field(default_factory=dict)
    compared: set[Path] = field(default_factory=set)
    judged: tuple[JudgedRun, ...] = ()
    said: list[str] = field(default_factory=list)
    folder: Path | None = None
    html: bool = False

    @property
    def page(self) -> Path | None:
        """The review page, or whatever is written in its place."""
        name = "report.json" if self.settings.report.format == "json" else "index.html"
        return self.folder / name if self.folder else None

    @property
    def group_by(self) -> str:
        """The tag whose cases depend on each other: of the gate, and of failure clusters; empty for none."""
        typed: str | None = self.options.get("group-by")
        return self.settings.gate.group_by if typed is None else typed

    @property
    def store(self) -> Store:
        """Where the runs are kept."""
        from segqa.runs.store import Store

        folder = self.options.get("cache-dir")
        return Store(self.here / expand_home(folder) if folder else self.root / ".segqa")

    @property
    def dataset_location(self) -> Location:
        """Where the data set lies, if it is a folder: as the command line or `pyproject.toml` means it."""
        return resolve_location(self.settings.dataset, self.here if "dataset" in self.options else self.root)

    @property
    def train_location(self) -> Location:
        """Where the training data lie, if they are a folder; as `dataset_location`."""
        return resolve_location(
            self.settings.train_dataset, self.here if "train-dataset" in self.options else self.root
        )

    @property
    def reports(self) -> Path:
        """The folder that the folders of reports are in."""
        typed = self.options.get("report")
        return self.here / expand_home(typed) if typed else self.root / "reports"

    @property
    def baselines(self) -> Path:
        """The folder of the baselines."""
        typed = self.options.get("baseline")
        return self.here / expand_home(typed) if typed else self.root / expand_home(self.settings.gate.baseline)

    @property
    def work_tree(self) -> WorkTree:
        """The work tree of the models; what this session writes, or an earlier one has written, is no change."""
        typed = [self.options[name] for name in ("markdown", "openmetrics") if name in self.options]
        paths = [self.here / expand_home(path) for path in typed]
        return WorkTree(self.root, (self.baselines, self.store.root, self.reports, *paths))

    def claim_folder(self) -> Path:
        """Make a folder of its own for the reports of this session.

        Raises:
            OSError: the folder cannot be made.
        """
        from segqa.runs.store import claim_folder

        dataset = self.settings.dataset_name or get_location_name(self.dataset_location)
        name = to_file_name(f"{self.started:%Y%m%d-%H%M%S}-{'+'.join(self.chosen)}-{dataset}")
        self.folder = claim_folder(self.reports / name)
        return self.folder

    def suspects(self) -> tuple[LabelError, ...]:
        """The labels that one should check, judged by the runs of this session and the last ones of other models."""
        from segqa.analysis.label_errors import find_label_errors
        from segqa.errors import StoreError

        if self.suspicions is None:
            runs = list(self.runs.values())
            try:
                runs = self.store.with_others(runs, self.warn)
            except StoreError as error:
                self.problem = self.problem or str(error)
            self.suspicions = find_label_errors(runs)
        return self.suspicions

    def warn(self, *texts: str) -> None:
        """Add warnings, each once."""
        self.warnings += [text for text in dict.fromkeys(texts) if text not in self.warnings]

    def clusters_of(self, run: Run) -> Clusters:
        """What the failures of a run, or of a part of it, have in common; searched for once."""
        key = (run.id, run.part, run.condition)
        if key not in self.found:
            self.found[key] = self.find_clusters(run)
        return self.found[key]

    def find_clusters(self, run: Run) -> Clusters:
        """Search for what the failures of a run have in common, with the groups of the gate.

        Where no case of it has the tag, each case counts as independent, and a warning says so.
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
        """What a model is built with: `[tool.segqa.models.NAME]`, and what stands on the command line in its place.

        Args:
            model: its name.
            paths: the options that are paths, made absolute here: in `pyproject.toml` they are relative to it, on the
                command line to where pytest was started. With `checkpoint` among them, `--segqa-checkpoint` counts.
        """
        written = dict(self.settings.models.get(model, {}))
        typed = parse_options(self.options.get("model-option", ())).get(model, {})
        if "checkpoint" in paths:
            typed = {**checkpoint_of(model, self.options.get("checkpoint", ()), self.models), **typed}
        return {**absolute_paths(written, paths, self.root), **absolute_paths(typed, paths, self.here)}
