"""The pipeline of an evaluation: prefetch, predict in batches, pick, score; failing cases become outcomes, too."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from segqa.data.case import Case, Target
from segqa.data.mask import Mask, resize_nearest
from segqa.data.reading_rules import explain_sizes
from segqa.errors import CaseError, ProposalsError
from segqa.inference.batch_size import BatchSize
from segqa.inference.case_scores import CaseScores, digest_target
from segqa.inference.predictor import Predictor, PredictRequest
from segqa.inference.prefetch import read_ahead
from segqa.inference.proposal_cache import DAMAGE, CachedAnswer, proposals_key
from segqa.inference.target_cache import PackedTargets
from segqa.inference.timing import StageTimer
from segqa.models.pickers import Picker, needs_only_scores
from segqa.models.protocol import Proposals
from segqa.runs.outcome import Outcome
from segqa.scoring.properties import CaseProperties

T = TypeVar("T")

_SLOW = 1.0
"""Where a batch takes more seconds than this, scoring it later gains nothing, and whoever waits sees it at once."""


class ProposalStore(Protocol):
    """Keeps what a model answered and what counting gave: the proposals on disk, or what takes them there."""

    def get(self, key: bytes) -> CachedAnswer | None:
        """The answer under a key; None where there is none."""
        ...

    def get_scores(self, key: bytes, target: bytes) -> CaseScores | None:
        """What counting the answer under a key gave, for what `digest_target` gives; None where nothing is kept."""
        ...

    def put(
        self,
        answers: Iterable[tuple[bytes, CachedAnswer]],
        model: str = "",
        scores: Iterable[tuple[bytes, bytes, CaseScores]] = (),
        source: str = "",
    ) -> None:
        """Keep answers of a model, and what counting some gave."""
        ...

    def touch(self, keys: Iterable[bytes]) -> None:
        """Note that answers have been used."""
        ...


class PropertyStore(Protocol):
    """Keeps what was measured on the pixels, as `ProposalStore` does what a model said of them."""

    def get(self, digests: bytes) -> CaseProperties | None:
        """What was measured on the image and target with these digests; None where nothing was."""
        ...

    def put(self, measured: Iterable[tuple[bytes, CaseProperties]]) -> None:
        """Keep what was measured."""
        ...


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What an evaluation works with.

    Attributes:
        asker: asks the model for proposals.
        name: of the model.
        fingerprint: of the model; part of the key of its proposals.
        picker: chooses one of them.
        cache: keeps the proposals.
        measured: keeps the properties.
        stages: takes the time.
        targets: keeps the targets for the next model; None where there is none.
        batch: how many images a `predict` call gets.
        threshold: below this IoU the wrong pixels of a prediction are broken down.
        hidden: the properties that a tag of their name hides.
        refresh: ask the model even where the cache has an answer.
        source: a digest of the model's source, kept with its answers.
    """

    asker: Predictor
    name: str
    fingerprint: str
    picker: Picker
    cache: ProposalStore
    measured: PropertyStore
    stages: StageTimer
    targets: PackedTargets | None
    batch: BatchSize
    threshold: float
    hidden: frozenset[str]
    refresh: bool
    source: str = ""

    def outcomes(self, cases: Sequence[Case], stop_after: int | None = None) -> Generator[list[Outcome]]:
        """The outcomes of all cases, a batch at a time; new answers are in the cache when they come.

        The model is asked in this thread. What it has answered is scored and kept by another one, while it is asked for
        the next batch already.

        Args:
            cases: the cases.
            stop_after: see `Predictor`; None for what the asker has, which is never by default.

        Raises:
            ModelError: none of the model's first answers can be used.
        """
        if stop_after is not None:
            self.asker.stop_after = stop_after
        with (
            read_ahead(cases, self._load, depth=lambda: 2 * self.batch.current) as loaded,
            ThreadPoolExecutor(1, "segqa-score") as scorer,
        ):
            begun: deque[Future[list[Outcome]]] = deque()
            for batch in _batches(loaded, self.batch):
                start = time.perf_counter()
                try:
                    asked = self._ask(batch)
                except BaseException:
                    # interrupted: what has been asked for before this batch is done all the same
                    yield from (each.result() for each in begun)
                    raise
                begun.append(scorer.submit(self._evaluate, batch, asked))
                waiting = 1 if time.perf_counter() - start < _SLOW else 0
                while len(begun) > waiting:
                    yield begun.popleft().result()
            yield from (each.result() for each in begun)

    def describe_usage(self) -> dict[str, Any]:
        """Nothing that the process which evaluates does not say itself."""
        return {}

    @property
    def notes(self) -> list[str]:
        """What is odd about how the model answers."""
        return self.asker.notes

    def _load(self, case: Case) -> _Loaded:
        """Read a case; what fails becomes its error. Runs in the thread that reads ahead."""
        loaded = _Loaded(case)
        try:
            with self.stages.measure("read"):
                self._read(loaded)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - the one place where an unreadable case becomes an outcome
            loaded.error = traceback.format_exc()
        return loaded

    def _read(self, loaded: _Loaded) -> None:
        """Read what is kept of a case, and only what is not kept from its pixels."""
        source = loaded.case.source
        digest = source.digest()
        loaded.key = proposals_key(self.fingerprint, digest, loaded.case.prompt)
        target_digest = source.target_digest()
        loaded.digests, loaded.target_key = digest + target_digest, digest_target(target_digest)
        known = self.measured.get(loaded.digests)
        if known is not None:
            loaded.measured = known
        self._recall(loaded)
        if known is not None and loaded.is_settled:
            return
        read = source.target if self.targets is None else partial(self.targets.read, source, loaded.digests)
        target = loaded.target = read()
        answer = loaded.answer = None if self.refresh else self._read_cache(lambda: self.cache.get(loaded.key))
        if answer is not None and known is not None:
            _require_same_size(target, answer.image_shape)
            return
        image = source.image()
        _require_same_size(target, image.shape[:2])
        loaded.shape = (image.shape[0], image.shape[1])
        if answer is None:
            loaded.question = self.asker.question(image, loaded.case.prompt)
        loaded.is_new = known is None
        if known is None:
            with self.stages.measure("measure"):
                loaded.measured = CaseProperties.measure(image, target.mask)

    def _recall(self, loaded: _Loaded) -> None:
        """What is kept of counting; with it the case is settled, unless its masks are needed to pick or break down."""
        case_scores = (
            None if self.refresh else self._read_cache(lambda: self.cache.get_scores(loaded.key, loaded.target_key))
        )
        loaded.case_scores = case_scores
        if case_scores is None or not needs_only_scores(self.picker):
            return
        loaded.picked = self._pick(case_scores.scores)
        loaded.is_settled = not case_scores.lacks(loaded.picked, self.threshold)

    def _read_cache(self, read: Callable[[], T | None]) -> T | None:
        """What is in the cache; a damaged entry is none, and will be written anew."""
        try:
            return read()
        except DAMAGE:
            return None

    def _ask(self, batch: Sequence[_Loaded]) -> list[_Loaded]:
        """Ask the model for those of a batch that are new; which ones these are."""
        if any(loaded.is_answered for loaded in batch):
            self.asker.stop_after = None
        asked = [loaded for loaded in batch if loaded.question is not None and not loaded.error]
        self.asker.ask([loaded.question for loaded in asked if loaded.question is not None])
        for loaded in asked:
            loaded.take_answer()
        return asked

    def _evaluate(self, batch: Sequence[_Loaded], asked: Sequence[_Loaded]) -> list[Outcome]:
        """The outcomes of a batch for some of which the model has been asked; new answers are in the cache then."""
        outcomes = [self._outcome(loaded, cached=loaded not in asked) for loaded in batch]
        answers = ((loaded.key, loaded.answer) for loaded in asked if loaded.answer is not None)
        scores = (
            (each.key, each.target_key, each.case_scores) for each in batch if each.is_counted and each.case_scores
        )
        self.cache.put(answers, self.name, scores, self.source)
        self.cache.touch(loaded.key for loaded in batch if loaded not in asked and loaded.is_answered)
        self.measured.put((loaded.digests, loaded.measured) for loaded in batch if loaded.is_new)
        return outcomes

    def _outcome(self, loaded: _Loaded, *, cached: bool) -> Outcome:
        """Pick and count; what goes wrong here (a picker, a mask of no size) is the case's error, too."""
        if not loaded.error:
            try:
                return self._score(loaded, cached=cached)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - as where it is read
                loaded.error = traceback.format_exc()
        case = loaded.case
        return Outcome(
            case_id=case.id,
            prompt=case.prompt,
            tags=dict(case.tags),
            properties=self._select_properties(loaded),
            digest=loaded.digests.hex(),
            pixels=loaded.measured.pixels,
            error=loaded.error,
        )

    def _score(self, loaded: _Loaded, *, cached: bool) -> Outcome:
        """The outcome of a case whose proposals are there."""
        if not loaded.is_settled:
            self._settle(loaded)
        case, case_scores = loaded.case, loaded.known_scores
        return Outcome(
            case_id=case.id,
            prompt=case.prompt,
            tags=dict(case.tags),
            properties=self._select_properties(loaded, proposals=float(len(case_scores.proposal_scores))),
            digest=loaded.digests.hex(),
            pixels=loaded.measured.pixels,
            proposals_key=loaded.key.hex(),
            proposal_scores=case_scores.select_scores(loaded.picked, self.threshold),
            picked=loaded.picked,
            empty_prediction=case_scores.empty_prediction,
            seconds=case_scores.seconds,
            cached=cached,
            note=case_scores.note,
        )

    def _settle(self, loaded: _Loaded) -> None:
        """Pick and count, by the pixels."""
        answer, target = loaded.known_answer, loaded.known_target
        picked = loaded.picked = self._pick(answer.proposals)
        with self.stages.measure("score"):
            if loaded.case_scores is None or loaded.case_scores.seconds != answer.seconds:
                loaded.case_scores, loaded.is_counted = (
                    CaseScores.from_proposals(answer.proposals, target, answer.seconds),
                    True,
                )
            if picked is not None and loaded.case_scores.lacks(picked, self.threshold):
                mask = answer.proposals.masks[picked]
                loaded.case_scores, loaded.is_counted = loaded.case_scores.break_down(picked, mask, target.mask), True

    def _pick(self, proposals: Proposals) -> int | None:
        with self.stages.measure("pick"):
            return _check_pick(self.picker(proposals), len(proposals))

    def _select_properties(self, loaded: _Loaded, **more: float) -> dict[str, float]:
        """The properties that no tag hides."""
        known = {**loaded.measured.properties, **more}
        return {name: value for name, value in known.items() if name not in self.hidden}


