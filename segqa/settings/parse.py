"""Parse the table `[tool.segqa]`, and override settings by options of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from segqa.errors import SettingsError
from segqa.settings.checks import check_table, refuse_unknown
from segqa.settings.declaration import check_overrides, check_settings, read_declarations
from segqa.settings.engine import RaySettings
from segqa.settings.gate import GateSettings
from segqa.settings.known_failures import KnownFailure
from segqa.settings.project import Settings
from segqa.settings.report import override_report, parse_report
from segqa.settings.robustness import RobustnessSettings
from segqa.settings.thresholds import DATA_THRESHOLDS, Thresholds

_TABLES = ("thresholds", "models", "known", "gate", "report", "robustness", "ray")


def parse_settings(table: object) -> Settings:
    """Parse and check the table `[tool.segqa]`.

    Raises:
        SettingsError: a key is unknown (with the nearest known one), or a value is not what its check expects.

    >>> parse_settings({"modle": "unet"})
    Traceback (most recent call last):
    segqa.errors.SettingsError: [tool.segqa] has an unknown key 'modle'; did you mean 'model'?
    """
    table = check_table(table, "[tool.segqa]")
    refuse_unknown(table, {*read_declarations(Settings), *_TABLES}, "[tool.segqa]")
    own = {key: value for key, value in table.items() if key not in _TABLES}
    values = check_settings(Settings, own, "[tool.segqa] {}")
    thresholds, thresholds_by_model = _parse_by_model(Thresholds, table, "thresholds")
    _refuse_data_thresholds(thresholds_by_model)
    robustness, robustness_by_model = _parse_by_model(RobustnessSettings, table, "robustness")
    report = parse_report(check_table(table.get("report", {}), "[tool.segqa.report]"), "[tool.segqa.report] {}")
    return Settings(
        thresholds=Thresholds(**thresholds),
        thresholds_by_model=thresholds_by_model,
        models=_parse_models(table.get("models", {})),
        known=_parse_known(table.get("known", [])),
        gate=GateSettings(**_parse_table(GateSettings, table, "gate")),
        ray=RaySettings(**_parse_table(RaySettings, table, "ray")),
        report=report,
        robustness=RobustnessSettings(**robustness),
        robustness_by_model=robustness_by_model,
        **values,
    )


def override(settings: Settings, options: Mapping[str, object]) -> Settings:
    """Return settings with those replaced that options of the command line override.

    Args:
        settings: from the settings file.
        options: that were typed, by name without `--segqa-`; those that override no setting are ignored.

    Raises:
        SettingsError: a value is not what its check expects.
    """
    report = override_report(settings.report, options)
    settings = replace(settings, report=report, **check_overrides(Settings, options))
    # an option counts for every model, whatever the file says of one
    for_all = check_overrides(RobustnessSettings, options)
    by_model = {name: {**table, **for_all} for name, table in settings.robustness_by_model.items()}
    return replace(settings, robustness=replace(settings.robustness, **for_all), robustness_by_model=by_model)


def _parse_table(declared: type, table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Check the values of `[tool.segqa.NAME]` by their declarations."""
    where = f"[tool.segqa.{name}]"
    return check_settings(declared, check_table(table.get(name, {}), where), f"{where} {{}}")


def _parse_by_model(
    declared: type, table: Mapping[str, Any], name: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Check `[tool.segqa.NAME]`, for every model, and `[tool.segqa.NAME.MODEL]`, for single ones."""
    entries = check_table(table.get(name, {}), f"[tool.segqa.{name}]")
    by_model = {key: value for key, value in entries.items() if isinstance(value, Mapping)}
    common = {key: value for key, value in entries.items() if key not in by_model}
    single = {
        model: check_settings(declared, value, f"[tool.segqa.{name}.{model}] {{}}") for model, value in by_model.items()
    }
    return check_settings(declared, common, f"[tool.segqa.{name}] {{}}"), single


def _refuse_data_thresholds(by_model: Mapping[str, Mapping[str, float]]) -> None:
    """Raise `SettingsError` if a threshold on the data set is set for a single model."""
    for model, thresholds in by_model.items():
        if found := sorted(DATA_THRESHOLDS & thresholds.keys()):
            where = "[tool.segqa.thresholds]"
            raise SettingsError(f"{where[:-1]}.{model}] has {found[0]}, which no model changes; put it into {where}")


def _parse_models(table: object) -> dict[str, Mapping[str, Any]]:
    """Check `[tool.segqa.models.NAME]`: a table for each model."""
    entries = check_table(table, "[tool.segqa.models]")
    return {name: check_table(value, f"[tool.segqa.models.{name}]") for name, value in entries.items()}


def _parse_known(entries: object) -> tuple[KnownFailure, ...]:
    """Check `[[tool.segqa.known]]`: each entry needs a condition, a reason and a day."""
    where = "[[tool.segqa.known]]"
    if not isinstance(entries, list):
        raise SettingsError(f"{where} must be a list of tables, got {entries!r}")
    found = []
    for entry in entries:
        values = check_settings(KnownFailure, check_table(entry, where), f"{where} {{}}")
        if missing := [key for key in ("where", "reason", "until") if key not in values]:
            raise SettingsError(f"{where} needs where, reason and until, got no {' and no '.join(missing)}")
        found.append(KnownFailure(**values))
    return tuple(found)
