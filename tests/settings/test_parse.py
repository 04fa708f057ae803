from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from segqa.errors import SettingsError
from segqa.settings import (
    GateSettings,
    RaySettings,
    ReportSettings,
    RobustnessSettings,
    Settings,
    Thresholds,
    override,
    parse_settings,
    read_settings,
)
from segqa.settings.declaration import check_settings, read_declarations

KNOWN = {"where": "camera=C2", "reason": "the mannequin", "until": "2020-01-31"}


def test_without_a_file_or_a_table_the_defaults_hold(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "pyproject.toml") == Settings()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    assert read_settings(tmp_path / "pyproject.toml") == Settings()


def test_a_model_may_be_one_or_several() -> None:
    assert parse_settings({"model": "unet"}).model == ("unet",)
    assert parse_settings({"model": ["unet", "langsam"]}).model == ("unet", "langsam")


def test_a_models_thresholds_replace_those_of_all() -> None:
    settings = parse_settings({"thresholds": {"mean_iou": 0.6, "p05": 0.1, "langsam": {"mean_iou": 0.88}}})
    assert settings.thresholds_for("langsam").mean_iou == 0.88
    assert settings.thresholds_for("langsam").p05 == 0.1
    assert settings.thresholds_for("unet").mean_iou == 0.6


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param({"modle": "x"}, "unknown key 'modle'; did you mean 'model'", id="misspelt key"),
        pytest.param({"thresholds": {"mean_oiu": 1}}, "did you mean 'mean_iou'", id="misspelt threshold"),
        pytest.param(
            {"thresholds": {"unet": {"p5": 1}}}, r"thresholds.unet\] .* did you mean 'p05'", id="in a model's table"
        ),
        pytest.param({"thresholds": {"mean_iou": "0.6"}}, "number from 0 to 1, got '0.6'", id="a text for a number"),
        pytest.param({"thresholds": {"mean_iou": float("nan")}}, "got nan", id="a NaN that would disarm the bound"),
        pytest.param({"thresholds": {"mean_iou": 60}}, "got 60", id="percent"),
        pytest.param({"thresholds": {"mean_iou": True}}, "got True", id="a truth for a number"),
        pytest.param({"engine": "spark"}, "engine must be one of local, ray, got 'spark'", id="an unknown engine"),
        pytest.param({"ray": {"actor": 2}}, r"tool.segqa.ray\] .* did you mean 'actors'", id="misspelt key of Ray"),
        pytest.param({"ray": {"actors": 0}}, "a whole number from 1, got 0", id="nobody to ask"),
        pytest.param({"ray": {"cpus_per_actor": 0}}, "a number of CPUs above 0, got 0", id="no processor"),
        pytest.param({"ray": {"gpus_per_actor": -1}}, "a number of GPUs from 0, got -1", id="less than no GPU"),
        pytest.param({"thresholds": {"slowdown": 0.9}}, "must be a number from 1, got 0.9", id="slower means faster"),
        pytest.param({"thresholds": {"seconds_p95": 0}}, "a number of seconds above 0, got 0", id="no time"),
        pytest.param({"thresholds": {"seconds_p95": float("nan")}}, "got nan", id="a NaN for seconds"),
        pytest.param({"thresholds": {"iou": 0.0}}, "iou must be a number above 0.05", id="no case can break"),
        pytest.param({"thresholds": {"unet": {"iou": 0.05}}}, "above 0.05", id="no case of a model can break"),
        pytest.param({"gate": {"alpha": 1e-9}}, "alpha must be a number from 0.0001", id="nothing can be proven"),
        pytest.param({"gate": {"alpha": 0}}, "alpha must be a number from 0.0001", id="no level"),
        pytest.param({"known": [{**KNOWN, "until": "2999-12-31"}]}, "at most a year away", id="for ever"),
        pytest.param({"known": [{**KNOWN, "kinds": []}]}, "kinds must be a text or a list", id="kinds of nothing"),
        pytest.param({"thresholds": 0.6}, "must be a table", id="no table"),
        pytest.param({"limit": 0}, "limit must be a whole number from 1", id="no case"),
        pytest.param({"batch_size": 2.5}, "batch_size must be a whole number", id="half an image"),
        pytest.param({"mask_cutoff": 255}, "from 0 to 254", id="a cutoff above all"),
        pytest.param({"empty": "half"}, "one, zero, nan, got 'half'", id="unknown policy"),
        pytest.param({"model": []}, "a text or a list of texts", id="no model in the list"),
        pytest.param({"prompt": ""}, "prompt must be a text", id="empty prompt"),
        pytest.param({"models": {"unet": 3}}, r"models.unet\] must be a table", id="a model's options"),
    ],
)
def test_what_makes_no_sense_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(table)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.segqa\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"cannot read pyproject\.toml"):
        read_settings(tmp_path / "pyproject.toml")


