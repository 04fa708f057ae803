"""Evaluate a model on a data set: start or resume a run, run the pipeline, store the outcomes."""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, compress
from os import PathLike
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from tqdm.auto import tqdm

from segqa.data.case import Case
from segqa.data.case_table import CaseTable
from segqa.data.dataset import Dataset
from segqa.data.folder import to_dataset
from segqa.data.mask import Image
from segqa.data.remote_folder import prefetch
from segqa.data.storage import expand_home
from segqa.data.subsets import Shard
from segqa.errors import CaseError, ModelError, SettingsError, StoreError
from segqa.inference.batch_size import BatchSetting, BatchSize
from segqa.inference.engine import Distributed, Pickled, RayEngine, require_ray
from segqa.inference.finalize import finalize_run
from segqa.inference.model_identity import ModelIdentity, identify, read_stored_identity
from segqa.inference.pipeline import Pipeline
from segqa.inference.predictor import Predictor
from segqa.inference.property_cache import PropertyCache, open_properties
from segqa.inference.proposal_cache import ProposalCache, proposals_key
from segqa.inference.spot_check import (
    DEFAULT_SPOT_CHECK,
    NO_SPOT_CHECK,
    STORED_ANSWERS,
    SpotCheck,
    StoredAnswers,
    check_stored,
    judge_stored_answers,
)
from segqa.inference.target_cache import PackedTargets
from segqa.inference.timing import StageTimer, peak_memory
from segqa.inference.validation import note_on_sizes, require_model
from segqa.models.pickers import find_picker
from segqa.models.protocol import Model, Proposals
from segqa.models.source_digest import digest_source
from segqa.runs.outcome import Outcome
from segqa.runs.provenance import collect_provenance, make_run_id, read_changes, write_changes
from segqa.runs.run import Run
from segqa.runs.slices import Edges
from segqa.runs.store import Store, read_header
from segqa.scoring.metrics import METRIC_VERSION
from segqa.scoring.properties import PROPERTY_VERSION
from segqa.settings import EmptyPolicy, EngineName, RaySettings
from segqa.support.environment import describe_hardware, limit_threads
from segqa.support.escaping import to_utf8
from segqa.support.git import Changes, WorkTree
from segqa.support.plurals import format_count, select_form

_STOP_AFTER = 8
"""If the answers to so many images are refused before any other, the model is at fault and not a case."""

Progress = Callable[[int, int], None]
"""Is told how many cases are done and how many there are: once at the start, then after each batch."""


