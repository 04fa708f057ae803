"""Configure a session: check options, settings and declarations before any model or data set is loaded."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.storage import Location, find_nearest_folder, is_same_location, resolve_location
from segqa.errors import UsageError
from segqa.gate.rules import resolve_rules
from segqa.models.pickers import find_picker
from segqa.plugin.baselines import refuse_early
from segqa.plugin.context import is_hosting, read_ci, runs_no_tests
from segqa.plugin.existing_run import select_existing_run
from segqa.plugin.option_parsing import parse_options, refuse_unknown_checkpoints
from segqa.plugin.session import Session
from segqa.plugin.settings_file import choose_settings_file
from segqa.plugin.shards import read_shard
from segqa.plugin.xdist_messages import is_worker
from segqa.runs.failure_kinds import read_expected_kinds
from segqa.runs.query import parse_condition
from segqa.settings import Settings, override, read_settings
from segqa.settings.checks import nearest


def configure_session(
    config: pytest.Config,
    models: Mapping[str, Callable[..., Any]],
    datasets: Mapping[str, Callable[..., Any]],
    options: Mapping[str, Any],
    reserved: Collection[str],
) -> Session:
    """Return a session from all that is known before tests are collected.

    Args:
        config: pytest's.
        models: the functions that build the declared models, by name.
        datasets: the functions that return the declared data sets, by name.
        options: those given on the command line, by name.
        reserved: the names of segqa's fixtures.

    Raises:
        UsageError: an option, a setting or a declaration is wrong.
    """
    settings_file = choose_settings_file(config)
    settings = _read_session_settings(config, settings_file, options, datasets)
    session = Session(
        settings=settings,
        options=options,
        models=models,
        datasets=datasets,
        chosen_models=_choose_models(options.get("model") or settings.model, models),
        root=settings_file.parent if settings_file else config.rootpath,
        start_folder=config.invocation_params.dir,
        command=shlex.join(["pytest", *map(str, config.invocation_params.args)]),
        settings_file=settings_file,
        ci=read_ci(config),
        shard=read_shard(options),
    )
    if "run" in options:
        select_existing_run(session, session.chosen_models if "model" in options else ())
    _require_engine(config, session)
    _refuse_contradictions(options)
    _parse_expressions(settings, options)
    _refuse_unknown_models(settings, models, parse_options(options.get("model-option", ())))
    refuse_unknown_checkpoints(options.get("checkpoint", ()), models, session.start_folder)
    _refuse_reserved_names([*models, *datasets], reserved)
    if not (is_worker(config) or runs_no_tests(config)):
        refuse_early(session)
    # without an evaluation the folders need not exist, and listing them takes time
    if not is_hosting(config):
        _list_given_folders(session)
    return session


def _parse_expressions(settings: Settings, options: Mapping[str, Any]) -> None:
    """Refuse a picker, a rule, a condition or a failure kind that means nothing."""
    find_picker(settings.pick)
    resolve_rules([*settings.gate.fail_on, *options.get("fail-on", ())])
    for condition in filter(None, [options.get("where"), *(known.where for known in settings.known)]):
        parse_condition(condition)
    for known in settings.known:
        read_expected_kinds(known)


def _refuse_contradictions(options: Mapping[str, Any]) -> None:
    """Refuse contradictory options."""
    if "accept" in options and not (options["accept"].strip() and "update-baseline" in options):
        raise UsageError("--segqa-accept must say why, and goes with --segqa-update-baseline")
    if "rescore" in options and ("no-cache" in options or "refresh-cache" in options):
        raise UsageError(
            "--segqa-rescore asks no model, so it goes with neither --segqa-no-cache nor --segqa-refresh-cache"
        )
    if "rescore" in options and options.get("spot-check"):
        raise UsageError("--segqa-rescore asks no model, so it goes without --segqa-spot-check")


def _read_session_settings(
    config: pytest.Config, file: Path | None, options: Mapping[str, Any], declared: Collection[str]
) -> Settings:
    """Return the settings of the file, overridden by the command line."""
    written = read_settings(file)
    settings = override(written, options)
    if "dataset" in options and "dataset-name" not in options:
        root = file.parent if file else config.rootpath
        is_written = _has_written_name(config, root, options["dataset"], written.dataset, declared)
        settings = replace(settings, dataset_name=written.dataset_name if is_written else "")
    return settings


def _has_written_name(config: pytest.Config, root: Path, typed: str, written: str, declared: Collection[str]) -> bool:
    """Return whether the given data set is the one in `pyproject.toml`, whose `dataset_name` is then its name."""
    if typed in declared:
        return typed == written
    return is_same_location(resolve_location(typed, config.invocation_params.dir), resolve_location(written, root))


def _require_engine(config: pytest.Config, session: Session) -> None:
    """Refuse an engine that is not installed, if a model is to run in it."""
    asks = session.chosen_models and session.existing_run is None and not is_hosting(config)
    if asks and session.settings.engine == "ray":
        from segqa.inference.engine import require_ray

        require_ray()


def _list_given_folders(session: Session) -> None:
    """List the folders on the command line, so that a misspelt one is refused at once."""
    if "dataset" in session.options and session.settings.dataset not in session.datasets:
        open_chosen_folder(session)
    if "train-dataset" in session.options and session.settings.train_dataset not in session.datasets:
        open_train_folder(session)


def open_chosen_folder(session: Session) -> Dataset:
    """Open the data set in the folder that the settings name, without reading pixels. Raises `UsageError`."""
    return _open_folder(session, session.settings.dataset, session.dataset_location, "data set")


def open_train_folder(session: Session) -> Dataset:
    """Open the training data in the folder that the settings name; like `open_chosen_folder`."""
    return _open_folder(session, session.settings.train_dataset, session.train_location, "training data")


def refuse_unknown_tags(session: Session) -> None:
    """Refuse `--segqa-where` and `--segqa-group-by` with a name that no case has, before a model is built.

    A data set whose fixture requests other fixtures is checked later, when the first test requests it.

    Raises:
        UsageError: names the nearest known name.
    """
    from segqa.inference.property_cache import require_attributes

    where, tag = session.options.get("where"), session.options.get("group-by")
    if session.existing_run is not None or not (where or tag):
        return
    cases = _open_declared(session) if session.settings.dataset in session.datasets else open_chosen_folder(session)
    if cases is not None and where:
        require_attributes(cases, parse_condition(where))
    if cases is not None and tag and tag not in cases.tag_names:
        raise UsageError(f"no case has a tag {tag!r} to group by; {nearest(tag, cases.tag_names)}")


def _open_declared(session: Session) -> Dataset | None:
    """Return the declared data set that the settings name; None where only a test can open it."""
    function = session.datasets[session.settings.dataset]
    if inspect.signature(function).parameters or inspect.isgeneratorfunction(function):
        return None
    try:
        cases = function()
    except Exception:  # noqa: BLE001 - the fixture raises it again, in a test, with its traceback
        return None
    return cases if isinstance(cases, Dataset) else None


def _open_folder(session: Session, name: str, location: Location, what: str) -> Dataset:
    if isinstance(location, Path) and not location.exists():
        near = find_nearest_folder(location)
        known = {*session.datasets, *([str(Path(name).with_name(near))] if near else [])}
        raise UsageError(
            f"no {what} {name!r}: expected a folder with images/ and masks/ "
            f"at {location}, or a declared one ({nearest(name, known)})"
        )
    if location not in session.opened_folders:
        settings = session.settings
        listed = open_folder(location, name_pattern=settings.name_pattern, **asdict(settings.reading))
        session.opened_folders[location] = listed
    return session.opened_folders[location]


def _choose_models(wanted: tuple[str, ...] | list[str], models: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the models to evaluate, each once, in the given order.

    Each text is a name, a list of names with commas, or `all`.
    """
    names = [name.strip() for text in wanted for name in text.split(",") if name.strip()]
    if wanted and not names:
        raise UsageError(f"--segqa-model names no model; {nearest('', models)}")
    if "all" in names:
        return tuple(models)
    for name in names:
        if name not in models:
            raise UsageError(f"unknown model {name!r}; {nearest(name, models)} (--segqa-list-models lists them)")
    return tuple(dict.fromkeys(names))


def _refuse_unknown_models(settings: Settings, models: Mapping[str, Any], typed: Collection[str]) -> None:
    named = {
        "[tool.segqa.thresholds.{}]": settings.thresholds_by_model,
        "[tool.segqa.robustness.{}]": settings.robustness_by_model,
        "[tool.segqa.models.{}]": settings.models,
        "--segqa-model-option {}.…": typed,
    }
    for where, names in named.items():
        for name in names:
            if models and name not in models:
                raise UsageError(f"{where.format(name)} names no model; {nearest(name, models)}")


def _refuse_reserved_names(names: Collection[str], reserved: Collection[str]) -> None:
    """Refuse a declared name that would replace a fixture of segqa, such as `evaluation`."""
    for name in names:
        if name in reserved:
            raise UsageError(f"{name!r} cannot be declared: it is a fixture of segqa's; choose another name")
