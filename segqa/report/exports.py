"""Verdicts for machines and for pull requests: JSON, Markdown, OpenMetrics, annotations."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segqa.analysis.failure_clusters.clusters import BELOW, Cluster, Clusters
from segqa.analysis.robustness.result import Robustness
from segqa.data.string_columns import StringColumn
from segqa.gate.verdict import Verdict
from segqa.inference.spot_check import StoredAnswers, describe_spot_check, describe_stored
from segqa.report.session_result import SessionResult
from segqa.runs.failure_kinds import KINDS
from segqa.runs.run import Run
from segqa.support.escaping import to_line
from segqa.support.plurals import format_count

MAX_MARKDOWN = 60_000
"""Characters; GitHub takes 65,536 in a comment."""

VERDICT_VERSION = 1
_CASES = 20


@dataclass(frozen=True, slots=True, eq=False)
class JudgedRun:
    """A run, and what the gate says of it.

    Attributes:
        run: the run.
        verdict: against its baseline; None where there is none.
        why: there is none.
        clusters: what its failures have in common.
        robustness: what became of changed cases; None where none were tried.
        group_by: the tag that says which cases depend on each other; empty for none.
    """

    run: Run
    verdict: Verdict | None
    why: str
    clusters: Clusters
    robustness: Robustness | None = None
    group_by: str = ""

    @property
    def name(self) -> str:
        """The verdict in a word."""
        if self.verdict is None:
            return "incomparable" if self.why.startswith("incomparable") else "no baseline"
        return self.verdict.name

    @property
    def new_clusters(self) -> list[Cluster]:
        """The clusters of which fewer than half of the cases failed so in the baseline."""
        if self.verdict is None:
            return []
        baseline = self.verdict.comparison.baseline
        codes = baseline.kind_codes
        return [
            cluster
            for cluster in self.clusters
            if 2 * _count_failed_before(cluster, baseline.columns.ids, codes) < len(cluster.failing)
        ]


def to_json(judged: Iterable[JudgedRun], ending: SessionResult, exit_status: int) -> dict[str, Any]:
    """The session for a script: what `verdict.json` holds."""
    return {
        "version": VERDICT_VERSION,
        "exit_status": exit_status,
        "models": [_model(one) for one in judged],
        "failing": [{"test": name, "reason": why} for name, why in ending.failing],
        "findings": list(ending.findings),
        "warnings": list(ending.warnings),
        "problem": ending.problem,
    }


def to_markdown(judged: Sequence[JudgedRun], ending: SessionResult) -> str:
    """The session for a pull request: at most 60,000 characters, whatever comes from outside escaped."""
    failing = ending.failing
    count = f" ({format_count(len(failing), 'test')})" if failing else ""
    lines = [f"### segqa: {ending.name}{count}", "", *_reasons(ending)]
    if judged:
        lines += ["| model | data set | mean IoU | baseline | change | failing | verdict |"]
        lines += ["| :--- | :--- | ---: | ---: | ---: | ---: | :--- |", *(_table_row(one) for one in judged), ""]
    for one in judged:
        lines += _section(one)
    if failing:
        lines += ["#### Failing tests", "", *(f"- {escape(name)}: {escape(why)}" for name, why in failing), ""]
    return _truncate(lines)


def to_openmetrics(judged: Iterable[JudgedRun]) -> str:
    """The numbers as OpenMetrics text, one family a number."""
    families: dict[str, list[str]] = {}
    for one in judged:
        labels = ",".join(
            f'{key}="{_label(value)}"' for key, value in (("model", one.run.model), ("dataset", one.run.dataset))
        )
        for name, value in _numbers(one).items():
            if not math.isnan(value):
                families.setdefault(name, []).append(f"segqa_{name}{{{labels}}} {value:.6g}")
    lines = [line for name, samples in families.items() for line in (f"# TYPE segqa_{name} gauge", *samples)]
    return "\n".join([*lines, "# EOF", ""])


def to_annotations(judged: Iterable[JudgedRun], ending: SessionResult) -> list[str]:
    """GitHub's workflow commands: one for each broken rule, and for each finding and warning of the session."""
    broken = [
        f"::error title={_command(f'segqa {one.run.model} {finding.rule}', more=True)}::{_command(finding.text)}"
        for one in judged
        if one.verdict
        for finding in one.verdict.findings
    ]
    errors = [f"::error title=segqa::{_command(text)}" for text in (ending.problem, *ending.findings) if text]
    return [*broken, *errors, *(f"::warning title=segqa::{_command(text)}" for text in ending.warnings)]


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no mention, one line."""
    flat = to_line(" ".join(text.split()))
    plain = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
    return re.sub(r"([\\`*_{}\[\]()#|~!-])", r"\\\1", plain)


def _count_failed_before(cluster: Cluster, case_ids: StringColumn, codes: NDArray[np.int8]) -> int:
    """How many of a cluster's failures were failures of that kind in the baseline, which has these cases and kinds."""
    places = case_ids.find_places(cluster.failing.ids)
    before = codes[places[places >= 0]]
    alike = before >= 0 if cluster.kind == BELOW else before == KINDS[cluster.kind].code
    return int(alike.sum())


