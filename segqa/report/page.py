"""Review page as HTML, with its embedded data, images and content security policy.

From top to bottom: verdict, location and kind of the failures, examples, commands to reproduce them, next steps.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from segqa.analysis.label_errors import LabelError
from segqa.report.case_selection import NOISE
from segqa.report.examples import PageCases
from segqa.report.exports import JudgedRun
from segqa.report.page_data import KIND_NAMES, CaseListing, case_key, columns, link
from segqa.report.page_images import FILES, PageImages, clear_files, collect, queues, write_files
from segqa.report.sections import build_section, get_verdict_word
from segqa.report.session_result import SessionResult, behaviour_table
from segqa.report.tables import has_choice, name_runs, show_line_up
from segqa.report.templates import part, render
from segqa.runs.failure_kinds import KINDS
from segqa.runs.run import Run
from segqa.runs.store import Store, write_whole
from segqa.settings import ReportSettings

_CHUNK_SIZE = 4096

KEYS = (
    (("j", "k"), "next and previous case of the list, as the arrows do"),
    (("Enter", "Esc"), "open the case, close it"),
    (("Space",), "hold to hide the masks"),
    (("[", "]"), "less and more opacity"),
    (("o",), "outlines only"),
    (("e", "g", "p"), "error map, target, prediction on and off"),
    (("0", "…", "9"), "the proposal with this number"),
    (("r",), "the picked one again"),
    (("b",), "the baseline's prediction"),
    (("v",), "four panes, slider, one"),
    (("+", "-", "f"), "zoom in, out, fit; the wheel zooms, dragging moves"),
    (("n",), "the next newly failing case"),
    (("m",), "the same case in the next run"),
    (("a", "x", "l"), "accept as known, bug, label error"),
    (("c", "y"), "copy the command, copy the link"),
    (("/", "?"), "search, this list"),
)


def write_review(
    judged: Sequence[JudgedRun],
    store: Store,
    folder: Path,
    *,
    ending: SessionResult | None = None,
    suspicions: Sequence[LabelError] = (),
    settings: ReportSettings | None = None,
) -> Path:
    """Write the review page of some runs.

    Args:
        judged: the runs with their gate verdicts.
        store: the store of the runs and their case images.
        folder: output folder; created if it does not exist.
        ending: the test results; None without tests.
        suspicions: the labels to check.
        settings: format and size of the page.

    Returns:
        The file to open: `index.html`, or `report.json`.
    """
    settings = settings or ReportSettings()
    listings = [CaseListing.from_run(one) for one in judged]
    content = _Content(judged, ending, suspicions, settings, listings, [_members(columns(each)) for each in listings])
    clear_files(folder)
    queued = queues(judged, store, settings)
    room = limit = settings.max_mb * 1e6
    while True:
        collection = collect(queued, room)
        pieces = [*(_json if settings.format == "json" else _page)(content, collection)]
        excess = sum(map(_size, pieces)) - limit
        if excess <= 0 or not collection.all:
            break
        room -= excess
    if settings.format == "dir":
        write_files(collection, folder)
    path = folder / ("report.json" if settings.format == "json" else "index.html")
    write_whole(path, pieces)
    return path


@dataclass(frozen=True, slots=True, eq=False)
class _Content:
    """The contents of a page, except its case images.

    Attributes:
        judged: the runs with their gate verdicts.
        ending: the test results.
        suspicions: the labels to check.
        settings: format and size of the page.
        listings: of the runs.
        columns: of the listed cases of each, as the members of an object in JSON, each with a comma behind it.
    """

    judged: Sequence[JudgedRun]
    ending: SessionResult | None
    suspicions: Sequence[LabelError]
    settings: ReportSettings
    listings: Sequence[CaseListing]
    columns: Sequence[Sequence[str]]


def _data(content: _Content, collection: PageImages) -> Iterator[str]:
    """Yield the data of the page's script as JSON, in pieces to save memory."""
    ids = (each.listed.columns.ids for each in content.listings)
    case_images = (
        {place: numbers[case_id] for place, case_id in enumerate(known) if case_id in numbers}
        for known, numbers in zip(ids, collection.numbers, strict=True)
    )
    known = {
        "version": 1,
        "noise": NOISE,
        "kinds": KIND_NAMES,
        "meanings": ["the threshold is met", *(kind.meaning for kind in KINDS.values())],
        "photos": collection.has_photos,
        "files": FILES if content.settings.format == "dir" else "",
        "suffix": collection.suffix,
        "open": _newest([each.judged.run for each in content.listings]),
    }
    names = name_runs([each.judged.run for each in content.listings])
    yield f'{to_script_json(known)[:-1]},"runs":['
    for number, (run, shown) in enumerate(zip(content.columns, case_images, strict=True)):
        yield ",{" if number else "{"
        yield from run
        listed = content.listings[number].listed
        yield f'"name":{to_script_json(names[number])},"choice":{to_script_json(has_choice(listed))},'
        yield f'"counts":{to_script_json(_collect_counts(listed, list(shown)))},'
        yield f'"exhibit":{to_script_json(shown)}}}'
    yield "]}"


