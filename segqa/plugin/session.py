"""The session: what one pytest run of segqa knows is found out at the start, before anything is loaded."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from segqa.errors import UsageError
from segqa.plugin.declare import declared
from segqa.plugin.finished import take_finished
from segqa.plugin.options import MARKERS, given
from segqa.plugin.shards import typed_shard

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.datasets.dataset import Dataset
    from segqa.datasets.location import Location
    from segqa.plugin.state import Session
    from segqa.settings import Settings

STATE = pytest.StashKey["Session"]()
HOSTING = pytest.StashKey[bool]()
"""There where nothing is evaluated, but a model handed to somebody else (`segqa.plugin.hosting`)."""

_PROBLEM, _STARTED, _REPORT, _FOLDER = "segqa_problem", "segqa_started", "segqa_report", "segqa_folder"
_REVIEW = ("report-images", "report-image-size", "report-max-mb", "report-format")
_NO_SETTING = frozenset(
    [
        "model",
        "list-models",
        "model-option",
        "device",
        "checkpoint",
        "held-out",
        "where",
        "shard",
        "run",
        "no-cache",
        "refresh-cache",
        "rescore",
        "cache-dir",
        "report",
        "baseline",
        "update-baseline",
        "accept",
        "allow-dirty",
        "require-baseline",
        "fail-on",
        "group-by",
        "markdown",
        "openmetrics",
        "robustness-cases",
        *_REVIEW,
    ]
)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check what was typed, and have pytest-html write a report; nothing where segqa is not used."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    models, datasets, options = declared(config, "model"), declared(config, "dataset"), given(config)
    if not (models or datasets or options):
        return
    try:
        session = _begin(config, models, datasets, options)
    except UsageError as error:
        raise pytest.UsageError(f"segqa: {error}") from error
    config.stash[STATE] = session
    _request_report(config, session)
    _join_in(config)


def _join_in(config: pytest.Config) -> None:
    """Register what is called for each test and at the end; a session that does not use segqa goes without."""
    from segqa.plugin import calls, ci, html, summary

    for name, plugin in (
        ("calls", calls),
        ("ci", ci),
        ("summary", summary),
        ("html", html),
        ("html-report", html.Additions()),
    ):
        config.pluginmanager.register(plugin, f"segqa-{name}")


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer `--segqa-list-models` in place of a test run."""
    if "list-models" not in given(config):
        return None
    for name, function in declared(config, "model").items():
        sys.stdout.write(f"{_described(name, function)}\n")
    return 0


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is one of pytest-xdist's workers."""
    return hasattr(config, "workerinput")


def stop(config: pytest.Config, problem: str) -> NoReturn:
    """End the session with exit code 4: what the user typed cannot be used.

    Where other models wait for their turn, only the test fails, and the session ends with 4 after them. A worker cannot
    end the session itself; it hands the problem to its controller and fails its test.
    """
    session = config.stash.get(STATE, None)
    if is_worker(config):
        config.workeroutput[_PROBLEM] = problem  # type: ignore[attr-defined] # xdist's
        pytest.fail(f"segqa: {problem}", pytrace=False)
    if session is not None and len(session.chosen) > 1:
        session.problem = problem
        pytest.fail(f"segqa: {problem}", pytrace=False)
    pytest.exit(f"segqa: {problem}", returncode=pytest.ExitCode.USAGE_ERROR)


def refuse(config: pytest.Config, items: list[pytest.Item], problem: str) -> None:
    """End the collection with exit code 4. A worker cannot: it hands the problem to its controller and runs nothing."""
    if not is_worker(config):
        raise pytest.UsageError(f"segqa: {problem}")
    config.workeroutput[_PROBLEM] = problem  # type: ignore[attr-defined] # xdist's
    items.clear()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let a worker's runs carry the time of its controller."""
    session = node.config.stash.get(STATE, None)
    if session is not None:
        node.workerinput[_STARTED] = session.started.isoformat()
        node.workerinput[_REPORT] = getattr(node.config.option, "htmlpath", None)
        node.workerinput[_FOLDER] = str(session.folder or "")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the problem that a worker met."""
    session = node.config.stash.get(STATE, None)
    if session is not None:
        session.problem = session.problem or getattr(node, "workeroutput", {}).get(_PROBLEM, "")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """When all tests are through: gather the runs of the workers; without any run there is nothing to report."""
    try:
        return (yield)
    finally:
        state = session.config.stash.get(STATE, None)
        if state is not None and not is_worker(session.config):
            from segqa.plugin.sharing import gather

            gather(session.config, state)
            if not state.runs:
                withdraw_report(session.config, state)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no empty folder behind, and nothing in the configuration."""
    session = config.stash.get(STATE, None)
    if session is not None:
        if session.folder is not None and not is_worker(config):
            _remove_empty(session.folder)
        del config.stash[STATE]


