"""Sections of the review page, one per run, rendered without a script: headline, clusters, slices and comparison."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segqa.analysis.failure_clusters.clusters import Cluster
from segqa.gate.baseline import is_baseline
from segqa.gate.comparison import Comparison
from segqa.gate.verdict import Verdict
from segqa.models.protocol import Floats
from segqa.report.case_selection import NOISE, newly_failing, newly_passing
from segqa.report.charts import BINS, bin_counts, changes, histogram, interval_axis, interval_bar, robustness_section
from segqa.report.examples import PageCases
from segqa.report.exports import JudgedRun
from segqa.report.page_data import case_key, link, shorten_traceback
from segqa.report.session_result import SessionResult
from segqa.report.tables import find_groups, has_choice, pick_lab
from segqa.runs.failure_kinds import KINDS, compute_kind_codes, find_recoverable, get_kind_name
from segqa.runs.groups import suggest_groups
from segqa.runs.outcomes import Outcomes
from segqa.runs.run import Run, compute_mean
from segqa.stats.permutation_test import compute_t_interval
from segqa.support.plurals import format_count, select_form

_MOST_SLICES = 40
_MOST_REPLAYED = 20_000
_SHOWN = 8


def get_verdict_word(judged: Sequence[JudgedRun], ending: SessionResult | None) -> str:
    """Return the page's verdict in one word: the test result or, without tests, the gate's verdict."""
    if ending is not None:
        return ending.name
    names = [one.name for one in judged if one.verdict is not None]
    return "regressed" if "regressed" in names else names[0] if len(names) == 1 else "evaluated"


def build_section(judged: JudgedRun, number: int, shown: PageCases, *, listed: bool) -> dict[str, Any]:
    """Return the template values of a run.

    Args:
        judged: the run with its gate verdict.
        number: number of the run in the page.
        shown: its case images.
        listed: list the cases for readers without a script.
    """
    run, comparison = judged.run, judged.verdict.comparison if judged.verdict else None
    slices, more = _slices(run, comparison, judged.group_by)
    return {
        "run": run,
        "badge": judged.name,
        "gate": judged.name if judged.verdict else "",
        "failing": len(run.failures()),
        "of_cases": f"of {format_count(len(run.outcomes), 'case')} {select_form(len(run.failures()), 'fails', 'fail')}",
        "headline": headline(judged),
        "command": str(run.provenance.get("command", "")),
        "facts": _facts(run),
        "chips": _chips(judged, number),
        **_distribution(run, comparison, link(number, iou="")),
        "gap": judged.clusters.gap,
        "choice": has_choice(run),
        "changes": _changes(comparison) if comparison else None,
        "pickers": _pickers(run),
        "worst": shown.examples(run.worst(len(run.failures())).ids),
        "clusters": _clusters(judged, shown),
        "searched": sum(judged.clusters.searched),
        "search_note": judged.clusters.note,
        "kinds": _kinds(run, comparison, shown),
        "slices": slices,
        "more_slices": more,
        "slice_note": _interval_note(run, judged.group_by) if slices else "",
        "compared": _build_comparison(judged.verdict, shown) if judged.verdict else None,
        "why": judged.why or "There is no baseline; `pytest suites --segqa-update-baseline` makes one.",
        "robustness": robustness_section(judged.robustness) if judged.robustness else None,
        "groups": _groups(run, shown) if listed else [],
        "details": _details(run),
    }


def headline(judged: JudgedRun) -> list[str]:
    """Summarize in a few sentences how many cases fail and why."""
    run = judged.run
    failed = run.failures()
    told = [f"A case fails if its IoU is below {run.threshold:g}, or on an error."]
    clusters = [cluster for cluster in judged.clusters if cluster.kind != "failed"] or list(judged.clusters)
    if clusters:
        told.append(_describe_cluster(clusters[0]))
    elif len(failed):
        kind, count = run.kinds().most_common(1)[0]
        told.append(f"The most frequent kind is {kind} ({format_count(count, 'case')}): {KINDS[kind].meaning}.")
    saved = failed.recoverable
    if saved:
        told.append(
            f"{saved} of {format_count(len(failed), 'failure')} {select_form(saved, 'is', 'are')} lost by picking: "
            "another proposal of the model is good enough."
        )
    if judged.verdict:
        newly = len(newly_failing(judged.verdict.comparison))
        errors = len(judged.verdict.comparison.new_errors)
        also = f" and {format_count(errors, 'new error')}" if errors else ""
        told.append(f"Against the baseline: {judged.name}, {newly} newly failing{also}.")
    if run.missing:
        told.append(f"{format_count(len(run.missing), 'case has', 'cases have')} no outcome.")
    return told


def four(value: float) -> str:
    """Format a number with four digits, or with a placeholder if it is unknown."""
    return "–" if math.isnan(value) else f"{value:.4f}"


def _describe_cluster(cluster: Cluster) -> str:
    """Describe a cluster in one sentence."""
    rest = "no other case does" if math.isinf(cluster.ratio) else f"{cluster.ratio:.1f} times the rest"
    return (
        f"Where {cluster.condition}, {cluster.rate:.0%} are {cluster.kind} "
        f"({len(cluster.failing)} of {cluster.support}, {rest})."
    )


def _facts(run: Run) -> list[tuple[str, str]]:
    """Describe the provenance of the run in one line."""
    known = run.provenance
    options = known.get("options", {})
    commit = str(known.get("commit", ""))[:10] + (" with changes" if known.get("dirty") else "")
    facts = {
        "picked by": run.pick if has_choice(run) else "",
        "model": str(known.get("fingerprint") or "")[:40],
        "commit": commit,
        "device": options.get("device", ""),
        "data": str(known.get("dataset_digest", ""))[:10],
        "": known.get("started", ""),
        "run": run.id,
    }
    return [(name, str(value)) for name, value in facts.items() if value]


def _chips(judged: JudgedRun, number: int) -> list[dict[str, str]]:
    """Return the headline numbers; case counts link to their cases."""
    run, verdict = judged.run, judged.verdict

    def chip(label: str, value: object, note: str = "", tone: str = "", **wants: str) -> dict[str, str]:
        href = link(number, **wants) if wants else ""
        return {"label": label, "value": str(value), "note": note, "tone": tone, "href": href}

    failing, errors = len(run.failures()), len(run.errors)
    new_errors = len(verdict.comparison.new_errors) if verdict else 0
    change = ""
    if verdict and verdict.mean:
        change = f"{verdict.mean.mean:+.4f} ({verdict.interval.low:+.4f} to {verdict.interval.high:+.4f})"
        change += f" over {verdict.change.cases} in both runs" if verdict.comparison.is_partial else ""
    chips = [
        chip("mean IoU", four(run.mean_iou), change),
        chip("failing", failing, f"of {len(run.outcomes)}", "bad" if failing else "", outcome="failing"),
    ]
    if verdict:
        newly, fixed = newly_failing(verdict.comparison), newly_passing(verdict.comparison)
        chips += [
            chip("newly failing", len(newly), tone="bad" if newly else "", change="new"),
            chip("newly passing", len(fixed), change="fixed"),
        ]
    if has_choice(run):
        chips += [
            chip("recoverable", run.failures().recoverable, "lost by picking", outcome="recoverable"),
            chip("oracle IoU", four(run.oracle_iou), f"regret {four(run.regret)}"),
        ]
    chips += [
        chip("IoU exactly 0", bin_counts(run.ious)[0], iou="0"),
        chip(
            "error" if errors == 1 else "errors",
            errors,
            f"{f'{new_errors} new, ' * bool(new_errors)}not in the mean",
            "bad" if errors else "",
            outcome="error",
        ),
        chip("5th percentile", four(run.p05)),
        chip("pooled IoU", four(run.pooled_iou)),
    ]
    if run.missing:
        chips.append(chip("missing", len(run.missing), "no outcome", "bad"))
    if run.undefined:
        chips.append(chip("both masks empty", run.undefined, f"scored “{run.empty}”"))
    return chips


def _pickers(run: Run) -> list[tuple[str, ...]]:
    """Return the run's results under every picker; nothing if there is no choice, or if it would take seconds."""
    return pick_lab(run).format_cells() if has_choice(run) and len(run.outcomes) <= _MOST_REPLAYED else []