def silent(_done: int, _total: int) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How to evaluate; the defaults are those of `evaluate`.

    Attributes:
        pick: the picker's name.
        empty: what a metric is where both masks are empty.
        threshold: the IoU below which a case has failed.
        batch_size: images a `predict` call; `"auto"` for as many as are worth it on a GPU.
        cache: use proposals kept by earlier runs, and keep these for later ones.
        refresh: keep them, but do not use those kept earlier.
        threads: of OpenCV and torch while it runs; None for as many as they take.
        max_cache_mb: megabytes (10^6 bytes) of proposals that are kept; the longest unused go first, today's stay.
        command: what the user typed; stands in the run's provenance.
        options: what else was chosen, in JSON's types; stands there, too.
        started: stands in the run's id; now by default.
        progress: is told how far it is.
        targets: keeps what has been read of them, where another model is to be evaluated on the same data.
        edges: of numeric slices, where the data set is a part of one for which they are known; else they are found.
        shard: the part of the data set that is evaluated here, to be merged with the others; None for all of it.
        settings: what else decides the outcomes, in JSON's types; stands in the provenance, since parts that are to be
            merged have to agree in it.
        engine: asks the model in other processes; None to ask it here.
        built_by: a digest of the source of what builds the model, see `segqa.models.source_digest`; empty if unknown.
        spot_check: how many stored cases the model is asked for anew.
        work_tree: of the model's code; its commit and its changes stand in the provenance.
    """

    pick: str = "agreement"
    empty: EmptyPolicy = "one"
    threshold: float = 0.7
    batch_size: BatchSetting = 8
    cache: bool = True
    refresh: bool = False
    threads: int | None = None
    max_cache_mb: float = 10_000
    command: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    started: datetime | None = None
    progress: Progress = silent
    targets: PackedTargets | None = None
    edges: Edges | None = None
    shard: Shard | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    engine: RayEngine | None = None
    built_by: str = ""
    spot_check: SpotCheck = DEFAULT_SPOT_CHECK
    work_tree: WorkTree = field(default_factory=WorkTree)

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise SettingsError(f"threshold must lie between 0 and 1, got {self.threshold}")
        if self.batch_size != "auto" and self.batch_size < 1:
            raise SettingsError(f"batch_size must be 1 or more, or auto, got {self.batch_size}")

    def run(self, model: Model, name: str, dataset: Dataset, store: Store) -> Run:
        """Evaluate a model under a name and keep the run; an unfinished one of the same kind is continued.

        A model without a `fingerprint` can be any model: its run always begins anew, and nothing is taken from the
        proposals on disk.
        """
        require_model(model, name)
        return self._run(model, identify(model, name, self.built_by), name, dataset, store, self.engine)

    def rescore(self, name: str, dataset: Dataset, store: Store, who: ModelIdentity | None = None) -> Run:
        """The run that evaluating the model again would make, from its stored proposals; no model is needed.

        Args:
            name: of the model.
            dataset: the cases.
            store: where the proposals are.
            who: the model; None for that of the last finished run under this name.

        Raises:
            ModelError: there is no such run, its model had no fingerprint, or proposals are missing; says of how many
                cases.
        """
        who = who or read_stored_identity(name, store, self.built_by)
        cases = self._own(dataset)
        missing = _find_missing(who.whole, cases, store)
        if missing:
            raise ModelError(
                f"{len(missing)} of {format_count(len(cases), 'case')} {select_form(len(missing), 'has', 'have')} "
                "no stored "
                f"proposals of {name}, such as {missing[0]}, or "
                f"damaged ones (the model is that of run {who.taken_from}); evaluate once without --segqa-rescore"
            )
        return self._run(_Nobody(), who, name, dataset, store, None)

    def find_finished(
        self, model: Model | ModelIdentity | None, name: str, dataset: Dataset, store: Store
    ) -> str | None:
        """The id of a finished run that evaluating would only repeat; None where there is none.

        There is none where proposals kept earlier shall not be used, for a model without a `fingerprint`, and where
        answers of the run were stored from other source than today's.

        Args:
            model: will not be asked, so who it is is enough; None for that of the last finished run under this name.
            name: of the model.
            dataset: the cases.
            store: where the runs are.

        Raises:
            ModelError: there is no model, and no finished run that says which one it was.
        """
        if isinstance(model, ModelIdentity):
            who = model
        else:
            built_by = self.built_by
            who = read_stored_identity(name, store, built_by) if model is None else identify(model, name, built_by)
        if self.refresh or not self.cache or not who.known:
            return None
        found = store.find_finished(self._key(name, who.whole, dataset))
        if found is None:
            return None
        known = read_header(store.run_folder(found))[0].provenance
        is_stale = StoredAnswers.from_provenance(known).stale > 0 or who.is_of_other_source(known.get("source", ""))
        return None if is_stale else found

    def _run(
        self, model: Model, who: ModelIdentity, name: str, dataset: Dataset, store: Store, engine: RayEngine | None
    ) -> Run:
        find_picker(self.pick)
        if engine is not None:
            engine.require(who.known, self._own(dataset))
        key = self._key(name, who.whole, dataset)
        about = self._describe(model, who, dataset, store)
        with ExitStack() as stack:
            run = self._find_unfinished(store, key) or store.begin(self._new(name, dataset, about, store), key)
            if not stack.enter_context(store.hold_write_lock(run.id)):
                run = store.begin(self._new(name, dataset, about, store), key)
                stack.enter_context(store.hold_write_lock(run.id))
            if "resumed_at" in run.provenance:
                store.update_header(run)
            path = store.proposals_path(run.id, shared=self.cache and bool(who.known))
            cache = stack.enter_context(ProposalCache(path))
            measured = stack.enter_context(open_properties(store))
            stack.enter_context(limit_threads(self.threads))
            batch, stages = BatchSize(self.batch_size), StageTimer()
            loop = self._loop(model, who, name, dataset, cache, measured, batch, stages)
            work = self._work(loop, cache, measured, engine)
            done_before = self._evaluate(work, self._own(dataset), run, store)

            def ask(chosen: Sequence[str], kept: ProposalCache) -> list[Outcome]:
                cases = self._own(dataset)
                anew = self._loop(model, who, name, dataset, kept, measured, batch, StageTimer())
                again = self._work(replace(anew, targets=None, refresh=True), kept, measured, engine)
                return list(
                    chain.from_iterable(again.outcomes(cases.take(np.flatnonzero(cases.own_ids.is_among(chosen)))))
                )

            check = NO_SPOT_CHECK if isinstance(model, _Nobody) else self.spot_check
            evaluated = store.load(run.id)
            found = check_stored(check, who, evaluated, done_before, cache, ask)
            noted = [*run.provenance["notes"], *work.notes, *note_on_sizes(evaluated, cache)]
            run = replace(run, provenance={**run.provenance, "notes": [*dict.fromkeys(noted)]})
            if cache.size > self.max_cache_mb * 1e6:
                cache.remove(cache.superfluous(max_bytes=int(self.max_cache_mb * 1e6)))
            spent: dict[str, Any] = {"stages": stages.summary(), "peak_mb": peak_memory()}
            spent |= {"batch_size": batch.current, "hardware": describe_hardware(self.threads)}
            spent |= {STORED_ANSWERS: found.to_json()}
            return finalize_run(store, run, key, self.edges, spent | work.describe_usage())

    def _describe(self, model: Model, who: ModelIdentity, dataset: Dataset, store: Store) -> dict[str, Any]:
        """Return what a new run says of its model, its data and its work tree, in JSON's types."""
        about: dict[str, Any] = {"fingerprint": who.known, "weights_bytes": who.weights_bytes}
        said = [*who.said, *_notes_on(model, dataset)]
        taken = [f"scored again: the model is that of run {who.taken_from}"] if who.taken_from else []
        about |= {"answers_of": who.whole, "said": said, "notes": [*dataset.notes, *said, *taken]}
        if dataset.reading is not None:
            rules = dataset.reading.rules
            about |= {"reading": rules.summary, "reading_notes": list(rules.notes)}
            about["notes"] += rules.notes
        about |= {"fingerprint_computed": who.is_computed, "source": who.source}
        about |= {"served": dict(who.served)} if who.served else {}
        if self.shard is not None:
            about |= {"shard": _about_shard(self.shard, dataset, who)}
        if who.taken_from:
            about |= write_changes(Changes.merge([who.changes, self._tree(store).read_changes()]))
        return about

    def _tree(self, store: Store) -> WorkTree:
        """Return the work tree; what the store holds is no change in it."""
        return replace(self.work_tree, outputs=(*self.work_tree.outputs, store.root))

    def _loop(
        self,
        model: Model,
        who: ModelIdentity,
        name: str,
        dataset: Dataset,
        cache: ProposalCache,
        measured: PropertyCache,
        batch: BatchSize,
        stages: StageTimer,
    ) -> Pipeline:
        return Pipeline(
            Predictor(model, batch, stages),
            name,
            who.whole,
            find_picker(self.pick),
            cache,
            measured,
            stages,
            self.targets,
            batch,
            threshold=self.threshold,
            hidden=dataset.tag_names,
            refresh=self.refresh,
            source=who.source,
        )

    def _work(
        self, loop: Pipeline, cache: ProposalCache, measured: PropertyCache, engine: RayEngine | None
    ) -> Pipeline | Distributed:
        """Where the loop's questions are asked."""
        return loop if engine is None else Distributed(engine, loop, cache, measured, self.pick, self.batch_size)

    def _own(self, dataset: Dataset) -> CaseTable:
        """The cases that are evaluated here. All else that is said of the data set is said of the whole."""
        return dataset.cases if self.shard is None else self.shard.select_cases(dataset.cases)

    def _evaluate(self, loop: Pipeline | Distributed, cases: CaseTable, run: Run, store: Store) -> frozenset[str]:
        """Go through the cases that the run does not have yet; return the ids of those that it has."""
        # an error may have been a moment's: a run that goes on tries it again
        done_well = frozenset(store.read_done(run.id))
        pending = cases.take(np.flatnonzero(~cases.own_ids.is_among(done_well)))
        done = len(cases) - len(pending)
        self.progress(done, len(cases))
        stop_after = None if done_well else min(_STOP_AFTER, len(pending))
        # who asks other processes reads nothing here
        here = prefetch(pending) if self.engine is None else nullcontext()
        with here, closing(loop.outcomes(pending, stop_after)) as found, store.open_append(run.id) as append:
            for outcomes in found:
                append(outcomes)
                done += len(outcomes)
                self.progress(done, len(cases))
        return done_well

    def _find_unfinished(self, store: Store, key: str) -> Run | None:
        """The unfinished run with this key, without the outcomes that it has; None for none, or for a damaged one."""
        run_id = store.find_unfinished(key)
        if run_id is None:
            return None
        try:
            done = len(store.read_done(run_id))
        except StoreError:  # damaged; what it had evaluated is among the proposals
            return None
        run, _ = read_header(store.run_folder(run_id))
        changes = Changes.merge([read_changes(run.provenance), self._tree(store).read_changes()])
        provenance = {**run.provenance, **write_changes(changes), "resumed_at": done, "command": self.command}
        return replace(run, provenance=provenance)

    def _new(self, name: str, dataset: Dataset, about: Mapping[str, Any], store: Store) -> Run:
        """A run without outcomes."""
        now = self.started or datetime.now(UTC)
        part = [] if self.shard is None else [f"{self.shard.number}of{self.shard.of}"]
        return Run(
            id=make_run_id(now, name, dataset.name, *part),
            model=name,
            dataset=dataset.name,
            expected=self._own(dataset).own_ids,
            outcomes=(),
            pick=self.pick,
            empty=self.empty,
            threshold=self.threshold,
            provenance={
                **collect_provenance(now, self.command, self._tree(store)),
                "options": dict(self.options),
                "settings": dict(self.settings),
                **about,
            },
        )

    def _key(self, name: str, fingerprint: str, dataset: Dataset) -> str:
        """Equal for two runs if and only if one can go on where the other stopped."""
        how = [self.pick, self.empty, self.threshold, self.cache, self.refresh, METRIC_VERSION, PROPERTY_VERSION]
        parts = [name, fingerprint, dataset.name, dataset.stamp(), *how]
        if self.shard is not None:
            parts.append(str(self.shard))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def evaluate(
    model: Model | Callable[[], Model],
    dataset: Dataset | str | PathLike[str],
    *,
    name: str = "",
    prompt: str = "person.",
    pick: str = "agreement",
    empty: EmptyPolicy = "one",
    threshold: float = 0.7,
    batch_size: BatchSetting = 8,
    directory: str | PathLike[str] | None = None,
    engine: EngineName | RaySettings = "local",
    spot_check: int | None = None,
) -> Run:
    """Evaluate a model over a data set without pytest, in a notebook for example.

    Args:
        model: anything with `predict(images, prompts)`, see `segqa.Model`; or a function that builds it.
        dataset: a data set, or a folder with `images/` and `masks/`.
        name: of the model in the run; by default the name of its class.
        prompt: for the cases that have none of their own.
        pick: the picker's name, see `segqa.models.pickers.PICKERS`.
        empty: what a metric is where both masks are empty: `"one"`, `"zero"` or `"nan"`.
        threshold: the IoU below which a case has failed.
        batch_size: images a `predict` call; `"auto"` for as many as are worth it on a GPU.
        directory: where to keep the run and the proposals, such as `.segqa`; without one, nothing is kept.
        engine: `"ray"` runs the model in two actors of Ray, or as its settings say; a function builds it there.
        spot_check: number of stored cases to ask for again; by default as `docs/fingerprints.md` says. Failures warn.

    Raises:
        UsageError: data set, picker or engine cannot be used. A case that fails is an outcome with status `error`.
    """
    cases = to_dataset(dataset).with_prompt(prompt)
    asked = _build_model(model)
    how = Evaluation(
        pick=pick,
        empty=empty,
        threshold=threshold,
        batch_size=batch_size,
        command="segqa.evaluate",
        progress=ProgressBar(),
        engine=None if engine == "local" else _engine(model, engine),
        built_by="" if asked is model else digest_source([model]),
        spot_check=DEFAULT_SPOT_CHECK if spot_check is None else SpotCheck.for_all_cases(spot_check),
    )
    with tempfile.TemporaryDirectory(prefix="segqa-") as nowhere:
        run = how.run(asked, to_utf8(name or type(asked).__name__), cases, Store(expand_home(directory or nowhere)))
    for text in chain(*judge_stored_answers(run, is_strict=True)):
        warnings.warn(text, stacklevel=2)
    return run


