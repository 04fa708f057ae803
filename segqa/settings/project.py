"""`Settings`: all of `[tool.segqa]` of a project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from segqa.settings import checks
from segqa.settings.declaration import Option, setting
from segqa.settings.engine import EngineName, RaySettings
from segqa.settings.gate import GateSettings
from segqa.settings.image_files import ReadingSettings
from segqa.settings.known_failures import KnownFailure
from segqa.settings.report import ReportSettings
from segqa.settings.robustness import RobustnessSettings
from segqa.settings.thresholds import Thresholds

EmptyPolicy: TypeAlias = Literal["one", "zero", "nan"]
"""The value of a metric where prediction and target are both empty, so that it is undefined."""


def _no_tables() -> Mapping[str, Mapping[str, Any]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ReadingSettings):
    """All of `[tool.segqa]`; `docs/settings.md` lists the keys.

    Attributes:
        thresholds_by_model: thresholds of single models, by model and key.
        models: the options of each model's fixture, by model and key.
        robustness_by_model: robustness settings of single models, by model and key.
    """

    model: tuple[str, ...] = setting(
        (),
        checks.names,
        "Model fixtures to evaluate; `all` for every one",
        option=Option(name="model", metavar="NAME[,NAME]", action="append", overrides=False),
    )
    dataset: str = setting(
        "studio",
        checks.text,
        "A data set declared with `@segqa.dataset`, or a folder with images/ and masks/",
        option=Option(name="dataset", metavar="NAME|DIR"),
    )
    dataset_name: str = setting(
        "",
        checks.file_name,
        "Name of the data set in reports and in the path of its baseline",
        details="By default the name of the folder as you type it; for a link, that of the link. The name belongs to "
        "the `dataset` of this file: another data set on the command line has its own name",
        option=Option(name="dataset-name", metavar="NAME"),
    )
    train_dataset: str = setting(
        "",
        checks.text,
        "Data set that the models were trained on; no case of it may be evaluated",
        details="A name or a folder, as in `dataset`; see [data.md](data.md#training-data)",
        option=Option(name="train-dataset", metavar="NAME|DIR"),
    )
    prompt: str = setting(
        "person.",
        checks.text,
        "What to segment, for cases without a prompt of their own",
        details="The column `prompt` of `metadata.csv` gives a case its own",
        option=Option(name="prompt", metavar="TEXT"),
    )
    pick: str = setting(
        "agreement",
        checks.text,
        "Picker: agreement, product, mask_score, box_score, first or sequential_agreement",
        details="`product` expects scores of 0 or more",
        option=Option(name="pick", metavar="NAME"),
    )
    limit: int | None = setting(
        None,
        checks.count,
        "Evaluate only the first N cases of a seeded shuffle",
        option=Option(name="limit", metavar="N", type=int),
    )
    empty: EmptyPolicy = setting(
        "one",
        checks.one_of(get_args(EmptyPolicy)),
        "Score of a case whose target and prediction are both empty",
        option=Option(name="empty"),
    )
    name_pattern: str | None = setting(
        None,
        checks.pattern,
        "Regular expression that is searched in file names; its named groups become tags",
        option=Option(name="name-pattern", metavar="REGEX"),
    )
    batch_size: int | Literal["auto"] = setting(
        8,
        checks.batch,
        "Images per `predict` call; `auto` doubles it on a GPU as long as that is faster",
        details="If memory runs out, segqa halves the batch",
        option=Option(name="batch-size", metavar="N|auto"),
    )
    max_cache_mb: int = setting(
        10_000,
        checks.count,
        "Megabytes of proposals to keep for later runs; the least recently used go first",
        details="Proposals that were used today are never deleted",
        option=Option(name="max-cache-mb", metavar="MB", type=int),
    )
    spot_check: int | None = setting(
        None,
        checks.whole,
        "Number of stored cases for which the model is called again, to compare the predictions",
        details="By default 3 where `CI` is set and the fingerprint is written by hand, else 1 where the model's "
        "source has changed, else 0; see [fingerprints.md](fingerprints.md#the-spot-check)",
        option=Option(name="spot-check", metavar="N", type=int),
    )
    spot_check_iou: float = setting(
        0.98,
        checks.agreement,
        "Minimum IoU between the stored and the new prediction in a spot check",
        option=Option(name="spot-check-iou", metavar="IOU", type=float),
    )
    engine: EngineName = setting(
        "local",
        checks.one_of(get_args(EngineName)),
        "Where the model runs: `local`, in this process; `ray`, in actors of Ray",
        details="See [scale.md](scale.md#actors-of-ray)",
        option=Option(name="engine"),
    )
    ray: RaySettings = field(default_factory=RaySettings)
    thresholds: Thresholds = field(default_factory=Thresholds)
    thresholds_by_model: Mapping[str, Mapping[str, float]] = field(default_factory=_no_tables)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=_no_tables)
    known: tuple[KnownFailure, ...] = ()
    gate: GateSettings = field(default_factory=GateSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    robustness: RobustnessSettings = field(default_factory=RobustnessSettings)
    robustness_by_model: Mapping[str, Mapping[str, Any]] = field(default_factory=_no_tables)

    @property
    def reading(self) -> ReadingSettings:
        """How the files of the data set are read."""
        return ReadingSettings(**{each.name: getattr(self, each.name) for each in fields(ReadingSettings)})

    def robustness_for(self, model: str) -> RobustnessSettings:
        """Return the robustness settings of one model."""
        return replace(self.robustness, **self.robustness_by_model.get(model, {}))

    def thresholds_for(self, model: str) -> Thresholds:
        """Return the thresholds of one model."""
        return replace(self.thresholds, **self.thresholds_by_model.get(model, {}))