@dataclass(slots=True, eq=False)
class _Loaded:
    """A case on its way through the loop: read, then answered, or failed."""

    case: Case
    shape: tuple[int, int] = (0, 0)
    question: PredictRequest | None = None
    target: Target | None = None
    key: bytes = b""
    digests: bytes = b""
    target_key: bytes = b""
    answer: CachedAnswer | None = None
    case_scores: CaseScores | None = None
    picked: int | None = None
    measured: CaseProperties = field(default_factory=CaseProperties)
    is_new: bool = False
    is_counted: bool = False
    is_settled: bool = False
    error: str = ""

    def take_answer(self) -> None:
        """Keep what the model answered, or why it did not; let the image go."""
        question, self.question = self.question, None
        if question is None or question.proposals is None:
            self.error = question.error if question else self.error
            return
        self.answer = CachedAnswer(question.proposals, question.seconds, self.shape)

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer, here or, where nobody needs to look at it, in the cache."""
        return self.answer is not None or self.is_settled

    @property
    def known_target(self) -> Target:
        assert self.target is not None  # noqa: S101 - as above
        return self.target

    @property
    def known_answer(self) -> CachedAnswer:
        assert self.answer is not None  # noqa: S101 - as above
        return self.answer

    @property
    def known_scores(self) -> CaseScores:
        assert self.case_scores is not None  # noqa: S101 - as above
        return self.case_scores


def get_prediction(proposals: Proposals, picked: int | None, shape: tuple[int, int]) -> Mask:
    """The picked mask at the target's size; all background where nothing was picked."""
    if picked is None:
        return np.zeros(shape, dtype=np.bool_)
    return resize_nearest(proposals.masks[picked], shape)


