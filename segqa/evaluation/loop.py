"""The loop: read ahead, ask in batches, pick, count. A case that fails becomes an outcome that says why."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from segqa.breakdown import break_down
from segqa.case import Case, Target
from segqa.errors import CaseError, MaskError, ProposalsError
from segqa.evaluation.asking import Asker, Question
from segqa.evaluation.batches import BatchSize
from segqa.evaluation.cache import Answer, proposals_key
from segqa.evaluation.read_ahead import read_ahead
from segqa.evaluation.stages import Stages
from segqa.evaluation.targets import PackedTargets
from segqa.mask import Mask, resize_nearest
from segqa.metrics import TargetCounter, count
from segqa.outcome import Offer, Outcome
from segqa.picking import Picker
from segqa.properties import measure
from segqa.proposals import Proposals


class Answers(Protocol):
    """Keeps what a model answered: the proposals on disk, or what takes them there."""

    def get(self, key: bytes) -> Answer | None:
        """The answer under a key; None where there is none."""
        ...

    def put(self, answers: Iterable[tuple[bytes, Answer]], model: str = "") -> None:
        """Keep answers of a model."""
        ...

    def touch(self, keys: Iterable[bytes]) -> None:
        """Note that answers have been used."""
        ...


class Measured(Protocol):
    """Keeps what was measured on the pixels, as `Answers` does what a model said of them."""

    def get(self, digests: bytes) -> dict[str, float] | None:
        """What was measured on the image and target with these digests; None where nothing was."""
        ...

    def put(self, measured: Iterable[tuple[bytes, Mapping[str, float]]]) -> None:
        """Keep what was measured."""
        ...


@dataclass(frozen=True, slots=True)
class Loop:
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
    """

    asker: Asker
    name: str
    fingerprint: str
    picker: Picker
    cache: Answers
    measured: Measured
    stages: Stages
    targets: PackedTargets | None
    batch: BatchSize
    threshold: float
    hidden: frozenset[str]
    refresh: bool

    def outcomes(self, cases: Sequence[Case]) -> Generator[list[Outcome]]:
        """The outcomes of all cases, a batch at a time, each batch as soon as it is known."""
        with read_ahead(cases, self._load, depth=lambda: 2 * self.batch.current) as loaded:
            for batch in _batches(loaded, self.batch):
                yield self._evaluate(batch)

    def spent(self) -> dict[str, Any]:
        """Nothing that the process which evaluates does not say itself."""
        return {}

    def _load(self, case: Case) -> _Loaded:
        """Read a case; what fails becomes its error. Runs in the thread that reads ahead."""
        loaded = _Loaded(case)
        try:
            with self.stages.timed("read"):
                self._read(loaded)
        except Exception:  # noqa: BLE001 - the one place where an unreadable case becomes an outcome
            loaded.error = traceback.format_exc()
        return loaded

    def _read(self, loaded: _Loaded) -> None:
        """Read target and image, the latter only if the model has to see it or it has not been measured yet."""
        source = loaded.case.source
        digest = source.digest()
        loaded.key = proposals_key(self.fingerprint, digest, loaded.case.prompt)
        answer = loaded.answer = None if self.refresh else self._kept(loaded.key)
        target_digest = source.target_digest()
        loaded.digests = digest + target_digest
        read = source.target if self.targets is None else partial(self.targets.read, source, target_digest)
        target = loaded.target = read()
        known = self.measured.get(loaded.digests)
        if answer is not None and known is not None:
            _require_same_size(target, answer.image_shape)
            loaded.properties = known
            return
        image = source.image()
        _require_same_size(target, image.shape[:2])
        loaded.shape = (image.shape[0], image.shape[1])
        if answer is None:
            loaded.question = self.asker.question(image, loaded.case.prompt)
        loaded.is_new = known is None
        if known is not None:
            loaded.properties = known
            return
        with self.stages.timed("measure"):
            loaded.properties = measure(image, target.mask)

    def _kept(self, key: bytes) -> Answer | None:
        """The answer in the cache; a damaged entry is none, and will be written anew."""
        try:
            return self.cache.get(key)
        except (MaskError, ProposalsError, ValueError):
            return None

    def _evaluate(self, batch: Sequence[_Loaded]) -> list[Outcome]:
        """The outcomes of a batch; new answers are in the cache when they are returned."""
        asked = [loaded for loaded in batch if loaded.question is not None and not loaded.error]
        self.asker.ask([loaded.question for loaded in asked if loaded.question is not None])
        for loaded in asked:
            loaded.take_answer()
        outcomes = [self._outcome(loaded, cached=loaded not in asked) for loaded in batch]
        self.cache.put(((loaded.key, loaded.answer) for loaded in asked if loaded.answer is not None), self.name)
        self.cache.touch(loaded.key for loaded in batch if loaded not in asked and loaded.answer is not None)
        self.measured.put((loaded.digests, loaded.properties) for loaded in batch if loaded.is_new)
        return outcomes

    def _outcome(self, loaded: _Loaded, *, cached: bool) -> Outcome:
        """Pick and count; what goes wrong here (a picker, a mask of no size) is the case's error, too."""
        if not loaded.error:
            try:
                return self._score(loaded, cached=cached)
            except Exception:  # noqa: BLE001 - as where it is read
                loaded.error = traceback.format_exc()
        case = loaded.case
        return Outcome(
            case_id=case.id,
            prompt=case.prompt,
            tags=dict(case.tags),
            properties=self._shown(loaded),
            digest=loaded.digests.hex(),
            error=loaded.error,
        )

    def _score(self, loaded: _Loaded, *, cached: bool) -> Outcome:
        """The outcome of a case whose proposals are there."""
        case, answer, target = loaded.case, loaded.known_answer, loaded.known_target
        with self.stages.timed("pick"):
            picked = _checked(self.picker(answer.proposals), len(answer.proposals))
        with self.stages.timed("score"):
            offers = tuple(_offers(answer.proposals, target.mask, picked, self.threshold))
        return Outcome(
            case_id=case.id,
            prompt=case.prompt,
            tags=dict(case.tags),
            properties=self._shown(loaded, proposals=float(len(answer.proposals))),
            digest=loaded.digests.hex(),
            proposals_key=loaded.key.hex(),
            offers=offers,
            picked=picked,
            nothing=count(np.zeros_like(target.mask), target.mask),
            seconds=answer.seconds,
            cached=cached,
            note=target.note,
        )

    def _shown(self, loaded: _Loaded, **more: float) -> dict[str, float]:
        """The properties that no tag hides."""
        return {name: value for name, value in {**loaded.properties, **more}.items() if name not in self.hidden}