def _distribution(run: Run, comparison: Comparison | None, address: str) -> dict[str, Any]:
    """Return the IoU histogram as a chart and as a table."""
    before = None
    if comparison:
        before = _keep_numbers(comparison.pairs.ious[:, 0])
    title = f"IoU of {format_count(len(run.ious), 'case')} of {run.title}"
    drawn = histogram(run.ious, run.threshold, title, before=before, link=f"#{address}")
    return {"histogram": drawn, "bins": _bins(run.ious, before)}


def _clusters(judged: JudgedRun, shown: PageCases) -> list[dict[str, Any]]:
    """Return the clusters with examples."""
    new = judged.new_clusters
    return [
        {
            "cluster": cluster,
            "mean": _format_mean(judged.run, cluster.failing),
            "regret": four(cluster.regret),
            "is_new": cluster in new,
            "examples": shown.examples(cluster.failing.ids),
        }
        for cluster in judged.clusters
    ]


def _kinds(run: Run, comparison: Comparison | None, shown: PageCases) -> list[dict[str, Any]]:
    """Return the failure kinds that occur, with examples."""
    codes = compute_kind_codes(newly_failing(comparison).after, run.threshold) if comparison else np.zeros(0, np.int8)
    new = Counter(get_kind_name(code) for code in codes.tolist())
    new["error"] = len(comparison.new_errors) if comparison else 0
    rows, choice = [], has_choice(run)
    for kind, count in run.kinds().most_common():
        failed = run.failures(kind)
        part = run.only(failed.outcomes, kind)
        row: dict[str, Any] = {"kind": kind, "count": count, "share": count / len(run.outcomes), "new": new[kind]}
        row |= {"mean": four(part.mean_iou), "recoverable": failed.recoverable, "regret": four(failed.regret)}
        action = KINDS[kind].action if choice else KINDS[kind].action_for_one_mask
        row |= {"meaning": KINDS[kind].meaning, "action": action, "examples": shown.examples(part.worst(count).ids)}
        rows.append(row)
    return rows


