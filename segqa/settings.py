"""Settings: what `[tool.segqa]` in `pyproject.toml` says, checked, with defaults for what it does not say."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

from segqa.errors import SettingsError

_LISTED = 30

EmptyPolicy: TypeAlias = Literal["one", "zero", "nan"]
"""What a metric is where prediction and target are both empty, so that it is undefined."""

EngineName: TypeAlias = Literal["local", "ray"]
"""Where the model is asked."""

ReportFormat: TypeAlias = Literal["html", "dir", "json"]
"""What the review page is written as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The bounds that the suites assert; each from 0 to 1.

    Attributes:
        iou: a case below it has failed.
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
    near_duplicates: float = 0.0
    leaked: float = 0.0
    invariance: float = 0.9
    robustness_drop: float = 0.05
    occlusion_rises: float = 0.05
    channel_gain: float = 0.0
    blank: float = 0.0


OF_DATA = frozenset({"empty_targets", "full_targets", "near_duplicates", "leaked"})
"""The thresholds that the data set has to meet, whatever the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What `[tool.segqa.gate]` says.

    Attributes:
        baseline: the folder of the baselines.
        fail_on: rules beside the default ones, or in their place; see `segqa.gate`.
        alpha: how often, at most, a drop is found where there is none.
        group_by: a tag; cases that share its value are flipped together.
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
        until: the last day on which that is expected.
    """

    where: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of `[tool.segqa]`.

    Attributes:
        model: which model fixtures to evaluate; empty where the user has not said.
        dataset: the name of a declared data set, or a folder.
        train_dataset: what the models were trained on, named in the same way; empty where the user has not said.
        prompt: for cases without one of their own.
        pick: the picker's name.
        limit: evaluate this many cases only.
        empty: what a metric is where both masks are empty.
        mask_cutoff: object is where a mask file's grey value is above it.
        name_pattern: finds tags in file names.
        batch_size: images a `predict` call, or `auto`.
        max_cache_mb: megabytes of proposals that are kept for later runs.
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
    train_dataset: str = ""
    prompt: str = "person."
    pick: str = "agreement"
    limit: int | None = None
    empty: EmptyPolicy = "one"
    mask_cutoff: int = 127
    name_pattern: str | None = None
    batch_size: int | Literal["auto"] = 8
    max_cache_mb: int = 10_000
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

    def robustness_for(self, model: str) -> RobustnessSettings:
        """How many cases are changed for one model."""
        return replace(self.robustness, **self.robustness_by_model.get(model, {}))

    def thresholds_for(self, model: str) -> Thresholds:
        """The thresholds of one model."""
        return replace(self.thresholds, **self.thresholds_by_model.get(model, {}))


