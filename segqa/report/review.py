"""The review page: what a person opens after a run.

It answers, from top to bottom: is it worse, where, what kind, show me, how do I reproduce it, what do I do with it?
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from segqa.failures import KINDS
from segqa.labels import Suspicion
from segqa.report.columns import KIND_NAMES, case_key, columns
from segqa.report.drawing import encode_picture, media_type
from segqa.report.ending import Ending
from segqa.report.examples import Shown
from segqa.report.exhibits import Exhibit, Exhibits
from segqa.report.lineup import line_up
from segqa.report.sections import section_of, verdict_of
from segqa.report.selection import select
from segqa.report.verdict import Judged
from segqa.settings import ReportSettings
from segqa.store import Store, write_whole

KEYS = (
    (("j", "k"), "next and previous case of the list, as the arrows do"),
    (("Enter", "Esc"), "open the case, close it"),
    (("Space",), "hold to hide the masks"),
    (("[", "]"), "less and more opacity"),
    (("o",), "outlines only"),
    (("e", "g", "p"), "error map, target, prediction on and off"),
    (("1", "…", "9"), "the first, … ninth proposal"),
    (("0",), "the picked one"),
    (("b",), "the baseline's prediction"),
    (("v",), "four panes, slider, one"),
    (("+", "-", "f"), "zoom in, out, fit; the wheel zooms, dragging moves"),
    (("n",), "the next newly failing case"),
    (("m",), "the same case in the next run"),
    (("a", "x", "l"), "accept as known, bug, label error"),
    (("c", "y"), "copy the command, copy the link"),
    (("/", "?"), "search, this list"),
)
_FOLDERS = ("im", "th", "strips")
_FRAME = 110_000  # the page without any case


@dataclass(frozen=True, slots=True, eq=False)
class _Picked:
    """The exhibits of a page.

    Attributes:
        by_run: for each run, in order of importance.
        numbers: for each run the number of each case's exhibit, counted through all runs.
        left_out: how many there would be beside them.
    """

    by_run: list[list[Exhibit]]
    numbers: list[dict[str, int]]
    left_out: int

    @property
    def all(self) -> list[Exhibit]:
        """Those of all runs, by their numbers."""
        return [exhibit for exhibits in self.by_run for exhibit in exhibits]

    @property
    def photos(self) -> list[int]:
        """For each exhibit the number of the first one with the same photo: runs over one data set share them."""
        first: dict[bytes, int] = {}
        return [first.setdefault(exhibit.photo, number) for number, exhibit in enumerate(self.all)]

    @property
    def has_photos(self) -> bool:
        """Whether there are photos to be shown."""
        return any(exhibit.photo for exhibit in self.all)


def write_review(
    judged: Sequence[Judged],
    store: Store,
    folder: Path,
    *,
    ending: Ending | None = None,
    suspicions: Sequence[Suspicion] = (),
    settings: ReportSettings | None = None,
) -> Path:
    """Write the review page of some runs.

    Args:
        judged: the runs, with what the gate says of them.
        store: where they are, with their exhibits.
        folder: where to write; made if it is not there.
        ending: how the tests went; None where there were none.
        suspicions: the labels that one should check.
        settings: form and size of the page.

    Returns:
        The file to open: `index.html`, or `report.json`.
    """
    settings = settings or ReportSettings()
    data: dict[str, Any] = {
        "version": 1,
        "kinds": KIND_NAMES,
        "meanings": ["the threshold is met", *KINDS.values()],
        "runs": [columns(one) for one in judged],
    }
    picked = _picked(judged, store, settings, room=settings.max_mb * 1e6 - _FRAME - len(as_data(data)))
    for run, numbers in zip(data["runs"], picked.numbers, strict=True):
        run["exhibit"] = {place: numbers[case_id] for place, case_id in enumerate(run["id"]) if case_id in numbers}
    data["photos"] = picked.has_photos
    data["pictures"] = _write_files(picked, judged, folder) if settings.format == "dir" else ""
    if settings.format == "json":
        path, text = folder / "report.json", json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    else:
        path, text = folder / "index.html", _render(judged, picked, data, ending, suspicions, settings)
    write_whole(path, text)
    return path


def _picked(judged: Sequence[Judged], store: Store, settings: ReportSettings, room: float) -> _Picked:
    """The exhibits that there is room for, in turn from each run."""
    queues = [_in_order(one, store, settings.images * len(judged), photos=settings.photos) for one in judged]
    by_run: list[list[Exhibit]] = [[] for _ in judged]
    seen: set[bytes] = set()
    for number, exhibit in _in_turn(queues):
        room -= exhibit.size - (len(exhibit.photo) * 4 // 3 if exhibit.photo in seen else 0)
        if room >= 0:
            by_run[number].append(exhibit)
            seen.add(exhibit.photo)
    numbers: list[dict[str, int]] = []
    for exhibits in by_run:
        start = sum(map(len, numbers))
        numbers.append({exhibit.case_id: start + place for place, exhibit in enumerate(exhibits)})
    return _Picked(by_run, numbers, sum(map(len, queues)) - sum(map(len, by_run)))


def _in_turn(queues: Sequence[Sequence[Exhibit]]) -> Iterator[tuple[int, Exhibit]]:
    """The first of each run, with the run's number, then the second of each, and so on."""
    for row in zip_longest(*queues):
        for number, exhibit in enumerate(row):
            if exhibit is not None:
                yield number, exhibit