def _bins(ious: Floats, before: Floats | None) -> list[list[str]]:
    """Return the histogram as a table."""
    columns = [bin_counts(each) for each in (ious, before) if each is not None]
    rows = [["exactly 0", *(str(zeros) for zeros, _ in columns)]]
    return rows + [
        [f"{index / BINS:.2f} to {(index + 1) / BINS:.2f}", *(str(bins[index]) for _, bins in columns)]
        for index in range(BINS)
    ]


def _changes(comparison: Comparison) -> dict[str, str]:
    """Return the per-case changes as a chart and as text."""
    differences = comparison.differences
    worse, better = int((differences < -NOISE).sum()), int((differences > NOISE).sum())
    same = len(differences) - worse - better
    told = f"{format_count(worse, 'case')} worse, {better} better, {same} the same (within {NOISE:g})"
    return {"drawn": changes(differences, NOISE, f"IoU now minus IoU before, sorted: {told}"), "told": told}


def _format_mean(run: Run, outcomes: Outcomes) -> str:
    """Format the mean IoU of some cases."""
    return four(run.only(outcomes, "").mean_iou)


def _slices(run: Run, comparison: Comparison | None, group_by: str) -> tuple[list[dict[str, Any]], int]:
    """Return the slices with the most failures above the run's overall rate, and the number of other slices."""
    total = len(run.failures()) / len(run.outcomes) if run.outcomes else 0.0
    change = np.full(len(run.outcomes), np.nan)
    if comparison:
        change[comparison.pairs.after.find_places_in(run.columns)] = comparison.differences
    overall, scores, failed = float(run.mean_iou), run.all_ious, run.kind_codes >= 0
    groups, scored = find_groups(run.columns, group_by), ~np.isnan(scores)
    lost, saved = run.best_ious - scores, find_recoverable(run.columns, run.threshold)
    rows: list[dict[str, Any]] = []
    for name, members in run.slice_members(min_cases=5):
        ious, failing, count = _keep_numbers(scores[members]), int(failed[members].sum()), int(members.sum())
        bounds = compute_t_interval(ious, None if groups is None else groups[members & scored]).clip(0, 1)
        mean = compute_mean(ious)
        shown = four(mean)
        moved = _keep_numbers(change[members])
        title = f"mean {shown}, 95 % interval {four(bounds.low)} to {four(bounds.high)}"
        rows.append(
            {
                "name": name,
                "count": count,
                "mean": shown,
                "recoverable": int(saved[members].sum()),
                "regret": four(compute_mean(_keep_numbers(lost[members]))),
                "failing": failing,
                "rate": failing / count,
                "drawn": (mean, bounds.low, bounds.high, overall, title),
                "change": f"{compute_mean(moved):+.4f}" if len(moved) else "–",
                "excess": failing - total * count,
            }
        )
    rows.sort(key=lambda row: (-row["excess"], row["name"]))
    axis = interval_axis([value for row in rows[:_MOST_SLICES] for value in row["drawn"][:4]])
    for row in rows[:_MOST_SLICES]:
        row |= {"bar": interval_bar(*row["drawn"], axis=axis), "axis": f"{axis[0]:g} to {axis[1]:g}"}
    return rows[:_MOST_SLICES], max(0, len(rows) - _MOST_SLICES)