def read_settings(pyproject: Path) -> Settings:
    """The settings in a `pyproject.toml`; the defaults where it is missing or has no `[tool.segqa]`.

    Raises:
        SettingsError: an unknown key (with the nearest known one), or a value of the wrong kind or out of its range.
    """
    if not pyproject.is_file():
        return Settings()
    try:
        table = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}).get("segqa", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read {pyproject.name}: {error}") from error
    return parse_settings(table)


def parse_settings(table: object) -> Settings:
    """The settings that the table `[tool.segqa]` states; see `read_settings`.

    >>> parse_settings({"modle": "unet"})
    Traceback (most recent call last):
    segqa.errors.SettingsError: [tool.segqa] has an unknown key 'modle'; did you mean 'model'?
    """
    where = "[tool.segqa]"
    known = {*_CHECKS, "thresholds", "models", "known", "gate", "report", "robustness", "ray"}
    table = _table(table, where)
    _refuse_unknown(table, known, where)
    values = {key: check(table[key], f"{where} {key}") for key, check in _CHECKS.items() if key in table}
    thresholds, by_model = _read_thresholds(table.get("thresholds", {}))
    models = {
        name: _table(value, f"[tool.segqa.models.{name}]")
        for name, value in _table(table.get("models", {}), "[tool.segqa.models]").items()
    }
    expected = _read_known(table.get("known", []))
    gate = _read_gate(table.get("gate", {}))
    robustness, robustness_by_model = _read_robustness(table.get("robustness", {}))
    report = report_settings(_table(table.get("report", {}), "[tool.segqa.report]"), "[tool.segqa.report] {}")
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
    checks = {"images": _images, "image_size": _side, "max_mb": _megabytes, "format": _format}
    _refuse_unknown(values, checks, where.partition("{}")[0].strip())
    dashed = where.startswith("--")
    names = {key: where.format(key.replace("_", "-") if dashed else key) for key in values}
    checked: dict[str, Any] = {key: checks[key](value, names[key]) for key, value in values.items()}
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
    checks = {"cases": _whole, "minutes": _minutes}
    _refuse_unknown(values, checks, where.partition("{}")[0].strip())
    return {key: checks[key](value, where.format(key)) for key, value in values.items()}


def override(settings: Settings, options: Mapping[str, object]) -> Settings:
    """The settings with some replaced by what stands on the command line, checked in the same way.

    Raises:
        SettingsError: a value makes no sense.
    """
    values = {key: _CHECKS[key](value, f"--segqa-{key.replace('_', '-')}") for key, value in options.items()}
    return replace(settings, **values)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not among the known ones: the nearest, or all of them as long as they can be read.

    >>> nearest("lansgam", ["langsam", "unet"])
    "did you mean 'langsam'?"
    >>> nearest("x", ["langsam", "unet"])
    'known: langsam, unet'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f", … and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"known: {', '.join(known[:_LISTED]) or 'none'}{more}"


def _read_thresholds(table: object) -> tuple[Thresholds, dict[str, dict[str, float]]]:
    """`[tool.segqa.thresholds]`: bounds for every model, and tables of bounds for single ones."""
    where = "[tool.segqa.thresholds]"
    entries = _table(table, where)
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
    entries = _table(table, where)
    by_model = {key: value for key, value in entries.items() if isinstance(value, Mapping)}
    common = {key: value for key, value in entries.items() if key not in by_model}
    single = {name: robustness_settings(value, f"{where[:-1]}.{name}] {{}}") for name, value in by_model.items()}
    return RobustnessSettings(**robustness_settings(common, f"{where} {{}}")), single


def _read_gate(table: object) -> GateSettings:
    """`[tool.segqa.gate]`."""
    where = "[tool.segqa.gate]"
    checks = {"baseline": _text, "fail_on": _names, "alpha": _share, "group_by": _text, "required": _flag}
    entries = _table(table, where)
    _refuse_unknown(entries, checks, where)
    values: dict[str, Any] = {key: checks[key](value, f"{where} {key}") for key, value in entries.items()}
    if not 0 < values.get("alpha", 0.05) < 1:
        raise SettingsError(f"{where} alpha must lie between 0 and 1, got {values['alpha']}")
    return GateSettings(**values)


def _read_ray(table: object) -> RaySettings:
    """`[tool.segqa.ray]`."""
    where = "[tool.segqa.ray]"
    checks = {"actors": _count, "cpus_per_actor": _cpus, "gpus_per_actor": _gpus, "address": _text}
    entries = _table(table, where)
    _refuse_unknown(entries, checks, where)
    values: dict[str, Any] = {key: checks[key](value, f"{where} {key}") for key, value in entries.items()}
    return RaySettings(**values)


def _read_known(entries: object) -> tuple[Known, ...]:
    """`[[tool.segqa.known]]`: failures that are expected, each with a reason and an end."""
    where = "[[tool.segqa.known]]"
    if not isinstance(entries, list):
        raise SettingsError(f"{where} must be a list of tables, got {entries!r}")
    keys = [each.name for each in fields(Known)]
    found = []
    for entry in entries:
        table = _table(entry, where)
        _refuse_unknown(table, keys, where)
        if missing := [key for key in keys if key not in table]:
            raise SettingsError(f"{where} needs where, reason and until, got no {' and no '.join(missing)}")
        texts = {key: _text(table[key], f"{where} {key}") for key in ("where", "reason")}
        found.append(Known(**texts, until=_day(table["until"], f"{where} until")))
    return tuple(found)


def _bounds(table: Mapping[str, Any], where: str) -> dict[str, float]:
    """Bounds by their names: shares from 0 to 1, but for those of speed."""
    _refuse_unknown(table, {bound.name for bound in fields(Thresholds)}, where)
    checks = {"seconds_p95": _seconds, "slowdown": _factor}
    return {key: checks.get(key, _share)(value, f"{where} {key}") for key, value in table.items()}


def _refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise SettingsError(f"{where} has an unknown key {key!r}; {nearest(key, known)}")


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} must be a table, got {value!r}")
    return value


def _is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; a bool is an int, but none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _share(value: object, where: str) -> float:
    # NaN fails every comparison, so it is refused here and cannot disarm a bound
    if not _is_number(value) or not 0 <= value <= 1:
        raise SettingsError(f"{where} must be a number from 0 to 1, got {value!r}")
    return float(value)