def _in_order(judged: Judged, store: Store, limit: int, *, photos: bool) -> list[Exhibit]:
    """The exhibits of a run, the most important first."""
    comparison = judged.verdict.comparison if judged.verdict else None
    order = {o.case_id: o.picked for o in select(judged.clusters, comparison, len(judged.run.outcomes))}
    if not store.run_folder(judged.run.id).is_dir():
        return []
    with Exhibits(store, judged.run.id) as exhibits:
        found = exhibits.get_all(order, limit)
        return [exhibit if photos else exhibit.without_photo(order[exhibit.case_id]) for exhibit in found]


def _render(
    judged: Sequence[Judged],
    picked: _Picked,
    data: dict[str, Any],
    ending: Ending | None,
    suspicions: Sequence[Suspicion],
    settings: ReportSettings,
) -> str:
    """The page; whatever comes from outside is escaped by the template, or is JSON that no tag can end."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    files = data["pictures"]

    environment = Environment(
        loader=PackageLoader("segqa.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = (_part(environment, name) for name in ("review.js", "review.css"))
    runs = [one.run for one in judged]
    shown = [
        Shown({exhibit.case_id: exhibit for exhibit in exhibits}, numbers)
        for exhibits, numbers in zip(picked.by_run, picked.numbers, strict=True)
    ]
    sections = [section_of(one, place, shown[place], link) for place, one in enumerate(judged)]
    return environment.get_template("review.html").render(
        sections=sections,
        side_by_side=line_up(runs).shown() if len(runs) > 1 else None,
        verdict=verdict_of(judged, ending),
        ending=ending,
        suspicions=suspicions,
        exhibits=[
            as_data(exhibit.layers | {"photo": photo}) for exhibit, photo in zip(picked.all, picked.photos, strict=True)
        ],
        pictures=[] if files else list(_pictures(picked)),
        data=as_data(data),
        kept=_kept(judged, picked, settings),
        policy="" if files else _policy(script),
        keys_told=KEYS,
        files=files,
        script=script,
        style=style,
        link=link,
        key=case_key,
    )


def link(number: int, **parameters: object) -> str:
    """What stands behind the `#` of an address: a run, a case or a filter of its cases.

    >>> link(1, kind="missed")
    'run=1&kind=missed'
    """
    return urlencode({**({"run": number} if number else {}), **parameters})


def as_data(value: object) -> str:
    r"""JSON that can stand in a page: nothing in it ends a script element or begins a comment.

    >>> print(as_data("</script>"))
    "\u003c/script>"
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _policy(script: str) -> str:
    """A content security policy under which nothing runs but our script, and nothing is fetched."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    fixed = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return f"{fixed}; script-src 'sha256-{digest}'"


def _part(environment: Any, name: str) -> str:
    """A file beside the template, as it is."""
    source: str = environment.loader.get_source(environment, name)[0]
    return source


def _pictures(picked: _Picked) -> Iterator[tuple[str, int, str, str]]:
    """For each picture its kind, number, type, and itself in base64."""
    for number, (exhibit, photo) in enumerate(zip(picked.all, picked.photos, strict=True)):
        wanted = {"th": exhibit.thumbnail, "im": exhibit.photo if photo == number else b""}
        for kind, encoded in wanted.items():
            if encoded:
                yield kind, number, media_type(encoded), base64.b64encode(encoded).decode()


def _write_files(picked: _Picked, judged: Sequence[Judged], folder: Path) -> str:
    """Pictures, strips, style and script as files of their own; the suffix of the pictures."""
    from importlib.resources import files

    suffix = next((media_type(exhibit.thumbnail).removeprefix("image/") for exhibit in picked.all), "webp")
    for name in ("review.js", "review.css"):
        write_whole(folder / name, (files("segqa.report") / "templates" / name).read_text(encoding="utf-8"))
    for kind in _FOLDERS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for old in (folder / kind).glob(f"[0-9]*.{suffix}"):
            old.unlink()
    chosen = [{outcome.case_id: outcome.picked for outcome in one.run.outcomes} for one in judged]
    shown = [picks[e.case_id] for picks, exhibits in zip(chosen, picked.by_run, strict=True) for e in exhibits]
    for number, (exhibit, pick) in enumerate(zip(picked.all, shown, strict=True)):
        pictures = (exhibit.photo, exhibit.thumbnail, encode_picture(exhibit.strip(pick)))
        for kind, encoded in zip(_FOLDERS, pictures, strict=True):
            if encoded:
                (folder / kind / f"{number}.{suffix}").write_bytes(encoded)
    return suffix


def _kept(judged: Sequence[Judged], picked: _Picked, settings: ReportSettings) -> str:
    """Which pictures the page has, and how there would be more."""
    total = sum(len(one.run.outcomes) for one in judged)
    what = "photos and masks" if picked.has_photos else "masks, and no photo,"
    text = (
        f"This page contains {what} of {len(picked.all)} of {total} cases: all that newly fail, then in turn the worst "
        "of each cluster, kind and slice, the greatest changes, and some that pass."
    )
    if picked.left_out:
        text += f" {picked.left_out} more would make it larger than {settings.max_mb:g} MB (--segqa-report-max-mb)."
    return f"{text} More with --segqa-report-images=N, without photos with --segqa-report-images=none."