def _build_model(model: Model | Callable[[], Model]) -> Model:
    """The model, or what a function builds."""
    if not hasattr(model, "predict") and not isinstance(model, type) and callable(model):
        return model()
    return cast("Model", model)


def _engine(model: object, wanted: EngineName | RaySettings) -> RayEngine:
    """Ray with this model, or with what builds it."""
    require_ray()
    return RayEngine(wanted if isinstance(wanted, RaySettings) else RaySettings(), Pickled.from_model(model))


class ProgressBar:
    """Progress as a bar with cases a second and the time left; where it is written to is tqdm's choice, or given."""

    def __init__(self, description: str = "", **options: Any) -> None:
        self._description = description
        self._options = options
        self._bar: tqdm[Any] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Move the bar; it appears at the first call and is closed when all is done."""
        if self._bar is None:
            self._bar = tqdm(total=total, initial=done, unit=" cases", desc=self._description, **self._options)
        self._bar.update(done - self._bar.n)
        if done == total:
            self._bar.close()


class _Nobody:
    """Stands where no model is needed."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> Sequence[Proposals]:
        """Nothing is ever asked."""
        raise ModelError(
            f"no stored proposals for {format_count(len(images), 'image')}, {prompts[0]!r}: they have just been removed"
        )


def _find_missing(whole: str, cases: Collection[Case], store: Store) -> list[str]:
    """The ids of the cases without stored proposals, or with damaged ones; one that cannot be read is none of them."""
    keys: dict[bytes, str] = {}
    for case in cases:
        with suppress(CaseError):
            keys[proposals_key(whole, case.digest(), case.prompt)] = case.id
    with ProposalCache(store.shared_proposals) as cache:
        return [keys[key] for key in cache.find_missing(keys)]


def _about_shard(shard: Shard, dataset: Dataset, who: ModelIdentity) -> dict[str, Any]:
    """Which part of which whole a shard is, in JSON's types, so that others can be told from those that fit it.

    Raises:
        ModelError: nobody could tell whether its parts are of one model.
    """
    if not who.known:
        raise ModelError("a model without a fingerprint has no shards: nobody could tell whether they are all of it")
    whole = {"cases": len(dataset), "listing": dataset.listing(), "property_version": PROPERTY_VERSION}
    return {"number": shard.number, "of": shard.of, **whole}


def _notes_on(model: object, dataset: Dataset) -> list[str]:
    """How many of the cases a model has been trained on (`trained_on`), if it says so."""
    trained = frozenset(getattr(model, "trained_on", ()))
    seen = [*compress(dataset.ids, dataset.ids.is_among(trained))] if trained else []
    if not seen:
        return []
    share = f"{len(seen)} of {format_count(len(dataset), 'case')} {select_form(len(seen), 'was', 'were')}"
    return [f"{share} trained on, such as {min(seen)} (by their ids)"]