def _seconds(value: object, where: str) -> float:
    if not _is_number(value) or not 0 < value < float("inf"):
        raise SettingsError(f"{where} must be a number of seconds above 0, got {value!r}")
    return float(value)


def _factor(value: object, where: str) -> float:
    if not _is_number(value) or not 1 <= value < float("inf"):
        raise SettingsError(f"{where} must be a number from 1, got {value!r}")
    return float(value)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{where} must be a text, got {value!r}")
    return value


def _day(value: object, where: str) -> date:
    try:
        return value if type(value) is date else date.fromisoformat(str(value))
    except ValueError as error:
        raise SettingsError(f"{where} must be a day such as 2027-01-31, got {value!r}") from error


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{where} must be true or false, got {value!r}")
    return value


def _names(value: object, where: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise SettingsError(f"{where} must be a text or a list of texts, got {value!r}")
    return tuple(_text(name, where) for name in listed)


def compile_pattern(text: str, where: str = "name pattern") -> re.Pattern[str]:
    """A regular expression with named groups, checked.

    Raises:
        SettingsError: it is no regular expression, or has no named group.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise SettingsError(f"{where} {text!r} is not a regular expression: {error}") from error
    if "id" in pattern.groupindex:
        raise SettingsError(f"{where} {text!r} has a group called id, which is the case's own; choose another name")
    if not pattern.groupindex:
        raise SettingsError(f"{where} {text!r} has no named group such as (?P<camera>C\\d+)")
    return pattern


def _pattern(value: object, where: str) -> str:
    return compile_pattern(_text(value, where), where).pattern


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingsError(f"{where} must be a whole number from 1, got {value!r}")
    return value


def _whole(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingsError(f"{where} must be a whole number from 0, got {value!r}")
    return value


def _minutes(value: object, where: str) -> float:
    if not _is_number(value) or not value > 0:
        raise SettingsError(f"{where} must be a number of minutes above 0, got {value!r}")
    return float(value)


def _batch(value: object, where: str) -> int | str:
    if value == "auto":
        return "auto"
    if isinstance(value, str) and value.isdecimal() and int(value) > 0:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingsError(f"{where} must be a whole number from 1, or auto, got {value!r}")
    return value


def _grey(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 254:
        raise SettingsError(f"{where} must be a whole number from 0 to 254, got {value!r}")
    return value


def _cpus(value: object, where: str) -> float:
    if not _is_number(value) or not 0 < value < float("inf"):
        raise SettingsError(f"{where} must be a number of CPUs above 0, got {value!r}")
    return float(value)


def _gpus(value: object, where: str) -> float:
    if not _is_number(value) or not 0 <= value < float("inf"):
        raise SettingsError(f"{where} must be a number of GPUs from 0, got {value!r}")
    return float(value)


def _engine(value: object, where: str) -> str:
    if value not in get_args(EngineName):
        raise SettingsError(f"{where} must be one of {', '.join(get_args(EngineName))}, got {value!r}")
    return str(value)


def _images(value: object, where: str) -> int | str:
    if value == "none" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    raise SettingsError(f"{where} must be a whole number from 0, or none, got {value!r}")


def _side(value: object, where: str) -> int:
    pixels = _count(value, where)
    if not 32 <= pixels <= 4096:
        raise SettingsError(f"{where} must be from 32 to 4096 pixels, got {value!r}")
    return pixels


def _megabytes(value: object, where: str) -> float:
    if not _is_number(value) or not 0.1 <= value <= 500:
        # a page above that is more than a browser opens
        raise SettingsError(f"{where} must be a number of megabytes from 0.1 to 500, got {value!r}")
    return float(value)


def _format(value: object, where: str) -> str:
    if value not in get_args(ReportFormat):
        raise SettingsError(f"{where} must be one of {', '.join(get_args(ReportFormat))}, got {value!r}")
    return str(value)


def _empty(value: object, where: str) -> str:
    if value not in ("one", "zero", "nan"):
        raise SettingsError(f"{where} must be one of one, zero, nan, got {value!r}")
    return str(value)


_CHECKS: Mapping[str, Any] = MappingProxyType(
    {
        "model": _names,
        "dataset": _text,
        "train_dataset": _text,
        "prompt": _text,
        "pick": _text,
        "limit": _count,
        "empty": _empty,
        "mask_cutoff": _grey,
        "name_pattern": _pattern,
        "batch_size": _batch,
        "max_cache_mb": _count,
        "engine": _engine,
    }
)
