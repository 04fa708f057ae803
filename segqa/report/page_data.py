"""Data of the review page: columns of the listed cases, the case listing, and links into the page."""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from segqa.analysis.failure_clusters.clusters import Cluster
from segqa.data.string_columns import CategoricalColumn
from segqa.report.case_selection import newly_failing, newly_passing, select
from segqa.report.exports import JudgedRun
from segqa.runs.failure_kinds import KINDS, find_recoverable
from segqa.runs.outcome import find_exception_line
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import Predicate
from segqa.runs.run import Run
from segqa.runs.slices import assign_slices, list_attributes
from segqa.scoring.metrics import compute_metric

KIND_NAMES = ("", *KINDS)
"""Kinds of failure by their number in the columns; 0 is a case that passed."""

_PLACEHOLDER = "SEGQA-CASE-ID"
_FILE = re.compile(r'File "[^"\n]*[/\\]([^"/\\\n]+)"')
_PATH = re.compile(r"(?<![\w./:\\])(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\":<>|]+)+[/\\]([^\s/\\'\":<>|]+)")


def columns(listing: CaseListing) -> Iterator[tuple[str, Any]]:
    """Yield the columns of the listed cases by name, with the gate's findings, as JSON types or iterators of these.

    Columns are yielded one by one, since a single column of a large run can be as large as the page.
    """
    judged, run, outcomes = listing.judged, listing.listed, listing.listed.columns
    ids = list(outcomes.ids)
    places = {case_id: place for place, case_id in enumerate(ids)}
    yield "run", run.id
    yield "model", run.model
    yield "dataset", run.dataset
    yield "title", run.title
    yield "id", ids
    yield "key", map(case_key, ids)
    yield "kind", (run.kind_codes + 1).tolist()
    yield "recoverable", find_recoverable(outcomes, run.threshold).astype(int).tolist()
    yield "iou", map(_exactly, run.all_ious.tolist())
    yield "oracle", map(_exactly, compute_metric(outcomes.oracle, "iou").tolist())
    yield from zip(("tp", "fp", "fn"), outcomes.counts[:, :3].T.tolist(), strict=True)
    yield "picked", _or_none(outcomes.picked)
    yield "best", _or_none(outcomes.best)
    yield "offers", map(_offers, outcomes.offer_scores())
    yield "prompts", _encode_names(outcomes.prompts)
    yield (
        "attributes",
        {name: _attribute(name, assign_slices(outcomes, name, run.edges)) for name in list_attributes(outcomes)},
    )
    yield "clusters", [_cluster(cluster, outcomes) for cluster in judged.clusters]
    yield "notes", {places[case_id]: note for case_id, note in outcomes.notes}
    errors = _encode_names(_errors(outcomes))
    yield "errors", {**errors, "reasons": [find_exception_line(error) for error in errors["values"]]}
    yield "cases", len(judged.run.outcomes)
    yield "whole", not run.narrowed_by and not judged.run.missing
    yield "wrong", {place: [round(share, 3) for share in each.shares.values()] for place, each in outcomes.breakdowns()}
    yield "command", _commands(run)
    yield from _list_changes(judged, outcomes, places).items()


def _cluster(cluster: Cluster, listed: Outcomes) -> dict[str, Any]:
    places = cluster.failing.find_places_in(listed)
    return {"condition": cluster.condition, "kind": cluster.kind, "cases": places[places >= 0].tolist()}


def _or_none(choices: NDArray[Any]) -> Iterator[int | None]:
    """Yield the picked proposal of each case, with None in place of -1."""
    return (None if choice < 0 else choice for choice in choices.tolist())


def _list_changes(
    judged: JudgedRun, listed: Outcomes, places: Mapping[str, int]
) -> dict[str, list[float | int | None]]:
    """Return the baseline IoUs, and a code for newly failing (1, errors included) or newly passing cases (2)."""
    before: list[float | int | None] = [None] * len(places)
    change: list[float | int | None] = [0] * len(places)
    if judged.verdict is not None:
        comparison = judged.verdict.comparison
        paired = comparison.pairs.after.find_places_in(listed)
        for place, iou in zip(
            paired[paired >= 0].tolist(), comparison.pairs.ious[paired >= 0, 0].tolist(), strict=True
        ):
            before[place] = _exactly(iou)
        for code, pairs in ((1, newly_failing(comparison)), (2, newly_passing(comparison))):
            moved = pairs.after.find_places_in(listed)
            for place in moved[moved >= 0].tolist():
                change[place] = code
        baseline = comparison.baseline
        errors = {case_id for case_id in comparison.new_errors if case_id in places}
        for outcome in baseline.columns.take(baseline.columns.ids.is_among(errors)):
            before[places[outcome.case_id]] = _exactly(baseline.iou(outcome))
            change[places[outcome.case_id]] = 1
    return {"before": before, "change": change}


