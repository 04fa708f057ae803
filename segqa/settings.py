"""Settings: what `[tool.segqa]` in `pyproject.toml` says, checked, with defaults for what it does not say."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from segqa import checks
from segqa.errors import SettingsError

EmptyPolicy: TypeAlias = Literal["one", "zero", "nan"]
"""What a metric is where prediction and target are both empty, so that it is undefined."""

EngineName: TypeAlias = Literal["local", "ray"]
"""Where the model is asked."""

MaskOrientation: TypeAlias = Literal["upright", "raw"]
"""Whether masks were drawn on images that EXIF had turned upright, or on the stored pixels."""

ReportFormat: TypeAlias = Literal["html", "dir", "json"]
"""What the review page is written as."""


FAILURE_KINDS = ("error", "hallucinated", "missed", "wrong_object", "merged", "partial", "boundary", "low")
"""The names of `segqa.runs.failure_kinds.KINDS`, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The bounds that the suites assert; each from 0 to 1.

    Attributes:
        iou: a case below it has failed; above 0.05.
        mean_iou: the mean IoU is at least this.
        p05: 95 % of the cases have at least this IoU.
        wrong_object: at most this share of the cases is a zero-IoU false positive.
        missed: in at most this share nothing is predicted though something is there.
        hallucinated: in at most this share something is predicted though nothing is there.
        errors: at most this share of the cases could not be evaluated.
        slice_drop: no slice has a mean IoU more than this below the mean of all.
        regret: picking loses at most this much mean IoU against the best proposal of each case.
        seconds_p95: 95 % of the cases take the model at most so many seconds; None for no bound.
        slowdown: the median case takes at most so many times as long as the baseline's on the same machine.
        empty_targets: at most this share of the cases has an empty target.
        full_targets: at most this share has a target that is the whole image.
        inverted: at most this share has a target that covers the frame, as an inverted mask does.
        near_duplicates: at most this share has nearly the same image as another case.
        leaked: at most this share has an image that is in the training data, or one that is nearly the same.
        invariance: under the mildest severity of a change the predictions agree at least so far in the mean.
        robustness_drop: and the mean IoU is lower by at most this.
        occlusion_rises: in at most this share of the cases a longer occlusion raises the IoU.
        channel_gain: exchanging red and blue is proven to raise the mean IoU by at most this.
        blank: in at most this share of the blank images something is predicted.
    """

    iou: float = 0.7
    mean_iou: float = 0.5
    p05: float = 0.0
    wrong_object: float = 0.05
    missed: float = 0.05
    hallucinated: float = 0.05
    errors: float = 0.0
    slice_drop: float = 0.15
    regret: float = 0.05
    seconds_p95: float | None = None
    slowdown: float = 1.5
    empty_targets: float = 0.05
    full_targets: float = 0.0
    inverted: float = 0.0
    near_duplicates: float = 0.0
    leaked: float = 0.0
    invariance: float = 0.9
    robustness_drop: float = 0.05
    occlusion_rises: float = 0.05
    channel_gain: float = 0.0
    blank: float = 0.0


OF_DATA = frozenset({"empty_targets", "full_targets", "inverted", "near_duplicates", "leaked"})
"""The thresholds that the data set has to meet, whatever the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSettings:
    """How the files of a folder data set are read; what is not set is decided once for the whole data set.

    Attributes:
        mask_cutoff: object is where a mask file's grey value is above it, on the scale of 8 bits.
        mask_values: object is where a mask file holds one of these values.
        mask_resize: whether a mask of another size and the same proportions is scaled to the size of its image.
        mask_orientation: what masks without an EXIF orientation were drawn on, where their images have one.
        image_bits: how many bits the images in 16-bit files use.
    """

    mask_cutoff: int | None = None
    mask_values: tuple[int, ...] = ()
    mask_resize: bool = False
    mask_orientation: MaskOrientation | None = None
    image_bits: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask_values", tuple(self.mask_values))
        if self.mask_cutoff is not None and self.mask_values:
            raise SettingsError("mask_cutoff and mask_values exclude each other; keep one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What `[tool.segqa.gate]` says.

    Attributes:
        baseline: the folder of the baselines.
        fail_on: rules beside the default ones, or in their place; see `segqa.gate`.
        alpha: how often, at most, a drop is found where there is none.
        group_by: a tag; all cases that share its value count as one independent sample.
        required: whether a missing baseline is a failure; None for where the variable `CI` is set.
    """

    baseline: str = "baselines"
    fail_on: tuple[str, ...] = ()
    alpha: float = 0.05
    group_by: str = ""
    required: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """What `[tool.segqa.report]` says of the review page.

    Attributes:
        images: of so many cases of a run there are pictures, at most.
        photos: whether the photos are among them; without, masks are shown on grey.
        image_size: pixels of a picture's longer side, at most.
        max_mb: so many megabytes (10^6 bytes) at most; pictures are left out, the least important first.
        format: `html`, one file; `dir`, a folder for servers that forbid scripts; `json`, just the numbers.
    """

    images: int = 200
    photos: bool = True
    image_size: int = 512
    max_mb: float = 25.0
    format: ReportFormat = "html"


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessSettings:
    """What `[tool.segqa.robustness]` says, and `[tool.segqa.robustness.NAME]` for one model.

    Attributes:
        cases: so many are changed in each way, at most; 0 for none.
        minutes: where that would take the model longer, it is not done.
    """

    cases: int = 50
    minutes: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """What `[tool.segqa.ray]` says.

    Attributes:
        actors: so many processes hold a model each.
        cpus_per_actor: that are set apart for one of them; it uses as many threads.
        gpus_per_actor: of GPUs; a part of one where several share it.
        address: of the machines that Ray runs on already; empty for `RAY_ADDRESS`, or for this machine alone.
    """

    actors: int = 2
    cpus_per_actor: float = 1.0
    gpus_per_actor: float = 0.0
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A failure that is known: what would be a finding because of these cases is expected until a day.

    Attributes:
        where: which cases, as a condition.
        reason: why they fail.
        until: the last day on which that is expected, at most a year away.
        kinds: of failure that are expected. Errors are not, unless they are named: a model that raises fails for
            another reason than the one that is known.
    """

    where: str
    reason: str
    until: date
    kinds: tuple[str, ...] = tuple(kind for kind in FAILURE_KINDS if kind != "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of `[tool.segqa]`.

    Attributes:
        model: which model fixtures to evaluate; empty where the user has not said.
        dataset: the name of a declared data set, or a folder.
        dataset_name: what it is called in reports and baselines; empty for the name of the folder or the declared one.
        train_dataset: what the models were trained on, named in the same way; empty where the user has not said.
        prompt: for cases without one of their own.
        pick: the picker's name.
        limit: evaluate this many cases only.
        empty: what a metric is where both masks are empty.
        mask_cutoff: see `ReadingSettings`, as are the next four.
        mask_values: of mask files that mean the object.
        mask_resize: whether masks are scaled to their images.
        mask_orientation: whether masks were drawn on upright images.
        image_bits: of images in 16-bit files.
        name_pattern: finds tags in file names.
        batch_size: images a `predict` call, or `auto`.
        max_cache_mb: megabytes of proposals that are kept for later runs.
        spot_check: the model is asked anew for so many stored cases; None where segqa decides.
        spot_check_iou: stored and new prediction must have at least this IoU.
        engine: where the model is asked.
        ray: how many processes ask it, if that is `ray`.
        thresholds: for every model.
        thresholds_by_model: what single models have instead.
        models: what each model's fixture is given, by the model's name.
        known: the failures that are expected.
        gate: what counts as a regression.
        report: what the review page is like.
        robustness: how many cases are changed to see how robust a model is.
        robustness_by_model: what single models have instead.
    """

    model: tuple[str, ...] = ()
    dataset: str = "studio"
    dataset_name: str = ""
    train_dataset: str = ""
    prompt: str = "person."
    pick: str = "agreement"
    limit: int | None = None
    empty: EmptyPolicy = "one"
    mask_cutoff: int | None = None
    mask_values: tuple[int, ...] = ()
    mask_resize: bool = False
    mask_orientation: MaskOrientation | None = None
    image_bits: int | None = None
    name_pattern: str | None = None
    batch_size: int | Literal["auto"] = 8
    max_cache_mb: int = 10_000
    spot_check: int | None = None
    spot_check_iou: float = 0.98
    engine: EngineName = "local"
    ray: RaySettings = RaySettings()
    thresholds: Thresholds = Thresholds()
    thresholds_by_model: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    known: tuple[Known, ...] = ()
    gate: GateSettings = GateSettings()
    report: ReportSettings = ReportSettings()
    robustness: RobustnessSettings = RobustnessSettings()
    robustness_by_model: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def reading(self) -> ReadingSettings:
        """How the files of a data set are read."""
        names = [field.name for field in fields(ReadingSettings)]
        return ReadingSettings(**{name: getattr(self, name) for name in names})

    def robustness_for(self, model: str) -> RobustnessSettings:
        """How many cases are changed for one model."""
        return replace(self.robustness, **self.robustness_by_model.get(model, {}))

    def thresholds_for(self, model: str) -> Thresholds:
        """The thresholds of one model."""
        return replace(self.thresholds, **self.thresholds_by_model.get(model, {}))


def find_settings_file(folder: Path) -> Path | None:
    """Return the nearest `pyproject.toml` with a table `[tool.segqa]`, from a folder upwards; None where there is none.

    Raises:
        SettingsError: a `pyproject.toml` on the way cannot be read, so nobody knows whether it has the table.
    """
    paths = (each / "pyproject.toml" for each in (folder.absolute(), *folder.absolute().parents))
    return next((path for path in paths if has_settings(path)), None)


def has_settings(path: Path) -> bool:
    """Return whether a TOML file has a table `[tool.segqa]`; not if it is not there.

    Raises:
        SettingsError: it cannot be read.
    """
    return _read_table(path) is not None


def read_settings(pyproject: Path | None) -> Settings:
    """Read the settings in a `pyproject.toml`; the defaults where it is missing or has no `[tool.segqa]`.

    Raises:
        SettingsError: an unknown key (with the nearest known one), or a value of the wrong kind or out of its range.
    """
    table = None if pyproject is None else _read_table(pyproject)
    return Settings() if table is None else parse_settings(table)


def _read_table(path: Path) -> object:
    """Return the table `[tool.segqa]` of a file; None where there is none."""
    if not path.is_file():
        return None
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("segqa")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read {path.name}: {error} ({path})") from error


def parse_settings(table: object) -> Settings:
    """The settings that the table `[tool.segqa]` states; see `read_settings`.

    >>> parse_settings({"modle": "unet"})
    Traceback (most recent call last):
    segqa.errors.SettingsError: [tool.segqa] has an unknown key 'modle'; did you mean 'model'?
    """
    where = "[tool.segqa]"
    known = {*_CHECKS, "thresholds", "models", "known", "gate", "report", "robustness", "ray"}
    table = checks.table(table, where)
    checks.refuse_unknown(table, known, where)
    values = {key: check(table[key], f"{where} {key}") for key, check in _CHECKS.items() if key in table}
    thresholds, by_model = _read_thresholds(table.get("thresholds", {}))
    models = {
        name: checks.table(value, f"[tool.segqa.models.{name}]")
        for name, value in checks.table(table.get("models", {}), "[tool.segqa.models]").items()
    }
    expected = _read_known(table.get("known", []))
    gate = _read_gate(table.get("gate", {}))
    robustness, robustness_by_model = _read_robustness(table.get("robustness", {}))
    report = report_settings(checks.table(table.get("report", {}), "[tool.segqa.report]"), "[tool.segqa.report] {}")
    return Settings(
        thresholds=thresholds,
        thresholds_by_model=by_model,
        models=models,
        known=expected,
        gate=gate,
        ray=_read_ray(table.get("ray", {})),
        report=report,
        robustness=robustness,
        robustness_by_model=robustness_by_model,
        **values,
    )


def report_settings(values: Mapping[str, object], where: str, base: ReportSettings | None = None) -> ReportSettings:
    """The settings of the review page with some replaced, checked.

    Args:
        values: by their names; `images` may be `"none"`, which leaves the photos out.
        where: what to call one of them in an error, `{}` for its name; of an option, with dashes.
        base: those that are not among the values; the defaults by default.

    Raises:
        SettingsError: an unknown name, or a value of the wrong kind.
    """
    known = {
        "images": checks.images,
        "image_size": checks.side,
        "max_mb": checks.megabytes,
        "format": checks.one_of(get_args(ReportFormat)),
    }
    checked = checks.checked(values, known, where)
    if "images" in checked:
        checked["photos"] = checked["images"] != "none"
    if checked.get("images") == "none":
        del checked["images"]
    return replace(base or ReportSettings(), **checked)


def robustness_settings(values: Mapping[str, object], where: str) -> dict[str, Any]:
    """What is said of `cases` and `minutes`, checked.

    Args:
        values: by their names.
        where: what to call one of them in an error, `{}` for its name.

    Raises:
        SettingsError: an unknown name, or a value that makes no sense.
    """
    return checks.checked(values, {"cases": checks.whole, "minutes": checks.minutes}, where)


def override(settings: Settings, options: Mapping[str, object]) -> Settings:
    """The settings with some replaced by what stands on the command line, checked in the same way.

    Raises:
        SettingsError: a value makes no sense.
    """
    return replace(settings, **checks.checked(options, _CHECKS, "--segqa-{}"))


def _read_thresholds(table: object) -> tuple[Thresholds, dict[str, dict[str, float]]]:
    """`[tool.segqa.thresholds]`: bounds for every model, and tables of bounds for single ones."""
    where = "[tool.segqa.thresholds]"
    entries = checks.table(table, where)
    by_model = {key: value for key, value in entries.items() if isinstance(value, Mapping)}
    common = _bounds({key: value for key, value in entries.items() if key not in by_model}, where)
    single = {model: _bounds(value, f"[tool.segqa.thresholds.{model}]") for model, value in by_model.items()}
    for model, bounds in single.items():
        if of_data := sorted(OF_DATA & bounds.keys()):
            raise SettingsError(f"{where[:-1]}.{model}] has {of_data[0]}, which no model changes; put it into {where}")
    return Thresholds(**common), single


def _read_robustness(table: object) -> tuple[RobustnessSettings, dict[str, dict[str, Any]]]:
    """`[tool.segqa.robustness]`: for every model, and tables for single ones."""
    where = "[tool.segqa.robustness]"
    entries = checks.table(table, where)
    by_model = {key: value for key, value in entries.items() if isinstance(value, Mapping)}
    common = {key: value for key, value in entries.items() if key not in by_model}
    single = {name: robustness_settings(value, f"{where[:-1]}.{name}] {{}}") for name, value in by_model.items()}
    return RobustnessSettings(**robustness_settings(common, f"{where} {{}}")), single


def _read_gate(table: object) -> GateSettings:
    """`[tool.segqa.gate]`."""
    where = "[tool.segqa.gate]"
    known = {
        "baseline": checks.text,
        "fail_on": checks.names,
        "alpha": checks.level,
        "group_by": checks.text,
        "required": checks.flag,
    }
    return GateSettings(**checks.checked(checks.table(table, where), known, f"{where} {{}}"))


def _read_ray(table: object) -> RaySettings:
    """`[tool.segqa.ray]`."""
    where = "[tool.segqa.ray]"
    known = {
        "actors": checks.count,
        "cpus_per_actor": checks.cpus,
        "gpus_per_actor": checks.gpus,
        "address": checks.text,
    }
    values = checks.checked(checks.table(table, where), known, f"{where} {{}}")
    return RaySettings(**values)


def _read_known(entries: object) -> tuple[Known, ...]:
    """`[[tool.segqa.known]]`: failures that are expected, each with a reason and an end."""
    where = "[[tool.segqa.known]]"
    if not isinstance(entries, list):
        raise SettingsError(f"{where} must be a list of tables, got {entries!r}")
    known = {"where": checks.text, "reason": checks.text, "until": checks.day_within_a_year, "kinds": _kinds}
    found = []
    for entry in entries:
        table = checks.table(entry, where)
        values = checks.checked(table, known, f"{where} {{}}")
        if missing := [key for key in ("where", "reason", "until") if key not in table]:
            raise SettingsError(f"{where} needs where, reason and until, got no {' and no '.join(missing)}")
        found.append(Known(**values))
    return tuple(found)


def _kinds(value: object, where: str) -> tuple[str, ...]:
    """Kinds of failure, by their names."""
    return tuple(checks.one_of(FAILURE_KINDS)(name, where) for name in checks.names(value, where))


def _bounds(table: Mapping[str, Any], where: str) -> dict[str, float]:
    """Bounds by their names: shares from 0 to 1, but for those of speed."""
    shares = dict.fromkeys((bound.name for bound in fields(Thresholds)), checks.share)
    others = {"iou": checks.threshold, "seconds_p95": checks.seconds, "slowdown": checks.factor}
    return checks.checked(table, shares | others, f"{where} {{}}")


_CHECKS: Mapping[str, checks.Check] = MappingProxyType(
    {
        "model": checks.names,
        "dataset": checks.text,
        "dataset_name": checks.file_name,
        "train_dataset": checks.text,
        "prompt": checks.text,
        "pick": checks.text,
        "limit": checks.count,
        "empty": checks.one_of(get_args(EmptyPolicy)),
        "mask_cutoff": checks.grey,
        "mask_values": checks.whole_numbers,
        "mask_resize": checks.flag,
        "mask_orientation": checks.one_of(get_args(MaskOrientation)),
        "image_bits": checks.bits,
        "name_pattern": checks.pattern,
        "batch_size": checks.batch,
        "max_cache_mb": checks.count,
        "spot_check": checks.whole,
        "spot_check_iou": checks.agreement,
        "engine": checks.one_of(get_args(EngineName)),
    }
)