@dataclass(slots=True, eq=False)
class _Loaded:
    """A case on its way through the loop: read, then answered, or failed."""

    case: Case
    shape: tuple[int, int] = (0, 0)
    question: Question | None = None
    target: Target | None = None
    key: bytes = b""
    digests: bytes = b""
    answer: Answer | None = None
    properties: Mapping[str, float] = field(default_factory=dict)
    is_new: bool = False
    error: str = ""

    def take_answer(self) -> None:
        """Keep what the model answered, or why it did not; let the image go."""
        question, self.question = self.question, None
        if question is None or question.proposals is None:
            self.error = question.error if question else self.error
            return
        self.answer = Answer(question.proposals, question.seconds, self.shape)

    @property
    def known_target(self) -> Target:
        assert self.target is not None  # noqa: S101 - as above
        return self.target

    @property
    def known_answer(self) -> Answer:
        assert self.answer is not None  # noqa: S101 - as above
        return self.answer


def prediction_of(proposals: Proposals, picked: int | None, shape: tuple[int, int]) -> Mask:
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
        sizes = [f"{width} × {height}" for height, width in (image_shape, target.mask.shape)]
        raise CaseError(f"image is {sizes[0]} pixels and its mask {sizes[1]}; they must have one size")


def _offers(proposals: Proposals, target: Mask, picked: int | None, threshold: float) -> Iterator[Offer]:
    """Each proposal counted against the target, at the target's size; the picked one broken down if it is below."""
    counter = TargetCounter.of(target)
    scored = zip(proposals.masks, proposals.mask_scores, proposals.box_scores, strict=True)
    for index, (mask, *scores) in enumerate(scored):
        fitted = _fitted(mask, target)
        counts, inside = counter.count(fitted)
        # many times as slow as counting: for the others nobody asks
        wrong = break_down(fitted, target) if index == picked and counts.iou < threshold else None
        mask_score, box_score = map(_number, scores)
        yield Offer(counts, inside, mask_score, box_score, wrong)


def _fitted(mask: Mask, target: Mask) -> Mask:
    """The mask at the target's size. What looks like a slip, and not like another resolution, is refused."""
    (height, width), wanted = mask.shape, target.shape
    one_side = (height == wanted[0]) != (width == wanted[1])
    # square ones are left alone: so many networks answer whatever the image's shape
    if height != width and (one_side or mask.shape == wanted[::-1]):
        slip = "one side is cut" if one_side else "height and width are exchanged"
        raise ProposalsError(f"masks must have the image's size {wanted}, or be it scaled; got {mask.shape}: {slip}")
    return resize_nearest(mask, (wanted[0], wanted[1]))


def _checked(picked: int | None, available: int) -> int | None:
    """The picker's answer, refused where it is no index; a numpy integer becomes an int."""
    if picked is None:
        return None
    if not 0 <= picked < available:
        raise ProposalsError(f"the picker answered {picked}, expected an index below {available} or None")
    return int(picked)


def _number(score: float) -> float | None:
    """A score as a plain float; None where it is NaN."""
    return None if np.isnan(score) else float(score)