def _begin(
    config: pytest.Config,
    models: Mapping[str, Callable[..., Any]],
    datasets: Mapping[str, Callable[..., Any]],
    options: Mapping[str, Any],
) -> Session:
    """A session from all that is known before collecting; raises `UsageError`."""
    from segqa.conditions import parse_condition
    from segqa.gate import rules_of
    from segqa.picking import find_picker
    from segqa.plugin.built_with import parse_options, refuse_unknown_checkpoints
    from segqa.plugin.state import Session
    from segqa.settings import override, read_settings, report_settings, robustness_settings

    overrides = {name.replace("-", "_"): value for name, value in options.items() if name not in _NO_SETTING}
    settings = override(read_settings(config.rootpath / "pyproject.toml"), overrides)
    typed = {name.removeprefix("report-").replace("-", "_"): options[name] for name in _REVIEW if name in options}
    settings = replace(settings, report=report_settings(typed, "--segqa-report-{}", settings.report))
    if "robustness-cases" in options:
        # counts for every model, whatever is written for one
        for_all = robustness_settings({"cases": options["robustness-cases"]}, "--segqa-robustness-{}")
        by_model = {name: {**table, **for_all} for name, table in settings.robustness_by_model.items()}
        robustness = replace(settings.robustness, **for_all)
        settings = replace(settings, robustness=robustness, robustness_by_model=by_model)
    session = Session(
        settings=settings,
        options=options,
        models=models,
        datasets=datasets,
        chosen=_chosen(options.get("model") or settings.model, models),
        root=config.rootpath,
        here=config.invocation_params.dir,
        command=shlex.join(["pytest", *map(str, config.invocation_params.args)]),
        shard=typed_shard(options),
    )
    if is_worker(config):
        session.started = datetime.fromisoformat(config.workerinput[_STARTED])  # type: ignore[attr-defined] # xdist's
    if "run" in options:
        take_finished(session, session.chosen if "model" in options else ())
    find_picker(settings.pick)
    _require_engine(config, session)
    if "accept" in options and not (options["accept"].strip() and "update-baseline" in options):
        raise UsageError("--segqa-accept must say why, and goes with --segqa-update-baseline")
    if "rescore" in options and ("no-cache" in options or "refresh-cache" in options):
        raise UsageError(
            "--segqa-rescore asks no model, so it goes with neither --segqa-no-cache nor --segqa-refresh-cache"
        )
    rules_of([*settings.gate.fail_on, *options.get("fail-on", ())])
    for condition in [options.get("where"), *(known.where for known in settings.known)]:
        if condition:
            parse_condition(condition)
    _refuse_unknown_models(settings, models, parse_options(options.get("model-option", ())))
    refuse_unknown_checkpoints(options.get("checkpoint", ()), models, session.here)
    _refuse_reserved_names([*models, *datasets])
    # what nobody evaluates need not be there, and takes time to list
    if HOSTING not in config.stash:
        _list_typed(session)
    return session


def _require_engine(config: pytest.Config, session: Session) -> None:
    """Refuse an engine that is not installed, where a model is to be asked by one."""
    asks = session.chosen and session.finished is None and HOSTING not in config.stash
    if asks and session.settings.engine == "ray":
        from segqa.evaluation.engine import require_ray

        require_ray()