def _offers(offers: Sequence[Sequence[float]]) -> list[list[float | None]]:
    """Return mask score, box score and IoU of each proposal."""
    return [[_round_score(value) for value in offer] for offer in offers]


def _errors(outcomes: Outcomes) -> Iterator[str | None]:
    """Yield the error of each case, or None if it was evaluated."""
    failed = iter(outcomes.take(outcomes.failed))
    return (shorten_traceback(next(failed).error) if lost else None for lost in outcomes.failed.tolist())


def _encode_names(column: Iterable[str | None]) -> dict[str, Any]:
    """Encode a column of names: the distinct values, and an index per case, -1 for none."""
    values = list(column)
    names = sorted({value for value in values if value is not None})
    numbers = {name: number for number, name in enumerate(names)}
    return {"values": names, "of": [-1 if value is None else numbers[value] for value in values]}


def _attribute(name: str, values: CategoricalColumn) -> dict[str, Any]:
    """Encode an attribute column, with its slices in condition syntax."""
    named = _encode_names(values)
    return {**named, "slices": [str(Predicate(name, "=", value)) for value in named["values"]]}


def shorten_traceback(error: str) -> str:
    """Reduce the file paths in a traceback to file names, so that the page reveals no folders."""
    return _PATH.sub(r"\1", _FILE.sub(r'File "\1"', error))


def _commands(run: Run) -> dict[str, Any]:
    """Return the commands that evaluate one case again: a template for simple ids, full commands for the others."""
    before, _, after = run.command_for(_PLACEHOLDER).partition(_PLACEHOLDER)
    conditions = [str(Predicate("id", "=", case_id)) for case_id in run.columns.ids]
    odd = {
        place: case_id
        for place, (case_id, condition) in enumerate(zip(run.columns.ids, conditions, strict=True))
        if condition != f"id={case_id}" or shlex.quote(condition) != condition
    }
    return {
        "before": before,
        "after": after,
        "special": {place: run.command_for(case_id) for place, case_id in odd.items()},
        "conditions": {place: conditions[place] for place in odd},
    }


def _round_score(value: float) -> float | None:
    """Round a score to slightly more digits than are shown; return None for non-finite values."""
    return round(value, 6) if math.isfinite(value) else None


def _exactly(value: float) -> float | None:
    """Round an IoU with enough digits to stay on the same side of every bound; return None for NaN."""
    return None if math.isnan(value) else round(value, 9)


MOST_LISTED = 50_000
"""Maximum number of listed cases; their data takes about ten megabytes of the page."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseListing:
    """The part of a run that the page lists.

    Attributes:
        judged: the run with its gate verdict.
        listed: the run reduced to the listed cases.
    """

    judged: JudgedRun
    listed: Run

    @classmethod
    def from_run(cls, judged: JudgedRun, most: int = MOST_LISTED) -> CaseListing:
        """List a run, limited to `most` cases chosen in the same way as the case images."""
        run = judged.run
        if len(run.outcomes) <= most:
            return cls(judged, run)
        chosen = select(judged.clusters, judged.verdict.comparison if judged.verdict else None, most)
        errors = np.flatnonzero(run.columns.failed)[: most // 10]
        places = np.union1d(chosen.find_places_in(run.columns), errors)
        kept = run.columns.take(places)
        return cls(judged, replace(run, outcomes=kept, expected=kept.ids))

    @property
    def left_out(self) -> int:
        """The number of cases that are not listed."""
        return len(self.judged.run.outcomes) - len(self.listed.outcomes)


def case_key(case_id: str) -> str:
    """Return ten hex digits that identify a case in a URL, since an id may contain any character.

    >>> case_key("Jazz C2 [270]")
    '292ac1510e'
    """
    return hashlib.sha256(case_id.encode()).hexdigest()[:10]


def link(number: int, **parameters: object) -> str:
    """Return the URL fragment of a filter or case of the run with this number.

    >>> link(1, kind="missed")
    'run=1&kind=missed'
    """
    return urlencode({**({"run": number} if number else {}), **parameters})


def permalink(run: Run, case_id: str) -> str:
    """Return a link to a case of a run that works in any page with the run, wherever it is listed."""
    return urlencode({"run": run.id, "case": case_key(case_id)})
