"""The columns are what the review page's script knows of a run: one list a number, in the order of the cases."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from segqa.conditions import Predicate
from segqa.failures import KINDS
from segqa.outcome import Outcome
from segqa.report.address import case_key
from segqa.report.selection import newly_failing, newly_passing
from segqa.report.verdict import Judged
from segqa.run import Run
from segqa.slices import attributes_of, slice_of

KIND_NAMES = ("", *KINDS)
"""Kinds of failure by their number in the columns; 0 is a case that passed."""

_PLACEHOLDER = "SEGQA-CASE-ID"
_FILE = re.compile(r'File "[^"\n]*[/\\]([^"/\\\n]+)"')
_PATH = re.compile(r"(?<![\w./:\\])(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\":<>|]+)+[/\\]([^\s/\\'\":<>|]+)")


def columns(judged: Judged) -> dict[str, Any]:
    """The columns of a run, with what the gate says of it, in JSON's types."""
    run, outcomes = judged.run, judged.run.outcomes
    places = {outcome.case_id: place for place, outcome in enumerate(outcomes)}
    counts = [outcome.counts for outcome in outcomes]
    return {
        "run": run.id,
        "model": run.model,
        "dataset": run.dataset,
        "title": run.title,
        "id": [outcome.case_id for outcome in outcomes],
        "key": [case_key(outcome.case_id) for outcome in outcomes],
        "kind": [KIND_NAMES.index(run.kind(outcome) or "") for outcome in outcomes],
        "recoverable": [int(run.recoverable(outcome)) for outcome in outcomes],
        "iou": [_exactly(run.iou(outcome)) for outcome in outcomes],
        "oracle": [_exactly(outcome.oracle.iou if outcome.oracle else math.nan) for outcome in outcomes],
        "tp": [count.tp if count else 0 for count in counts],
        "fp": [count.fp if count else 0 for count in counts],
        "fn": [count.fn if count else 0 for count in counts],
        "picked": [outcome.picked for outcome in outcomes],
        "best": [outcome.best for outcome in outcomes],
        "offers": [_offers(outcome) for outcome in outcomes],
        "prompts": _named([outcome.prompt for outcome in outcomes]),
        "attributes": {
            name: _attribute(name, [slice_of(outcome, name, run.edges) for outcome in outcomes])
            for name in attributes_of(outcomes)
        },
        "clusters": [
            {
                "condition": cluster.condition,
                "kind": cluster.kind,
                "cases": [places[outcome.case_id] for outcome in cluster.failing],
            }
            for cluster in judged.clusters
        ],
        "notes": {places[outcome.case_id]: outcome.note for outcome in outcomes if outcome.note},
        "errors": _named([shortened(outcome.error) or None for outcome in outcomes]),
        "whole": not run.narrowed_by and not run.missing,
        "wrong": {
            places[outcome.case_id]: [round(share, 3) for share in outcome.breakdown.shares.values()]
            for outcome in outcomes
            if outcome.breakdown
        },
        "command": _commands(run),
        **_compared(judged, places),
    }


def _compared(judged: Judged, places: Mapping[str, int]) -> dict[str, list[float | int | None]]:
    """IoU in the baseline, and whether a case fails newly (1, errors too) or passes newly (2)."""
    before: list[float | int | None] = [None] * len(places)
    change: list[float | int | None] = [0] * len(places)
    if judged.verdict is not None:
        comparison = judged.verdict.comparison
        for pair in comparison.pairs:
            before[places[pair.case_id]] = _exactly(pair.iou_before)
        for code, pairs in ((1, newly_failing(comparison)), (2, newly_passing(comparison))):
            for pair in pairs:
                change[places[pair.case_id]] = code
        new_errors = set(comparison.new_errors)
        for outcome in comparison.baseline.outcomes:
            if outcome.case_id in new_errors:
                before[places[outcome.case_id]] = _exactly(comparison.baseline.iou(outcome))
                change[places[outcome.case_id]] = 1
    return {"before": before, "change": change}


def _offers(outcome: Outcome) -> list[list[float | None]]:
    """Mask score, box score and IoU of each proposal."""
    return [
        [
            _rounded(math.nan if offer.mask_score is None else offer.mask_score),
            _rounded(math.nan if offer.box_score is None else offer.box_score),
            _rounded(offer.counts.iou),
        ]
        for offer in outcome.offers
    ]


def _named(values: Sequence[str | None]) -> dict[str, Any]:
    """A column of names: the different ones, and for each case which of them it has; -1 for none."""
    names = sorted({value for value in values if value is not None})
    numbers = {name: number for number, name in enumerate(names)}
    return {"values": names, "of": [-1 if value is None else numbers[value] for value in values]}


def _attribute(name: str, values: Sequence[str | None]) -> dict[str, Any]:
    """A column of an attribute, with its slices as they are written in a condition."""
    named = _named(values)
    return {**named, "slices": [str(Predicate(name, "=", value)) for value in named["values"]]}


def shortened(error: str) -> str:
    """A traceback with files by their names alone: where they lie is nobody's business who reads the page."""
    return _PATH.sub(r"\1", _FILE.sub(r'File "\1"', error))


def _commands(run: Run) -> dict[str, Any]:
    """What evaluates one case again: the text around a simple id, and the whole for others."""
    before, _, after = run.command_for(_PLACEHOLDER).partition(_PLACEHOLDER)
    conditions = [str(Predicate("id", "=", outcome.case_id)) for outcome in run.outcomes]
    odd = {
        place: outcome.case_id
        for place, (outcome, condition) in enumerate(zip(run.outcomes, conditions, strict=True))
        if condition != f"id={outcome.case_id}" or shlex.quote(condition) != condition
    }
    return {
        "before": before,
        "after": after,
        "special": {place: run.command_for(case_id) for place, case_id in odd.items()},
        "conditions": {place: conditions[place] for place in odd},
    }


def _rounded(value: float) -> float | None:
    """A score with as many digits as are shown, and some; None for what is no number."""
    return round(value, 6) if math.isfinite(value) else None


def _exactly(value: float) -> float | None:
    """An IoU with so many digits that it lies on the same side of every bound; None for NaN."""
    return None if math.isnan(value) else round(value, 9)
