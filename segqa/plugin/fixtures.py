"""The fixtures of segqa: one evaluation per model and session, shared by all tests that assert on it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segqa.errors import DatasetError, StoreError, UsageError
from segqa.plugin.context import find_session
from segqa.plugin.decorators import build_model, refuse_exit, require_one_declaration
from segqa.plugin.requested_fixtures import MODEL_NAME, requests_model, requests_model_or_dataset
from segqa.plugin.usage_errors import refuse_collection, stop_session
from segqa.plugin.xdist_messages import is_worker

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.analysis.data_audit.audit import Audit
    from segqa.analysis.failure_clusters.clusters import Clusters
    from segqa.analysis.robustness.result import Robustness
    from segqa.data.dataset import Dataset
    from segqa.gate.latency import Speed
    from segqa.gate.verdict import Verdict
    from segqa.inference.evaluator import Evaluation, Progress
    from segqa.models.protocol import Model
    from segqa.plugin.session import Session
    from segqa.runs.run import Run
    from segqa.settings import Thresholds


_KEPT_OPTIONS = ("limit", "held-out", "where", "shard", "device")
_READING = ("mask_cutoff", "mask_values", "mask_resize", "mask_orientation", "image_bits")
_KEPT_SETTINGS = ("prompt", "limit", "name_pattern", *_READING)

_NO_MODEL = "no model is declared; mark a fixture with @segqa.model in a conftest.py (`segqa init` makes one)"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that requests a model, directly or not, once for each chosen model."""
    if MODEL_NAME not in metafunc.fixturenames:
        return
    session = find_session(metafunc.config)
    chosen = list(session.chosen_models) if session else []
    metafunc.parametrize(MODEL_NAME, chosen, indirect=True, scope="session")
    if session is not None and not chosen:
        from segqa.settings.checks import nearest

        known = nearest("", session.models)
        session.problem = f"no model chosen: --segqa-model=NAME, or model = … in [tool.segqa]; {known}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse tests without a model and markers with wrong arguments before anything is loaded."""
    _time_tests_alone(config, items)
    session = find_session(config)
    if session is not None and session.problem and not is_worker(config):
        refuse_collection(config, items, session.problem)
    if session is None:
        if any(requests_model(item) for item in items):
            refuse_collection(config, items, _NO_MODEL)
        return
    from segqa.plugin.configure import refuse_unknown_tags
    from segqa.plugin.markers import check_slice_marker, read_behaviour_marker
    from segqa.plugin.settings_file import refuse_other_settings

    try:
        asking = {item.path.parent: None for item in items if requests_model_or_dataset(item)}
        require_one_declaration(config)
        refuse_other_settings(config, session, asking)
        for item in items:
            check_slice_marker(item)
            read_behaviour_marker(item)
        if asking:
            refuse_unknown_tags(session)
    except UsageError as error:
        refuse_collection(config, items, str(error))