def _interval_note(run: Run, group_by: str) -> str:
    """Describe the independent samples of the slice intervals, unless these are simply the cases."""
    groups = find_groups(run.columns, group_by)
    if groups is not None:
        return f"Intervals count the {format_count(int(groups.max()) + 1, 'group')} by {group_by!r}, not the cases."
    suggested = suggest_groups(run.columns)
    return (
        "" if suggested is None else f"Intervals count each case as independent, but {suggested}: {suggested.remedy}."
    )


def _keep_numbers(values: Floats) -> Floats:
    """Return the values that are numbers."""
    return values[~np.isnan(values)]


def _build_comparison(verdict: Verdict, shown: PageCases) -> dict[str, Any]:
    """Return the comparison with the baseline."""
    comparison = verdict.comparison
    newly, fixed = newly_failing(comparison), newly_passing(comparison)
    others = np.ones(len(comparison.pairs), np.bool_)
    for told in (newly, fixed):
        others[told.after.find_places_in(comparison.pairs.after)] = False
    changed = comparison.pairs.take(others).sort_by_change()
    return {
        "headline": verdict.headline,
        "low": verdict.interval.low,
        "high": verdict.interval.high,
        "findings": verdict.findings,
        "notes": [*_find_differences(comparison), *verdict.notes],
        "newly": newly,
        "fixed": fixed,
        "examples": shown.examples(newly.ids),
        "drops": changed.take(changed.differences < -NOISE)[:_SHOWN],
        "gains": changed.take(changed.differences > NOISE)[::-1][:_SHOWN],
        "moved": [(" → ".join(kinds), count) for kinds, count in comparison.transitions.most_common(12)],
        "new_errors": comparison.new_errors,
        "recovered": comparison.recovered,
        "missing": comparison.missing,
        "new": comparison.new,
    }


