"""Case images of a review page: selection within the size limit, encoding, and files beside the page."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias

from segqa.report.case_images import CaseImage, CaseImages
from segqa.report.case_selection import select
from segqa.report.drawing import encode_image, media_type
from segqa.report.exports import JudgedRun
from segqa.report.templates import part
from segqa.runs.store import Store, write_whole
from segqa.settings import ReportSettings

Queue: TypeAlias = Sequence[tuple[CaseImage, int | None]]
"""The case images of a run, the most important first, each with its picked proposal."""

FILES = "index_files"
"""The folder of a page's files, beside the page; segqa owns everything in it."""


@dataclass(frozen=True, slots=True, eq=False)
class PageImages:
    """The case images of a page.

    Attributes:
        by_run: for each run, in order of importance, each with its picked proposal.
        left_out: number of case images left out.
    """

    by_run: list[list[tuple[CaseImage, int | None]]]
    left_out: int

    @property
    def all(self) -> list[CaseImage]:
        """The case images of all runs; their positions here are their numbers in the page."""
        return [case_image for case_images in self.by_run for case_image, _ in case_images]

    @property
    def numbers(self) -> list[dict[str, int]]:
        """For each run, the number of each case's image."""
        starts = [sum(map(len, self.by_run[:place])) for place in range(len(self.by_run))]
        return [
            {case_image.case_id: start + place for place, (case_image, _) in enumerate(case_images)}
            for start, case_images in zip(starts, self.by_run, strict=True)
        ]

    @property
    def photos(self) -> list[int]:
        """For each case image, the number of the first one with the same photo, shared by runs on one data set."""
        first: dict[bytes, int] = {}
        return [first.setdefault(case_image.photo, number) for number, case_image in enumerate(self.all)]

    @property
    def has_photos(self) -> bool:
        """True if there are photos to show."""
        return any(case_image.photo for case_image in self.all)

    @property
    def suffix(self) -> str:
        """The file suffix of the images."""
        return next((media_type(case_image.thumbnail).removeprefix("image/") for case_image in self.all), "webp")

    def encode(self) -> Iterator[tuple[str, int, str, str]]:
        """Yield each image's kind, number, media type and base64 data."""
        for number, (case_image, photo) in enumerate(zip(self.all, self.photos, strict=True)):
            wanted = {"th": case_image.thumbnail, "im": case_image.photo if photo == number else b""}
            for kind, encoded in wanted.items():
                if encoded:
                    yield kind, number, media_type(encoded), base64.b64encode(encoded).decode()


def queues(judged: Sequence[JudgedRun], store: Store, settings: ReportSettings) -> list[Queue]:
    """Return the case images of each run, up to the configured number."""
    return [_queue(one, store, settings.images * len(judged), photos=settings.photos) for one in judged]


def collect(queued: Sequence[Queue], room: float) -> PageImages:
    """Collect case images in turn from each run until the space is used up.

    Args:
        queued: the case images of each run.
        room: available space in characters.
    """
    by_run: list[list[tuple[CaseImage, int | None]]] = [[] for _ in queued]
    seen: set[bytes] = set()
    for row in zip_longest(*queued):
        for number, entry in enumerate(row):
            if entry is None:
                continue
            case_image = entry[0]
            room -= case_image.size - (len(case_image.photo) * 4 // 3 if case_image.photo in seen else 0)
            if room >= 0:
                by_run[number].append(entry)
                seen.add(case_image.photo)
    return PageImages(by_run, sum(map(len, queued)) - sum(map(len, by_run)))


def clear_files(folder: Path) -> None:
    """Remove the files of an earlier page, so that no photos stay beside a page without photos."""
    shutil.rmtree(folder / FILES, ignore_errors=True)


def write_files(collection: PageImages, folder: Path) -> None:
    """Write images, strips, style sheet and script of a page as separate files."""
    for name in ("review.js", "review.css"):
        write_whole(folder / FILES / name, part(name))
    for kind in ("im", "th", "strips"):
        (folder / FILES / kind).mkdir()
    entries = [entry for entries in collection.by_run for entry in entries]
    for number, (case_image, picked) in enumerate(entries):
        strip = encode_image(case_image.strip(picked))
        for kind, encoded in (("im", case_image.photo), ("th", case_image.thumbnail), ("strips", strip)):
            if encoded:
                (folder / FILES / kind / f"{number}.{collection.suffix}").write_bytes(encoded)


def _queue(judged: JudgedRun, store: Store, limit: int, *, photos: bool) -> Queue:
    """Return the case images of a run, the most important first."""
    comparison = judged.verdict.comparison if judged.verdict else None
    chosen = select(judged.clusters, comparison, len(judged.run.outcomes))
    picked = (None if pick < 0 else pick for pick in chosen.picked.tolist())
    order = dict(zip(chosen.ids, picked, strict=True))
    if not store.run_folder(judged.run.id).is_dir():
        return []
    with CaseImages(store, judged.run.id) as case_images:
        found = [(case_image, order[case_image.case_id]) for case_image in case_images.get_all(order, limit)]
    return found if photos else [(case_image.remove_photo(picked), picked) for case_image, picked in found]
