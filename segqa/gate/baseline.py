"""Read and write baselines: committed runs that later runs are judged against, one file per model and data set.

Line 1 is a header, then comes one case a line, sorted by id: whole numbers from which every score is computed again,
and nothing that changes from machine to machine or from day to day. A file that two branches have been merged into line
by line is no baseline any more, and is refused, and so is an edited one: the header keeps a digest of everything else.

| optional key of the header | holds |
|---|---|
| `reference` | the means at the first baseline, or at the last one that was accepted with a reason or proven better |
| `drift` | by how much the updates since then have changed them, added up |
| `fallen` | the IoU that cases had before updates took 0.1 or more from them, by id |
| `policy` | the rules, known failures and thresholds at the time, see `segqa.gate.policy` |
| `digest` | of all rows and of the header's other values |
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, get_args

from segqa.errors import BaselineError
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.outcome_columns import build_columns
from segqa.runs.outcomes import Outcomes
from segqa.runs.parquet_blocks import BLOCK, PartWriter, has_parquet, to_table
from segqa.runs.parquet_columns import ParquetColumns
from segqa.runs.run import Run
from segqa.runs.store import LARGE, Store, write_whole
from segqa.scoring.error_breakdown import Breakdown
from segqa.scoring.metrics import METRIC_VERSION, Counts
from segqa.settings import EmptyPolicy
from segqa.support.git import describe_pointer
from segqa.support.plurals import format_count

BASELINE_VERSION = 1
"""The version of the file format; other versions are refused."""

METRICS = ("iou", "dice", "precision", "recall")
"""Those of which the header keeps means."""

_OPTIONAL = ("reference", "drift", "fallen", "policy", "digest")
_HEADER = ("segqa_baseline", "model", "dataset", "cases", "metric_version", "empty", "pick", "fingerprint", "accepted")


def get_baseline_path(folder: Path, run: Run) -> Path:
    """Return the path of the baseline for a run: `<folder>/<dataset>/<model>.jsonl`."""
    return folder / get_scope(run) / f"{run.model}.jsonl"


def get_stored_baseline_path(store: Store, run: Run) -> Path:
    """Return the path of the copy of the baseline that a run was judged against."""
    return store.run_folder(run.id) / "baseline" / f"{run.model}.jsonl"


def get_scope(run: Run) -> str:
    """Return the data set that a baseline is named by; a held-out part is a data set of its own."""
    held_out = bool(run.provenance.get("options", {}).get("held-out"))
    return f"{run.dataset}-held-out" if held_out and not run.dataset.endswith("-held-out") else run.dataset


def write_baseline(
    path: Path,
    run: Run,
    accepted: Sequence[str] = (),
    *,
    reference: Mapping[str, float] | None = None,
    drift: Mapping[str, float] | None = None,
    policy: Mapping[str, Any] | None = None,
    fallen: Mapping[str, float] | None = None,
) -> None:
    """Write a run as a baseline; the same outcomes give the same bytes.

    Args:
        path: see `get_baseline_path`.
        run: a whole one.
        accepted: the reasons for which regressions have been accepted so far.
        reference: the means that drift is counted from; those of the run by default.
        drift: what updates have added up to since then; nothing by default.
        policy: what was in force, see `segqa.gate.policy`; left out by default.
        fallen: by case id, the IoU before updates took 0.1 or more from it; left out without any.
    """
    means = round_means({f"mean_{metric}": float(run.mean(metric)) for metric in METRICS})
    header: dict[str, Any] = {
        "segqa_baseline": BASELINE_VERSION,
        "model": run.model,
        "dataset": get_scope(run),
        "cases": len(run.outcomes),
        "metric_version": run.provenance.get("metric_version", METRIC_VERSION),
        "empty": run.empty,
        "pick": run.pick,
        "fingerprint": run.provenance.get("fingerprint"),
        "accepted": list(accepted),
        "reference": round_means(reference) if reference is not None else means,
        "drift": round_means(drift) if drift is not None else dict.fromkeys(means, 0.0),
    }
    if policy is not None:
        header["policy"] = dict(policy)
    if fallen:
        header["fallen"] = dict(fallen)
    outcomes = run.columns.take(run.columns.ids.sort_order())
    digest = _begin_digest(header)
    for outcome in outcomes:
        digest.update(f"{_dump(_to_row(outcome))}\n".encode())
    header["digest"] = digest.hexdigest()
    write_whole(path, (f"{_dump(row)}\n" for row in chain([header], map(_to_row, outcomes))))


def round_means(means: Mapping[str, float]) -> dict[str, float]:
    """Round means to six digits, so that they are the same on every machine; leave out those that are undefined."""
    return {name: round(value, 6) + 0.0 for name, value in means.items() if not math.isnan(value)}


def read_baseline(path: Path, *, large: int = LARGE) -> Run:
    """Read a baseline as a run.

    Args:
        path: see `get_baseline_path`.
        large: of more cases the columns lie in temporary files, which go with the run.

    Raises:
        BaselineError: there is none, or the file is corrupt; with the line's number.
    """
    try:
        # a case's id may hold what else ends a line
        with path.open(encoding="utf-8", newline="\n") as file:
            header = _read_header(path, file.readline().removesuffix("\n"))
            digest = _begin_digest(header)
            outcomes = _gather_columns(_read_outcomes(path, _digest_lines(file, digest)), large=header["cases"] > large)
    except FileNotFoundError as error:
        raise BaselineError(f"no baseline at {path}; `pytest suites --segqa-update-baseline` writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(f"cannot read {path}: {error}") from error
    if len(outcomes) != header["cases"]:
        raise BaselineError(
            f"{path} line 1 says {format_count(header['cases'], 'case')}, and "
            f"{format_count(len(outcomes), 'follows', 'follow')}; {_AGAIN}"
        )
    if header.get("digest") not in (None, digest.hexdigest()):
        raise BaselineError(f"{path} was edited after it was written: its lines do not match its digest; {_AGAIN}")
    return Run(
        id=f"baseline {path.stem}",
        model=header["model"],
        dataset=header["dataset"],
        expected=outcomes.ids,
        outcomes=outcomes,
        pick=header["pick"],
        empty=header["empty"],
        provenance={key: header.get(key) for key in ("metric_version", "fingerprint", "accepted", *_OPTIONAL)},
    )


def read_model(path: Path) -> str:
    """Return the model in the header of a baseline, whatever its file is called; empty where it is no baseline."""
    try:
        with path.open(encoding="utf-8") as file:
            header = json.loads(file.readline())
    except (OSError, ValueError):
        return ""
    return str(header.get("model", "")) if isinstance(header, dict) else ""


def digest_content(digest: str, prompt: str) -> str:
    """Digest the data of an outcome, as hex: equal if image, target (their `digest`) and prompt are the same."""
    return hashlib.sha256(f"{digest} {prompt}".encode()).hexdigest()[:16]


def is_baseline(run: Run) -> bool:
    """Return whether a run was read from a baseline."""
    return "accepted" in run.provenance


def describe_unchecked(baseline: Run) -> str:
    """Say what the header of a baseline is too old to tell; empty where it tells everything."""
    untold = {"digest": "whether it was edited", "policy": "what was relaxed since", "reference": "how far it drifted"}
    missing = {key: text for key, text in untold.items() if baseline.provenance.get(key) is None}
    if not missing:
        return ""
    keys, texts = " or ".join(missing), " or ".join(missing.values())
    return (
        f"the header of {baseline.id} has no {keys}, so nobody can check {texts}; "
        "the next --segqa-update-baseline adds it"
    )


_AGAIN = "restore it from git, or write it again with `pytest suites --segqa-update-baseline --segqa-accept REASON`"


_PIXELS = re.compile("(?:[0-9a-f]{32})?")
"""A digest of pixels; empty in files of earlier versions."""

_FITS: Mapping[str, Callable[[Any], bool]] = {
    "dataset": lambda value: isinstance(value, str),
    "cases": lambda value: isinstance(value, int),
    "metric_version": lambda value: isinstance(value, int),
    "empty": lambda value: value in get_args(EmptyPolicy),
    "pick": lambda value: isinstance(value, str),
    "accepted": lambda value: isinstance(value, list) and all(isinstance(reason, str) for reason in value),
}


def _are_numbers(value: Any) -> bool:
    """Return whether a value maps names to numbers."""
    return isinstance(value, dict) and all(isinstance(each, (int, float)) for each in value.values())


_FITS_OPTIONAL: Mapping[str, Callable[[Any], bool]] = {
    "reference": _are_numbers,
    "drift": _are_numbers,
    "fallen": _are_numbers,
    "policy": lambda value: isinstance(value, dict),
    "digest": lambda value: isinstance(value, str),
}


def _dump(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _begin_digest(header: Mapping[str, Any]) -> Any:
    """Begin the digest of a baseline with its header, but for the digest itself; the rows follow, a line each."""
    rest = {key: value for key, value in header.items() if key != "digest"}
    return hashlib.sha256(f"{_dump(rest)}\n".encode())


def _digest_lines(lines: Iterable[str], digest: Any) -> Iterator[str]:
    """Yield the lines and add each to a digest, whatever line ending a checkout gave them."""
    for line in lines:
        digest.update(line.rstrip("\r\n").encode() + b"\n")
        yield line


def _gather_columns(outcomes: Iterator[Outcome], *, large: bool) -> Outcomes:
    """Gather outcomes into columns; those of a large baseline go to temporary files that are removed with them."""
    if not large or not has_parquet():
        return Outcomes.from_outcomes(outcomes)
    folder = tempfile.TemporaryDirectory(prefix="segqa-baseline-")
    writer = PartWriter(Path(folder.name))
    while (held := build_columns(islice(outcomes, BLOCK))).ids:
        writer.add(to_table(held))
    writer.close()
    columns = ParquetColumns(Path(folder.name))
    weakref.finalize(columns, folder.cleanup)
    return Outcomes(columns)


def _read_header(path: Path, line: str) -> dict[str, Any]:
    """Read and check the first line."""
    header = _parse_line(path, 1, line)
    if header.get("segqa_baseline") != BASELINE_VERSION:
        came = header.get("segqa_baseline")
        raise BaselineError(f"{path} line 1 is no header of a baseline of version {BASELINE_VERSION} (got {came})")
    if missing := [key for key in _HEADER if key not in header]:
        raise BaselineError(f"{path} line 1 has no {missing[0]!r}; {_AGAIN}")
    wrong = [key for key, fits in _FITS.items() if not fits(header[key])]
    wrong += [key for key, fits in _FITS_OPTIONAL.items() if key in header and not fits(header[key])]
    if not wrong and header["model"] != path.stem:
        raise BaselineError(
            f"{path} is the baseline of model {header['model']!r}: expected the name {header['model']}.jsonl; "
            "a file that was renamed gets its name back, and a model that was renamed gets a baseline of its own"
        )
    if wrong:
        raise BaselineError(f"{path} line 1 has {header[wrong[0]]!r} as {wrong[0]}, which cannot be; {_AGAIN}")
    return header


def _read_outcomes(path: Path, lines: Iterable[str]) -> Iterator[Outcome]:
    """Yield the outcomes; refuse cases that are out of order or repeated."""
    before = ""
    for number, line in enumerate(lines, start=2):
        row = _parse_line(path, number, line.removesuffix("\n"))
        try:
            outcome = _from_row(row)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BaselineError(f"{path} line {number} is no case ({error}); {_AGAIN}") from error
        if outcome.case_id == before:
            raise BaselineError(f"{path} line {number} has case {before!r} a second time: merged by lines? {_AGAIN}")
        if outcome.case_id < before:
            raise BaselineError(f"{path} line {number} is not in order: {outcome.case_id!r} after {before!r}; {_AGAIN}")
        before = outcome.case_id
        yield outcome


def _parse_line(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        if problem := describe_pointer(str(path), line):
            raise BaselineError(problem) from error
        merged = line.startswith(("<<<<<<<", "=======", ">>>>>>>"))
        what = "is a mark of a merge conflict" if merged else f"is not JSON ({error.msg})"
        raise BaselineError(f"{path} line {number} {what}; {_AGAIN}") from error
    if not isinstance(row, dict):
        raise BaselineError(f"{path} line {number} is not an object; {_AGAIN}")
    return row


def _to_row(outcome: Outcome) -> dict[str, Any]:
    """Return the row of an outcome, in whole numbers: the picked proposal and the best one."""
    row: dict[str, Any] = {
        "id": outcome.case_id,
        "content": digest_content(outcome.digest, outcome.prompt),
        "status": outcome.status,
    }
    if outcome.pixels:
        row |= {"pixels": outcome.pixels, "prompt": outcome.prompt}
    row |= {"tags": dict(sorted(outcome.tags.items()))}
    if outcome.empty_prediction is None:
        return row
    row |= {"target": [outcome.empty_prediction.target, outcome.empty_prediction.target + outcome.empty_prediction.tn]}
    row |= {"of": len(outcome.proposal_scores), "picked": outcome.picked, "best": outcome.best}
    if outcome.picked is not None:
        row["counts"] = outcome.proposal_scores[outcome.picked].numbers
        if wrong := outcome.proposal_scores[outcome.picked].breakdown:
            row["wrong"] = wrong.numbers[:-1]
    if outcome.best is not None and outcome.best != outcome.picked:
        row["oracle"] = outcome.proposal_scores[outcome.best].numbers
    return row


def _from_row(row: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a row; it has the picked proposal first, and the best one if that is another."""
    case_id, tags, digest = str(row["id"]), row["tags"], str(row["content"])
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise TypeError("tags are not texts")
    pixels, prompt = row.get("pixels", ""), row.get("prompt", "")
    if not isinstance(prompt, str) or not isinstance(pixels, str) or not _PIXELS.fullmatch(pixels):
        raise ValueError("pixels are not 32 hex digits, or the prompt is no text")
    if row["status"] == "error":
        return Outcome(
            case_id=case_id, prompt=prompt, tags=tags, digest=digest, pixels=pixels, error="error in the baseline"
        )
    wanted, size = map(_parse_count, row["target"])
    nothing = Counts(0, 0, wanted, size - wanted)
    scores = tuple(_read_proposal(row[key], nothing) for key in ("counts", "oracle") if key in row)
    if "wrong" in row:
        scores = (replace(scores[0], breakdown=_read_breakdown(row["wrong"], scores[0].counts)), *scores[1:])
    picked = None if row["picked"] is None else 0
    if (picked is None) == ("counts" in row) or row["status"] != "ok":
        raise ValueError("picked and counts do not fit")
    if any(row[key] is not None and _parse_count(row[key]) >= _parse_count(row["of"]) for key in ("picked", "best")):
        raise ValueError("picked and best are not among the proposals")
    return Outcome(
        case_id=case_id,
        prompt=prompt,
        tags=tags,
        digest=digest,
        pixels=pixels,
        proposal_scores=scores,
        picked=picked,
        empty_prediction=nothing,
    )


def _read_proposal(numbers: Sequence[Any], nothing: Counts) -> ProposalScore:
    """Read the counts of a proposal; refuse counts that do not add up to the size of the target."""
    checked = [_parse_count(number) for number in numbers]
    counts, inside = Counts(*checked[:4]), Counts(*checked[4:])
    if counts.target != nothing.target or counts.fp + counts.tn != nothing.tn:
        raise ValueError("counts do not add up to the target's")
    return ProposalScore(counts, inside)


def _read_breakdown(numbers: Sequence[Any], counts: Counts) -> Breakdown:
    """Read the error breakdown of the picked proposal, which must explain all wrong pixels; None in old files."""
    found = Breakdown(*(*map(_parse_count, numbers), counts.tp + counts.fp + counts.fn))
    false_positives = found.fp_boundary + found.fp_extent + found.fp_segment
    if (false_positives, sum(found.numbers[3:6])) != (counts.fp, counts.fn):
        raise ValueError("wrong does not add up to the wrong pixels of counts")
    return found


def _parse_count(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"expected a whole number from 0, got {number!r}")
    return number