def test_options_replace_settings_and_are_checked_alike() -> None:
    assert override(Settings(), {"limit": 5, "pick": "product"}).limit == 5
    with pytest.raises(SettingsError, match="--segqa-batch-size must be a whole number from 1, or auto, got 0"):
        override(Settings(), {"batch-size": 0})
    assert override(Settings(), {"batch-size": "4"}).batch_size == 4
    assert override(Settings(), {"batch-size": "auto"}).batch_size == "auto"


def test_an_option_overrides_the_setting_that_declares_it() -> None:
    options = {"max-cache-mb": 7, "report-images": "none", "report-max-mb": 3.0, "robustness-cases": 2, "device": "cpu"}
    settings = override(parse_settings({"robustness": {"cases": 9, "unet": {"cases": 8, "minutes": 1}}}), options)
    assert settings.max_cache_mb == 7
    assert (settings.report.photos, settings.report.images, settings.report.max_mb) == (False, 200, 3.0)
    assert settings.robustness_for("unet") == RobustnessSettings(cases=2, minutes=1)
    assert settings.robustness.cases == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"report-format": "pdf"}, "--segqa-report-format must be one of html, dir, json, got 'pdf'"),
        ({"robustness-cases": -1}, "--segqa-robustness-cases must be a whole number from 0, got -1"),
        ({"dataset-name": "a/b"}, "--segqa-dataset-name must be the name of a folder"),
        ({"mask-cutoff": 255}, "--segqa-mask-cutoff must be a whole number from 0 to 254, got 255"),
    ],
)
def test_an_error_names_the_option_as_it_was_typed(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        override(Settings(), options)


def test_a_cutoff_and_values_of_masks_exclude_each_other_where_both_are_set() -> None:
    with pytest.raises(SettingsError, match="mask_cutoff and mask_values exclude each other"):
        override(parse_settings({"mask_values": [1]}), {"mask-cutoff": 3})


def test_a_model_may_have_braces_in_its_name() -> None:
    with pytest.raises(SettingsError, match=r"\[tool.segqa.thresholds.a\{b\}\] p05 must be a number"):
        parse_settings({"thresholds": {"a{b}": {"p05": 2}}})


def test_every_default_is_a_value_that_its_check_accepts() -> None:
    tables = (Settings, Thresholds, GateSettings, ReportSettings, RobustnessSettings, RaySettings)
    for table in tables:
        given = {key: value for key, value in vars_of(table()).items() if value not in (None, "", ())}
        assert check_settings(table, given, "{}") == given


def vars_of(settings: object) -> dict[str, object]:
    return {key: getattr(settings, key) for key in read_declarations(type(settings))}


def test_a_known_failure_may_be_expected_for_a_year() -> None:
    latest = datetime.now(UTC).astimezone().date() + timedelta(days=365)
    (known,) = parse_settings({"known": [{**KNOWN, "until": latest}]}).known
    assert known.until == latest
