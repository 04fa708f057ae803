"""Spot-check cached proposals: were they made by other source code, and does the model still give them?

A hand-written fingerprint promises that a model's answers have not changed. A spot check asks the model anew for a few
cases whose answers were stored, and compares the two predictions.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segqa.errors import SettingsError
from segqa.inference.model_identity import ModelIdentity
from segqa.inference.pipeline import get_prediction
from segqa.inference.proposal_cache import DAMAGE, CachedAnswer, ProposalCache
from segqa.runs.failure_kinds import find_kind
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from segqa.scoring.metrics import count, resolve_empty
from segqa.support.plurals import format_count, select_form

ReadAnswer = Callable[[bytes], CachedAnswer | None]
"""Reads an answer by its key; None where there is none."""

Ask = Callable[[Sequence[str], ProposalCache], list[Outcome]]
"""Asks the model for the cases of some ids, and keeps its answers where it is told to."""

STORED_ANSWERS = "stored_answers"
"""Where the provenance of a run keeps what `StoredAnswers.as_json` gives."""

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotCheck:
    """How many stored cases the model is asked for anew, and what has to come back.

    Attributes:
        handwritten: cases of a model whose fingerprint is written by hand.
        computed: cases of a model whose fingerprint `segqa.fingerprint_of` has computed.
        changed: cases of either, where the source has changed since some of its answers were stored.
        iou: stored and new prediction agree if their IoU is at least this; processors and GPUs differ by pixels.
    """

    handwritten: int = 0
    changed: int = 1
    computed: int = 0
    iou: float = 0.98

    def __post_init__(self) -> None:
        if not 0 < self.iou <= 1:
            raise SettingsError(f"spot_check_iou must be above 0 and at most 1, got {self.iou}")

    @classmethod
    def for_all_cases(cls, cases: int, iou: float = 0.98) -> SpotCheck:
        """Return a spot check of so many cases, whatever the fingerprint is."""
        return cls(handwritten=cases, changed=cases, computed=cases, iou=iou)

    def cases(self, *, is_computed: bool, is_changed: bool) -> int:
        """Return how many cases to ask for."""
        usual = self.computed if is_computed else self.handwritten
        return max(usual, self.changed) if is_changed else usual


DEFAULT_SPOT_CHECK = SpotCheck()
NO_SPOT_CHECK = SpotCheck.for_all_cases(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswers:
    """What is known of the answers of a run that came from the store.

    Attributes:
        stored: cases that the model was not asked for in this evaluation.
        stale: those of them whose answers were stored from other source than today's.
        unconfirmed: the stale ones, where the spot check has asked for none of them.
        asked: cases that the spot check has asked for.
        lowest_iou: of stored and new prediction, over the cases that have both; None where none has.
        differences: what is not the same, a line each.
    """

    stored: int = 0
    stale: int = 0
    unconfirmed: int = 0
    asked: int = 0
    lowest_iou: float | None = None
    differences: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return it in JSON's types, for a run's provenance."""
        return {**asdict(self), "differences": list(self.differences)}

    @classmethod
    def merge(cls, parts: Sequence[StoredAnswers]) -> StoredAnswers:
        """Return what is known of a whole from what is known of its parts."""
        ious = [part.lowest_iou for part in parts if part.lowest_iou is not None]
        return cls(
            stored=sum(part.stored for part in parts),
            stale=sum(part.stale for part in parts),
            unconfirmed=sum(part.unconfirmed for part in parts),
            asked=sum(part.asked for part in parts),
            lowest_iou=min(ious, default=None),
            differences=tuple(text for part in parts for text in part.differences),
        )

    @classmethod
    def from_provenance(cls, provenance: Mapping[str, Any]) -> StoredAnswers:
        """Return what the provenance of a run says; nothing stored where it says nothing."""
        known = provenance.get(STORED_ANSWERS, {})
        return cls(**{**known, "differences": tuple(known.get("differences", ()))})


def check_stored(
    how: SpotCheck, who: ModelIdentity, run: Run, done_before: Collection[str], cache: ProposalCache, ask: Ask
) -> StoredAnswers:
    """Check the answers of a run that came from the store.

    Args:
        how: to check them.
        who: the model is.
        run: with all outcomes; its provenance says with which source it was begun.
        done_before: ids of the cases that it had when this evaluation began.
        cache: has its answers.
        ask: asks the model.
    """
    if not who.known:
        return StoredAnswers()
    columns = run.columns
    served = columns.take((columns.cached | columns.ids.is_among(done_before)) & ~columns.failed)
    keys = {case_id: bytes.fromhex(key) for case_id, key in zip(served.ids, served.keys, strict=True)}
    sources = cache.sources(keys.values())
    begun_with = run.provenance.get("source", "")
    stale = [each for each, key in keys.items() if who.is_of_other_source(sources.get(key, begun_with))]
    wanted = how.cases(is_computed=who.is_computed, is_changed=bool(stale))
    chosen = choose_cases(run.id, keys, stale, wanted)
    if not chosen:
        return StoredAnswers(stored=len(keys), stale=len(stale), unconfirmed=len(stale))
    with tempfile.TemporaryDirectory(prefix="segqa-") as folder, ProposalCache(Path(folder) / "anew.sqlite") as kept:
        lowest, differences = compare_answers(run, ask(chosen, kept), cache.get, kept.get, how.iou)
    return StoredAnswers(
        stored=len(keys), stale=len(stale), asked=len(chosen), lowest_iou=lowest, differences=tuple(differences)
    )