def _batches(loaded: Iterable[_Loaded], size: BatchSize) -> Iterator[list[_Loaded]]:
    """Batches with `size.current` cases that the model has to be asked for, or fewer at the end; others ride along."""
    batch: list[_Loaded] = []
    to_ask = 0
    for one in loaded:
        batch.append(one)
        to_ask += one.question is not None and not one.error
        # a run served from the cache would otherwise be one batch, held in memory and lost by a kill
        if to_ask >= size.current or len(batch) >= 8 * size.current:
            yield batch
            batch, to_ask = [], 0
    if batch:
        yield batch


def _require_same_size(target: Target, image_shape: tuple[int, ...]) -> None:
    if image_shape != target.mask.shape:
        image, mask = ((width, height) for height, width in (image_shape, target.mask.shape))
        raise CaseError(
            f"image is {image[0]} × {image[1]} pixels and its mask {mask[0]} × {mask[1]}; they must have one size"
            f"{explain_sizes(image, mask)}"
        )


def _check_pick(picked: int | None, available: int) -> int | None:
    """The picker's answer, refused where it is no index; a numpy integer becomes an int."""
    if picked is None:
        return None
    if not 0 <= picked < available:
        raise ProposalsError(f"the picker answered {picked}, expected an index below {available} or None")
    return int(picked)
