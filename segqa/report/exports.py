"""Exports of verdicts for scripts, CI and pull requests: JSON, Markdown, OpenMetrics and GitHub annotations."""

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
from segqa.support.plurals import format_count, list_first

MAX_MARKDOWN = 60_000
"""Maximum length in characters; GitHub accepts 65,536 in a comment."""

VERDICT_VERSION = 1
_CASES = 20


@dataclass(frozen=True, slots=True, eq=False)
class JudgedRun:
    """A run with its gate verdict.

    Attributes:
        run: the run.
        verdict: against its baseline; None if there is no baseline.
        why: the reason for a missing verdict.
        clusters: the failure clusters of the run.
        robustness: the results on perturbed cases; None if not measured.
        group_by: the tag that groups dependent cases; empty for none.
    """

    run: Run
    verdict: Verdict | None
    why: str
    clusters: Clusters
    robustness: Robustness | None = None
    group_by: str = ""

    @property
    def name(self) -> str:
        """The verdict in one word."""
        if self.verdict is None:
            return "incomparable" if self.why.startswith("incomparable") else "no baseline"
        return self.verdict.name

    @property
    def new_clusters(self) -> list[Cluster]:
        """The clusters of which fewer than half of the cases failed in the same way in the baseline."""
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
    """Return the session as JSON, the contents of `verdict.json`."""
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
    """Render the session as Markdown for a pull request: at most 60,000 characters, with external text escaped."""
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
    """Render the metrics as OpenMetrics text, one metric family per number."""
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
    """Return GitHub workflow commands, one for each broken rule, finding and warning of the session."""
    broken = [
        f"::error title={_command(f'segqa {one.run.model} {finding.rule}', more=True)}::{_command(finding.text)}"
        for one in judged
        if one.verdict
        for finding in one.verdict.findings
    ]
    errors = [f"::error title=segqa::{_command(text)}" for text in (ending.problem, *ending.findings) if text]
    return [*broken, *errors, *(f"::warning title=segqa::{_command(text)}" for text in ending.warnings)]


def escape(text: str) -> str:
    """Escape text for Markdown: no markup, no HTML, no mentions, a single line."""
    flat = to_line(" ".join(text.split()))
    plain = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
    return re.sub(r"([\\`*_{}\[\]()#|~!-])", r"\\\1", plain)


def _count_failed_before(cluster: Cluster, case_ids: StringColumn, codes: NDArray[np.int8]) -> int:
    """Count the cluster's failures that failed in the same way in the baseline, which has these cases and kinds."""
    places = case_ids.find_places(cluster.failing.ids)
    before = codes[places[places >= 0]]
    alike = before >= 0 if cluster.kind == BELOW else before == KINDS[cluster.kind].code
    return int(alike.sum())


def _model(one: JudgedRun) -> dict[str, Any]:
    """Return a run and its verdict as JSON types; unknown values are null."""
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
    """Return the counts and scores of a run."""
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
    """Render the session's findings outside its tests as a list."""
    lines = [f"- **{escape(text)}**" for text in (ending.problem, *ending.findings) if text]
    lines += [f"- warning: {escape(text)}" for text in ending.warnings]
    return [*lines, ""] if lines else []


def _trust(run: Run) -> list[str]:
    """Describe how many answers of a run come from the cache, and how these were checked."""
    return [*describe_stored(run), *describe_spot_check(run)]


def _section(one: JudgedRun) -> list[str]:
    """Render the section of one model."""
    lines = []
    if one.verdict is None:
        lines.append(f"{escape(one.run.model)}: {escape(one.why)}")
    for finding in one.verdict.findings if one.verdict else ():
        lines.append(f"- **{escape(finding.rule)}** {escape(finding.text)}")
        lines += [f"  - {escape(line)}" for line in finding.lines]
    if one.verdict and one.verdict.comparison.broken:
        broken = one.verdict.comparison.broken.ids
        lines.append(f"- broken cases: {list_first([*map(escape, broken[:_CASES])], _CASES, len(broken))}")
    lines += [f"- new cluster: {escape(str(cluster))}" for cluster in one.new_clusters]
    lines += [f"- failure clusters: {escape(one.clusters.note)}"] if one.clusters.note else []
    lines += [f"- {escape(note)}" for note in (one.verdict.notes if one.verdict else ())]
    lines += [f"- {escape('; '.join(_trust(one.run)))}"] if one.run.columns.cached.any() else []
    return [f"#### {escape(one.run.model)}", "", *lines, ""] if lines else []


def _truncate(lines: Sequence[str]) -> str:
    """Keep the lines that fit into the available space."""
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
    """Escape text for a workflow command; properties need more characters escaped."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if more else escaped