def _time_tests_alone(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep pytest-timeout from counting the evaluation, a fixture, as time of the first test that requests it."""
    if config.pluginmanager.has_plugin("timeout"):
        for item in items:
            if requests_model_or_dataset(item) and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(func_only=True))


@pytest.fixture(scope="session")
def _segqa_model_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def model_name(_segqa_model_name: str) -> str:
    """The name of the model under test; a test that requests it runs once per chosen model."""
    return _segqa_model_name


@pytest.fixture(scope="session")
def model_options(pytestconfig: pytest.Config) -> Callable[..., dict[str, Any]]:
    """A function that returns the options of a model as a dict: `model_options("unet", paths=["checkpoint"])`.

    They come from `[tool.segqa.models.NAME]`; `--segqa-model-option` and `--segqa-checkpoint` override them. Options
    named in `paths` are absolute.
    """
    return _require_session(pytestconfig).model_options


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> str:
    """The device to run the model on: `auto`, `cpu`, `cuda`, …, from `--segqa-device`."""
    name: str = _require_session(pytestconfig).options.get("device", "auto")
    return name


@pytest.fixture(scope="session")
def prompt(pytestconfig: pytest.Config) -> str:
    """The text prompt: what to segment in cases that have no prompt of their own."""
    return _require_session(pytestconfig).settings.prompt


@pytest.fixture(scope="session")
def thresholds(pytestconfig: pytest.Config, _segqa_model_name: str) -> Thresholds:
    """The thresholds of the model under test, from `[tool.segqa.thresholds]` and `[tool.segqa.thresholds.NAME]`."""
    return _require_session(pytestconfig).settings.thresholds_for(_segqa_model_name)


@pytest.fixture(scope="session")
def dataset(_segqa_dataset: Dataset) -> Dataset:
    """The data set to evaluate on, a `segqa.Dataset`. Its cases are listed; pixels are read on demand."""
    return _segqa_dataset


@pytest.fixture(scope="session")
def _segqa_dataset(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Dataset:
    session = _require_session(pytestconfig)
    try:
        cases = _open_dataset(session, request)
        if session.existing_run is not None:
            _require_same_dataset(session.existing_run, cases)
    except (UsageError, StoreError) as error:
        if session.existing_run is not None and "dataset" not in session.options:
            pytest.skip(f"the data set of the run is not here: {error}")
        stop_session(pytestconfig, str(error))
    return cases


@pytest.fixture(scope="session")
def data_thresholds(pytestconfig: pytest.Config) -> Thresholds:
    """The thresholds of the data set, from `[tool.segqa.thresholds]`, for tests that need no model."""
    return _require_session(pytestconfig).settings.thresholds


@pytest.fixture(scope="session")
def audit(request: pytest.FixtureRequest, pytestconfig: pytest.Config, _segqa_dataset: Dataset) -> Audit:
    """The audit of the data set, such as duplicate images and leaks; see `segqa.audit_dataset`. Needs no model."""
    from segqa.plugin.data_audit import audit_once
    from segqa.plugin.shards import skip_in_shard

    session = _require_session(pytestconfig)
    skip_in_shard(session)
    try:
        return audit_once(session, request, _segqa_dataset)
    except (UsageError, StoreError) as error:
        stop_session(pytestconfig, str(error))


@pytest.fixture(scope="session")
def model(_segqa_model: Model) -> Model:
    """The model under test. It is built when first requested, and removed before the next model is built."""
    return _segqa_model


@pytest.fixture(scope="session")
def _segqa_model(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, _segqa_model_name: str
) -> Iterator[Model]:
    from segqa.inference.validation import require_model

    session = _require_session(pytestconfig)
    if session.existing_run is not None:
        pytest.skip("--segqa-run judges a finished run and builds no model")
    try:
        with build_model(session.models[_segqa_model_name], request) as value:
            require_model(value, _segqa_model_name)
            yield value
    except UsageError as error:
        stop_session(pytestconfig, str(error))
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        stop_session(pytestconfig, f"{error}; see [tool.segqa.models.{_segqa_model_name}] and --segqa-model-option")
    finally:
        value = None
        _free_memory()


@pytest.fixture
def evaluation(request: pytest.FixtureRequest, _segqa_run: Run) -> Run:
    """The evaluation of the model under test on the data set, a `segqa.Run`; made once per session.

    In a test marked with `segqa_slice` it holds the cases of that slice only.
    """
    from segqa.plugin.markers import select_slice

    return select_slice(request.node, _segqa_run)


@pytest.fixture(scope="session")
def whole_run(_segqa_run: Run) -> Run:
    """The evaluation of all cases, even in a test marked with `segqa_slice`; for session-scoped fixtures."""
    return _segqa_run


@pytest.fixture
def clusters(pytestconfig: pytest.Config, evaluation: Run) -> Clusters:
    """The failure clusters of the model under test: what its failures have in common; see `segqa.find_clusters`."""
    return _require_session(pytestconfig).get_clusters(evaluation)


@pytest.fixture
def gate(pytestconfig: pytest.Config, evaluation: Run) -> Verdict:
    """The verdict of the regression gate: the evaluation compared with its baseline; see `segqa.judge`."""
    from segqa.plugin.baselines import require_verdict

    return require_verdict(pytestconfig, _require_session(pytestconfig), evaluation)


@pytest.fixture(scope="session")
def speed(_segqa_run: Run) -> Speed:
    """The measured latency of the model under test. Skips the test if its proposals came from the cache."""
    from segqa.gate.latency import MIN_TIMED, compute_speed

    found = compute_speed(_segqa_run)
    if "parts" in _segqa_run.provenance:
        pytest.skip("the run is merged of shards, whose seconds are not those of one machine that does nothing else")
    if found is None:
        pytest.skip(f"the model was asked for fewer than {MIN_TIMED} cases; --segqa-refresh-cache asks it for all")
    return found


@pytest.fixture(scope="session")
def baseline_speed(pytestconfig: pytest.Config, _segqa_run: Run, speed: Speed) -> Speed:
    """The latency stored with the baseline. Skips the test if none is stored for this machine."""
    from segqa.plugin.baselines import require_kept_speed

    return require_kept_speed(pytestconfig, _require_session(pytestconfig), _segqa_run, speed)


@pytest.fixture(scope="session")
def robustness(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, _segqa_dataset: Dataset, _segqa_run: Run
) -> Robustness:
    """The robustness of the model under test on perturbed images; see `segqa.measure_robustness`.

    Skips the test if `cases = 0` in `[tool.segqa.robustness]`.
    """
    from segqa.inference.evaluator import silent
    from segqa.plugin.robustness_run import measure_or_skip

    session = _require_session(pytestconfig)
    unasked = session.options.get("rescore", False) or session.existing_run is not None
    how = _configure_evaluation(session, _segqa_run.model, silent, pytestconfig)

    def ask() -> Model | None:
        return None if unasked else request.getfixturevalue("_segqa_model")

    try:
        return measure_or_skip(pytestconfig, session, _segqa_run, _segqa_dataset, how, ask)
    except (UsageError, StoreError) as error:
        stop_session(pytestconfig, str(error))


@pytest.fixture(scope="session")
def _segqa_run(request: pytest.FixtureRequest, pytestconfig: pytest.Config, _segqa_model_name: str) -> Run:
    from segqa.plugin.data_audit import warn_of_reading
    from segqa.plugin.known_failures import warn_of_misspelt_known_failures
    from segqa.plugin.model_source_digest import report_stored_answers
    from segqa.plugin.shards import skip_in_shard
    from segqa.plugin.xdist import share_run

    session, name = _require_session(pytestconfig), _segqa_model_name

    def make() -> Run:
        if session.existing_run is not None:
            taken = _load_run(session, session.existing_run, request)
            report_stored_answers(session, taken)
            return taken
        dataset = request.getfixturevalue("_segqa_dataset")
        rescore = session.options.get("rescore", False)
        model = None if rescore else request.getfixturevalue("_segqa_model")
        return _evaluate(session, name, model, dataset, pytestconfig)

    try:
        run = session.runs[name] = share_run(pytestconfig, session.store, name, make)
    except (UsageError, StoreError) as error:
        stop_session(pytestconfig, str(error))
    warn_of_reading(session, run)
    warn_of_misspelt_known_failures(session, run)
    skip_in_shard(session)
    return run


def _load_run(session: Session, folder: Path, request: pytest.FixtureRequest) -> Run:
    """Load the finished run to judge, and draw its cases if the data set is available."""
    from segqa.plugin.baselines import keep_baseline
    from segqa.plugin.existing_run import load_existing_run

    run = load_existing_run(session, folder)
    with suppress(pytest.skip.Exception):
        _draw_cases(session, run, request.getfixturevalue("_segqa_dataset"))
    keep_baseline(session, run)
    return run


def _require_same_dataset(folder: Path, cases: Dataset) -> None:
    """Refuse another data set than that of the run in a folder; changed cases are found one by one."""
    from segqa.plugin.existing_run import read_dataset_name

    wanted = read_dataset_name(folder)
    if cases.name != wanted:
        raise DatasetError(f"the run is of data set {wanted!r}, got {cases.name!r}; --segqa-dataset names another")


def _evaluate(session: Session, name: str, model: Model | None, dataset: Dataset, config: pytest.Config) -> Run:
    """Evaluate, and draw example cases while the data set is available."""
    from segqa.plugin.baselines import keep_baseline
    from segqa.plugin.model_source_digest import report_stored_answers
    from segqa.plugin.progress import RecordedProgress, create_progress
    from segqa.plugin.ray_actors import create_engine

    progress = RecordedProgress(create_progress(config, name))
    try:
        how = _configure_evaluation(session, name, progress, config)
        if model is None:
            run = how.rescore(name, dataset, session.store)
        else:
            how = replace(how, engine=create_engine(session, config, name))
            run = how.run(model, name, dataset, session.store)
    except KeyboardInterrupt:
        session.interruption = f"{name}: {progress.done} of {progress.total} cases are done and kept"
        raise
    report_stored_answers(session, run)
    if session.shard is None:
        _draw_cases(session, run, dataset)
        keep_baseline(session, run)
    return run


def _draw_cases(session: Session, run: Run, dataset: Dataset) -> None:
    """Draw the cases that the review page shows, for this run and the others of the session."""
    from segqa.plugin.baselines import find_comparison
    from segqa.report.case_images import draw_choice

    runs = [run, *(other for other in session.runs.values() if other.id != run.id)]
    found = [(session.get_clusters(each), find_comparison(session, each)) for each in runs]
    draw_choice(found, dataset, session.store, session.settings.report)


def _count_threads(session: Session, config: pytest.Config) -> int | None:
    """Return how many threads an evaluation may use: None for no limit, a fair share if workers run in parallel."""
    from segqa.support.environment import compute_fair_share

    if not is_worker(config):
        return None
    # a model is evaluated by one worker, and the others wait for it
    side_by_side = min(len(session.chosen_models), int(config.workerinput["workercount"]))  # type: ignore[attr-defined] # xdist's
    return compute_fair_share(max(1, side_by_side))


def _configure_evaluation(session: Session, name: str, progress: Progress, config: pytest.Config) -> Evaluation:
    """Return the evaluator that the settings and options of this session configure."""
    from segqa.inference.evaluator import Evaluation
    from segqa.inference.target_cache import PackedTargets
    from segqa.plugin.model_source_digest import digest_builder, read_spot_check

    settings = session.settings
    if session.targets is None and len(session.chosen_models) > 1:
        session.targets = PackedTargets()
    return Evaluation(
        pick=settings.pick,
        empty=settings.empty,
        threshold=settings.thresholds_for(name).iou,
        batch_size=settings.batch_size,
        cache=not session.options.get("no-cache", False),
        refresh=session.options.get("refresh-cache", False),
        threads=_count_threads(session, config),
        max_cache_mb=settings.max_cache_mb,
        command=session.command,
        options={name: session.options[name] for name in _KEPT_OPTIONS if name in session.options},
        edges=session.edges,
        shard=session.shard,
        settings={name: getattr(settings, name) for name in _KEPT_SETTINGS},
        targets=session.targets,
        started=session.started,
        progress=progress,
        built_by=digest_builder(session, config, name),
        spot_check=read_spot_check(session),
        work_tree=session.work_tree,
    )


def _open_dataset(session: Session, request: pytest.FixtureRequest) -> Dataset:
    """Open the data set that the settings name, narrowed by the prompt, the limit and the options."""
    from segqa.data.subsets import split
    from segqa.inference.property_cache import narrow
    from segqa.plugin.configure import open_chosen_folder
    from segqa.runs.query import parse_condition

    settings = session.settings
    declared = settings.dataset in session.datasets
    cases = _request_dataset(settings.dataset, request) if declared else open_chosen_folder(session)
    if settings.dataset_name:
        cases = replace(cases, name=settings.dataset_name)
    cases = cases.with_prompt(settings.prompt)
    if session.options.get("held-out"):
        cases = split(cases)[1]
    if settings.limit is not None:
        cases = cases.limit(settings.limit)
    if "where" in session.options:
        # last, so that the command that a finding gives means the cases of the finding
        cases, session.edges = narrow(cases, parse_condition(session.options["where"]), session.store)
    return cases


def _request_dataset(name: str, request: pytest.FixtureRequest) -> Dataset:
    """Return the data set that its fixture returns.

    Raises:
        UsageError: it returns something else, or calls `sys.exit`.
    """
    from segqa.data.dataset import Dataset

    with refuse_exit(f"the fixture of data set {name!r}"):
        cases = request.getfixturevalue(name)
    if not isinstance(cases, Dataset):
        came = type(cases).__name__
        raise DatasetError(f"the fixture of data set {name!r} must end with a return of a segqa.Dataset, got {came}")
    return cases


def _require_session(config: pytest.Config) -> Session:
    session = find_session(config)
    if session is None:
        stop_session(config, _NO_MODEL)
    return session


def _free_memory() -> None:
    """Free the memory that a model held, also on its device."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