def _collect_counts(run: Run, places: Sequence[int]) -> dict[int, list[tuple[int, int, int]]]:
    """Return true positives, false positives and false negatives of each proposal of some cases, by case position."""
    cases = run.columns.take(np.array(places, np.int64))
    counts = ([(each.counts.tp, each.counts.fp, each.counts.fn) for each in case.proposal_scores] for case in cases)
    return dict(zip(places, counts, strict=True))


def _newest(runs: Sequence[Run]) -> int:
    """Return the number of the run that the page opens on: the latest run of the first run's model."""
    same = [number for number, run in enumerate(runs) if (run.model, run.dataset) == (runs[0].model, runs[0].dataset)]
    return max(same, key=lambda number: (str(runs[number].provenance.get("started", "")), number))


def _json(content: _Content, collection: PageImages) -> Iterator[str]:
    """Write the numbers only, as JSON."""
    known = json.loads("".join(_data(content, collection)))
    yield json.dumps(known, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _page(content: _Content, collection: PageImages) -> Iterator[str]:
    """Render the page; the template escapes external text, or it is JSON that no tag can end."""
    judged, in_files = content.judged, content.settings.format == "dir"
    script = part("review.js")
    runs = [one.run for one in judged]
    shown = [
        PageCases({case_image.case_id: case_image for case_image, _ in case_images}, numbers)
        for case_images, numbers in zip(collection.by_run, collection.numbers, strict=True)
    ]
    return render(
        "review.html",
        sections=[build_section(one, place, shown[place], listed=in_files) for place, one in enumerate(judged)],
        names=name_runs(runs),
        side_by_side=show_line_up(runs, judged[0].group_by),
        verdict=get_verdict_word(judged, content.ending),
        total=sum(content.ending.counts.values()) if content.ending else 0,
        ending=content.ending,
        behaviour=behaviour_table(content.ending.behaviour).format_cells() if content.ending else [],
        suspicions=[
            (one, _first_with([each.listed for each in content.listings], one.case_id)) for one in content.suspicions
        ],
        case_images=[
            to_script_json(case_image.layers | {"photo": photo})
            for case_image, photo in zip(collection.all, collection.photos, strict=True)
        ],
        pictures=[] if in_files else list(collection.encode()),
        suffix=collection.suffix,
        data=_data(content, collection),
        kept=_describe_images(judged, collection, content.settings),
        unlisted=[(each.judged.run, len(each.listed.outcomes)) for each in content.listings if each.left_out],
        policy="" if in_files else _policy(script),
        keys_told=KEYS,
        files=FILES if in_files else "",
        script=script,
        style=part("review.css"),
        link=link,
        key=case_key,
    )


def to_script_json(value: object) -> str:
    r"""Encode JSON for a script element: nothing in it ends the element or begins a comment.

    >>> print(to_script_json("</script>"))
    "\u003c/script>"
    """
    if isinstance(value, Iterator):
        return (
            f"[{','.join(to_script_json(some)[1:-1] for some in iter(lambda: list(islice(value, _CHUNK_SIZE)), []))}]"
        )
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _members(named: Iterable[tuple[str, Any]]) -> list[str]:
    """Yield the members of a JSON object, each followed by a comma."""
    return [f"{to_script_json(name)}:{to_script_json(value)}," for name, value in named]


def _size(piece: str) -> int:
    """Return the size in bytes in a file."""
    return len(piece) if piece.isascii() else len(piece.encode())


def _first_with(runs: Sequence[Run], case_id: str) -> int | None:
    """Return the number of the first run that has a case."""
    return next((number for number, run in enumerate(runs) if case_id in run.columns.ids), None)


def _policy(script: str) -> str:
    """Return a content security policy that runs only the page's own script and fetches nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    fixed = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return f"{fixed}; script-src 'sha256-{digest}'"


def _describe_images(judged: Sequence[JudgedRun], collection: PageImages, settings: ReportSettings) -> str:
    """Describe which images the page has, and how to get more."""
    total = sum(len(one.run.outcomes) for one in judged)
    what = "photos and masks" if collection.has_photos else "masks, and no photo,"
    text = (
        f"This page contains {what} of {len(collection.all)} of {total} cases: those that newly fail, then in turn the "
        "worst of each cluster, kind and slice, the greatest changes, and some that pass."
    )
    if collection.left_out:
        text += f" {collection.left_out} more would make it larger than {settings.max_mb:g} MB (--segqa-report-max-mb)."
    return f"{text} More with --segqa-report-images=N, without photos with --segqa-report-images=none."