def _list_typed(session: Session) -> None:
    """List the folders that stand on the command line, so that a misspelt one is refused at once."""
    if "dataset" in session.options and session.settings.dataset not in session.datasets:
        open_chosen_folder(session)
    if "train-dataset" in session.options and session.settings.train_dataset not in session.datasets:
        open_train_folder(session)


def open_chosen_folder(session: Session) -> Dataset:
    """The data set in the folder that the settings name; listed, no pixel read. Raises `UsageError`."""
    return _open_folder(session, session.settings.dataset, session.dataset_location, "data set")


def open_train_folder(session: Session) -> Dataset:
    """The training data in the folder that the settings name; as `open_chosen_folder`."""
    return _open_folder(session, session.settings.train_dataset, session.train_location, "training data")


def _open_folder(session: Session, name: str, location: Location, what: str) -> Dataset:
    from segqa.datasets.folder import open_folder
    from segqa.settings import nearest

    if isinstance(location, Path) and not location.exists():
        raise UsageError(
            f"no {what} {name!r}: expected a folder with images/ and masks/ "
            f"at {location}, or a declared one ({nearest(name, session.datasets)})"
        )
    if location not in session.listed:
        settings = session.settings
        listed = open_folder(location, name_pattern=settings.name_pattern, mask_cutoff=settings.mask_cutoff)
        session.listed[location] = listed
    return session.listed[location]


def _chosen(wanted: tuple[str, ...] | list[str], models: Mapping[str, Any]) -> tuple[str, ...]:
    """The models to evaluate: names, lists of names with commas, or `all`; each once, in the order given."""
    from segqa.settings import nearest

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
    from segqa.settings import nearest

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


def _refuse_reserved_names(names: Collection[str]) -> None:
    """A model called `evaluation` would be found in place of the fixture of that name."""
    reserved = {
        "audit",
        "baseline_speed",
        "clusters",
        "data_thresholds",
        "dataset",
        "device",
        "evaluation",
        "gate",
        "model",
        "model_name",
        "model_options",
        "prompt",
        "robustness",
        "speed",
        "thresholds",
        "whole_run",
    }
    for name in names:
        if name in reserved:
            raise UsageError(f"{name!r} cannot be declared: it is a fixture of segqa's; choose another name")


def _described(name: str, function: Callable[..., Any]) -> str:
    """A model's name and the first line of its docstring."""
    lines = (function.__doc__ or "").strip().splitlines()
    return f"{name:<20} {lines[0]}" if lines else name


def _request_report(config: pytest.Config, session: Session) -> None:
    """Claim a folder, and have pytest-html write a self-contained report there unless it has been told where to.

    Of a shard there is nothing to report.
    """
    no_tests = ("help", "version", "markers", "collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")
    asked = any(getattr(config.option, name, False) for name in no_tests)
    if not session.chosen or session.shard is not None or HOSTING in config.stash or asked:
        return
    has_html = hasattr(config.option, "htmlpath")
    if is_worker(config):  # its findings say where the reports will be
        given: dict[str, Any] = config.workerinput  # type: ignore[attr-defined] # xdist's
        session.folder = Path(given[_FOLDER])
        if has_html:
            config.option.htmlpath = given[_REPORT]
        return
    try:
        folder = session.claim_folder()
    except OSError as error:
        raise pytest.UsageError(f"segqa: cannot write a report: {error}; see --segqa-report") from error
    if has_html and config.option.htmlpath is None:
        session.html = True
        config.option.htmlpath = str(folder / "report.html")
        config.option.self_contained_html = True


def withdraw_report(config: pytest.Config, session: Session) -> None:
    """No test asked for an evaluation: pytest-html shall write nothing, and the folder goes.

    Not later than the end of the test loop: pytest-html writes when the session finishes.
    """
    if session.html:
        from pytest_html.basereport import BaseReport

        for plugin in config.pluginmanager.get_plugins():
            if isinstance(plugin, BaseReport):
                config.pluginmanager.unregister(plugin)
    if session.folder is not None:
        _remove_empty(session.folder)


def _remove_empty(folder: Path) -> None:
    """Remove a folder, and the one it is in, if they hold nothing."""
    for each in (folder, folder.parent):
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()