def judge_stored_answers(run: Run, *, is_strict: bool) -> tuple[list[str], list[str]]:
    """Return what is wrong with the stored answers of a run, and what weakens it, a line each.

    Args:
        run: its provenance says what was found.
        is_strict: whether answers of other source are wrong where no spot check has confirmed them; else a weakness.
    """
    known = StoredAnswers.from_provenance(run.provenance)
    to_do = _TO_DO_COMPUTED if run.provenance.get("fingerprint_computed") else _TO_DO
    findings, notes = list[str](), list[str]()
    if known.differences:
        more = len(known.differences) - _SHOWN
        shown = "; ".join(known.differences[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        findings.append(
            f"{run.model} no longer gives its stored answers, though its fingerprint is the same ({shown}). {to_do}; "
            "a model that answers differently each time needs fixed seeds, or a lower spot_check_iou"
        )
    if known.stale:
        what = (
            f"{known.stale} of {format_count(known.stored, 'stored answer')} of {run.model} "
            f"{select_form(known.stale, 'is', 'are')} from other source or options than now"
        )
        if known.unconfirmed:
            (findings if is_strict else notes).append(f"{what}, and its fingerprint is the same. {to_do}")
        elif not known.differences:
            lowest = "" if known.lowest_iou is None else f", lowest IoU {known.lowest_iou:.4f}"
            notes.append(
                f"{what}; {known.asked} asked anew {select_form(known.asked, 'agrees', 'agree')}{lowest}. {to_do}"
            )
    return findings, notes


_TO_DO = "Compute the fingerprint by segqa.fingerprint_of, or ask for all cases anew by --segqa-refresh-cache"
_TO_DO_COMPUTED = (
    "Give segqa.fingerprint_of what it does not count (the model itself, files, options), or ask for all cases anew by "
    "--segqa-refresh-cache"
)


def describe_stored(run: Run) -> list[str]:
    """Say how many cases were answered from stored proposals, and that none was asked anew where that is so."""
    cached = int(run.columns.cached.sum())
    lines = [f"{cached} of {len(run.outcomes)} answered from stored proposals"]
    known = run.provenance.get(STORED_ANSWERS)
    if cached and known is not None and not known.get("asked"):
        lines.append("none of them was asked anew: what the fingerprint does not count may have changed")
    return lines


def describe_spot_check(run: Run) -> list[str]:
    """Return the line on the spot check of a run; none where there was no check."""
    known = StoredAnswers.from_provenance(run.provenance)
    if not known.asked:
        return []
    lowest = "no two predictions to compare" if known.lowest_iou is None else f"lowest IoU {known.lowest_iou:.4f}"
    wrong = f", {format_count(len(known.differences), 'differs', 'differ')}" if known.differences else ""
    return [f"spot check: {known.asked} of {format_count(known.stored, 'stored case')} asked anew, {lowest}{wrong}"]


def choose_cases(run_id: str, stored: Iterable[str], stale: Iterable[str], count: int) -> list[str]:
    """Choose the cases that the model is asked for, those with stale answers first.

    Args:
        run_id: decides the choice, so that it differs from run to run and can be repeated.
        stored: ids of all cases with a stored answer.
        stale: those of them whose answers are of other source.
        count: how many, at most.
    """
    chance = random.Random(run_id)  # noqa: S311 - no secret
    first = sorted(stale)
    rest = sorted(set(stored) - set(first))
    chosen = chance.sample(first, min(count, len(first)))
    return chosen + chance.sample(rest, min(count - len(chosen), len(rest)))


def compare_answers(
    run: Run, new: Sequence[Outcome], stored_answer: ReadAnswer, new_answer: ReadAnswer, least: float
) -> tuple[float | None, list[str]]:
    """Compare the outcomes of a run with those of the same cases made anew.

    Args:
        run: has the stored outcomes.
        new: outcomes made anew, with the run's picker and threshold.
        stored_answer: reads the answers of the run.
        new_answer: reads the new ones.
        least: the IoU that the two predictions of a case must have.

    Returns:
        The lowest IoU of two predictions (None where there are no two), and a line for each difference.
    """
    found = run.columns.take(run.columns.ids.is_among([each.case_id for each in new]))
    before = {each.case_id: each for each in found}
    ious, differences = list[float](), list[str]()
    for after in new:
        old = before[after.case_id]
        states = [_state(each, run.threshold) for each in (old, after)]
        iou = _agreement(old, after, stored_answer, new_answer)
        ious += [] if iou is None else [iou]
        if states[0] != states[1]:
            differences.append(f"{after.case_id}: stored {states[0]}, now {states[1]}")
        elif iou is not None and iou < least:
            differences.append(f"{after.case_id}: IoU of stored and new prediction {iou:.4f}, below {least:g}")
    return min(ious, default=None), differences


def _state(outcome: Outcome, threshold: float) -> str:
    """Return the status and the kind of failure of an outcome, in words."""
    if outcome.error:
        return f"an error ({outcome.error.strip().splitlines()[-1]})"
    return find_kind(outcome, threshold) or "no failure"


def _agreement(old: Outcome, new: Outcome, stored_answer: ReadAnswer, new_answer: ReadAnswer) -> float | None:
    """Return the IoU of two predictions, at the size of the image; two empty ones agree."""
    answers = [
        _read(stored_answer, old.proposals_key),
        _read(new_answer, new.proposals_key),
    ]
    if answers[0] is None or answers[1] is None:
        return None
    masks = [
        get_prediction(answer.proposals, outcome.picked, answer.image_shape)
        for answer, outcome in zip(answers, (old, new), strict=True)
        if answer is not None
    ]
    if masks[0].shape != masks[1].shape:
        return 0.0
    return float(resolve_empty(count(np.asarray(masks[0]), np.asarray(masks[1])).iou, "one"))


def _read(read: ReadAnswer, key: str) -> CachedAnswer | None:
    """Return an answer; None where there is none or it is damaged."""
    try:
        return read(bytes.fromhex(key)) if key else None
    except DAMAGE:
        return None