def _find_differences(comparison: Comparison) -> list[str]:
    """List the differences between the two runs other than their outcomes."""
    before, after = comparison.baseline, comparison.candidate
    notes = []
    if before.pick != after.pick:
        notes.append(f"Picked by {before.pick} before, by {after.pick} now.")
    if before.model != after.model:
        notes.append(f"The baseline is of another model, {before.model}.")
    if is_baseline(before) and before.provenance.get("accepted"):
        notes.append(f"Accepted so far: {'; '.join(before.provenance['accepted'])}")
    return notes


def _groups(run: Run, shown: PageCases) -> list[dict[str, Any]]:
    """Return the cases listed without a script, by kind: all that have an image, and the errors."""
    groups: dict[str, list[dict[str, Any]]] = {kind: [] for kind in [*KINDS, ""]}
    worst = run.worst(len(run.outcomes))
    for outcome in worst.take(worst.ids.is_among(shown.numbers) | worst.failed):
        kind = run.kind(outcome) or ""
        groups[kind].append(
            {
                "outcome": outcome,
                "key": case_key(outcome.case_id),
                "number": shown.numbers.get(outcome.case_id),
                "iou": "" if outcome.error else f"IoU {four(run.iou(outcome))}",
                "error": shorten_traceback(outcome.error),
                "command": run.command_for(outcome.case_id),
            }
        )
    return [{"kind": kind, "cases": cases} for kind, cases in groups.items() if cases]


def _details(run: Run) -> list[tuple[str, Any]]:
    """Return the full provenance of the run."""
    known = run.provenance
    versions = ", ".join(f"{name} {version}" for name, version in known.get("versions", {}).items())
    options = ", ".join(f"{name} {value}" for name, value in known.get("options", {}).items())
    seconds, cached = run.columns.seconds, format_count(int(run.columns.cached.sum()), "case")
    details: dict[str, Any] = {
        "run": run.id,
        "command": known.get("command"),
        "started": known.get("started"),
        "commit": f"{known.get('commit', '')}{' with changes' if known.get('dirty') else ''}",
        "model": f"{run.model} {known.get('fingerprint') or '(without a fingerprint)'}",
        "data set": f"{run.dataset}, {format_count(len(run.expected), 'case')}, {known.get('dataset_digest', '')}",
        "cases": run.tally,
        "picked by": run.pick,
        "threshold": run.threshold,
        "both masks empty": f"scored “{run.empty}”, {format_count(run.undefined, 'case')}",
        "options": options,
        "python": known.get("python"),
        "machine": known.get("machine"),
        "versions": versions,
        "inference": f"{math.fsum(seconds):.1f} s, {cached} from stored proposals",
        "milliseconds a case": _stages(run),
        "peak memory": ", ".join(f"{size:.0f} MB of {kind}" for kind, size in known.get("peak_mb", {}).items()),
        "resumed": known.get("resumed_at"),
        "merged of": "; ".join(_part(part) for part in known.get("parts", [])),
        "notes": "; ".join(map(str, known.get("notes", []))),
    }
    noted = [f"{case_id}: {note}" for case_id, note in run.columns.notes]
    details["noted"] = "; ".join(noted[:10]) + (f"; … and {len(noted) - 10} more" if len(noted) > 10 else "")
    return [(name, value) for name, value in details.items() if value not in (None, "")]


def _part(part: Mapping[str, Any]) -> str:
    """Describe the provenance of one part of a merged run."""
    where = f"{part['inference_seconds']:.1f} s on {part['hardware']}"
    return f"shard {part['shard']}: {format_count(part['cases'], 'case')}, {where} ({part['run']})"


def _stages(run: Run) -> str:
    """Return the durations of the stages, median and 95th percentile over the cases."""
    stages = run.provenance.get("stages", {})
    return ", ".join(f"{name} {1e3 * took['p50']:.2f} ({1e3 * took['p95']:.2f})" for name, took in stages.items())