def _model(one: JudgedRun) -> dict[str, Any]:
    """A run and its verdict in JSON's types; what is not known is null."""
    run, verdict = one.run, one.verdict
    found: dict[str, Any] = {"model": run.model, "dataset": run.dataset, "run": run.id, "verdict": one.name}
    found |= {name: None if math.isnan(value) else value for name, value in _numbers(one).items()}
    found["kinds"] = dict(run.kinds())
    found["clusters"] = [{"condition": c.condition, "kind": c.kind, "failing": len(c.failing)} for c in one.clusters]
    found["cluster_note"] = one.clusters.note
    found["new_clusters"] = [cluster.condition for cluster in one.new_clusters]
    known = StoredAnswers.from_provenance(run.provenance)
    found["stored_answers"] = {
        "cases": int(run.columns.cached.sum()),
        "asked_anew": known.asked,
        "from_other_source": known.stale,
        "notes": _trust(run),
    }
    if verdict is None:
        return found | {"why": one.why, "findings": [], "notes": [], "relaxed": []}
    comparison = verdict.comparison
    return found | {
        "findings": [{"rule": f.rule, "text": f.text, "cases": list(f.cases)} for f in verdict.findings],
        "notes": list(verdict.notes),
        "relaxed": list(verdict.relaxed),
        "broken": list(comparison.broken.ids),
        "fixed": list(comparison.fixed.ids),
        "new": list(comparison.new),
        "missing": list(comparison.missing),
        "changed_data": comparison.changed.by_id,
        "transitions": {" → ".join(kinds): count for kinds, count in comparison.transitions.most_common()},
    }


def _numbers(one: JudgedRun) -> dict[str, float]:
    """What is counted and measured of a run."""
    run, verdict = one.run, one.verdict
    numbers = {name: float(getattr(run, name)) for name in ("mean_iou", "p05", "pooled_iou", "oracle_iou", "regret")}
    numbers |= {"scored": len(run.scored), "failing": len(run.failures()), "clusters": len(one.clusters)}
    numbers |= {"errors": len(run.errors), "missing_cases": len(run.missing)}
    if verdict is not None:
        numbers |= {"baseline_mean_iou": float(verdict.comparison.baseline.mean_iou)}
        before, after = verdict.comparison.paired_means
        numbers |= {"paired_mean_iou": after, "paired_baseline_mean_iou": before, "paired_cases": verdict.change.cases}
        numbers |= {"mean_difference": verdict.mean.mean if verdict.mean else math.nan}
        numbers |= {"broken": len(verdict.comparison.broken), "findings": len(verdict.findings)}
    return numbers


def _table_row(one: JudgedRun) -> str:
    run, verdict = one.run, one.verdict
    before = f"{verdict.comparison.baseline.mean_iou:.4f}" if verdict else "–"
    change = f"{verdict.mean.mean:+.4f}" if verdict and verdict.mean else "–"
    if verdict and verdict.mean and verdict.comparison.is_partial:
        change += f" ({verdict.support})"
    cells = [escape(run.model), escape(run.dataset), f"{run.mean_iou:.4f}", before, change]
    return f"| {' | '.join([*cells, f'{len(run.failures())} of {len(run.outcomes)}', f'**{one.name}**'])} |"


def _reasons(ending: SessionResult) -> list[str]:
    """Render what the session found beside its tests, as a list."""
    lines = [f"- **{escape(text)}**" for text in (ending.problem, *ending.findings) if text]
    lines += [f"- warning: {escape(text)}" for text in ending.warnings]
    return [*lines, ""] if lines else []


def _trust(run: Run) -> list[str]:
    """Say how far the answers of a run are stored ones, and how they were checked."""
    return [*describe_stored(run), *describe_spot_check(run)]


def _section(one: JudgedRun) -> list[str]:
    """What there is to say of one model."""
    lines = []
    if one.verdict is None:
        lines.append(f"{escape(one.run.model)}: {escape(one.why)}")
    for finding in one.verdict.findings if one.verdict else ():
        lines.append(f"- **{escape(finding.rule)}** {escape(finding.text)}")
        lines += [f"  - {escape(line)}" for line in finding.lines]
    if one.verdict and one.verdict.comparison.broken:
        broken = one.verdict.comparison.broken.ids
        more = f" and {len(broken) - _CASES} more" if len(broken) > _CASES else ""
        lines.append(f"- broken cases: {', '.join(map(escape, broken[:_CASES]))}{more}")
    lines += [f"- new cluster: {escape(str(cluster))}" for cluster in one.new_clusters]
    lines += [f"- failure clusters: {escape(one.clusters.note)}"] if one.clusters.note else []
    lines += [f"- {escape(note)}" for note in (one.verdict.notes if one.verdict else ())]
    lines += [f"- {escape('; '.join(_trust(one.run)))}"] if one.run.columns.cached.any() else []
    return [f"#### {escape(one.run.model)}", "", *lines, ""] if lines else []


def _truncate(lines: Sequence[str]) -> str:
    """The lines as far as there is room."""
    end = "\n… cut here: verdict.json has all of it\n"
    kept: list[str] = []
    room = MAX_MARKDOWN - len(end)
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return "\n".join(kept) + end
        kept.append(line)
    return "\n".join(kept) + "\n"


def _label(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _command(text: str, *, more: bool = False) -> str:
    """Text in a workflow command; the properties need more signs escaped."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if more else escaped
