"""Case images: photo, target and proposals of selected cases, scaled down and stored with the run.

They are drawn while the data set is available, so reports can be rewritten later without it, on any machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import cv2
import numpy as np

from segqa.analysis.failure_clusters.clusters import Clusters
from segqa.data.case import Case
from segqa.data.dataset import Dataset
from segqa.data.mask import Image, Mask, resize_nearest
from segqa.data.remote_folder import prefetch
from segqa.data.rle import decode_mask, encode_mask
from segqa.errors import CaseError
from segqa.gate.baseline import digest_content, is_baseline
from segqa.gate.comparison import Comparison
from segqa.inference.pipeline import get_prediction
from segqa.inference.proposal_cache import CachedAnswer, ProposalCache
from segqa.report.case_selection import select
from segqa.report.drawing import decode_image, draw_strip, encode_image, error_map, fit
from segqa.runs.checksums import compute_checksum
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.scoring.metrics import boundary_iou, compute_band_width, count, hd95_and_nsd
from segqa.settings import ReportSettings
from segqa.support.environment import compute_fair_share
from segqa.support.escaping import to_line
from segqa.support.sqlite import Database

THUMBNAIL = 176
"""Length of a thumbnail's longer side, in pixels."""

BOUNDARY_TOLERANCE = 0.0075
"""Maximum distance between matching contours, as a share of the diagonal, following Csurka et al. (2013)."""

Before: TypeAlias = Mapping[str, Outcome]
"""Outcomes of an earlier run by case id; their predictions are shown as well."""

_GREY = 128
_TABLE = """
CREATE TABLE IF NOT EXISTS exhibits (
    case_id TEXT PRIMARY KEY, about TEXT, photo BLOB, thumbnail BLOB, key TEXT NOT NULL DEFAULT '', checksum INTEGER
) WITHOUT ROWID
"""
_ADDED = {"key": "TEXT NOT NULL DEFAULT ''", "checksum": "INTEGER"}
_COLUMNS = "case_id, about, photo, thumbnail, key, checksum"
_LOOKED_BACK = 3
_CHUNK_SIZE = 32
_VERSION = 1  # of the drawing


@dataclass(frozen=True, slots=True, eq=False)
class CaseImage:
    """A case drawn for display: photo, target, proposals and thumbnail.

    Attributes:
        case_id: the case.
        shape: `(height, width)` of photo and masks here.
        whole: `(height, width)` of the case itself, at which all scores are computed.
        target: the target mask, encoded by `rle.encode_mask`.
        masks: masks of the proposals, in the model's order.
        boxes: boxes of the proposals: x0, y0, x1, y1 in pixels of the photo here.
        before: the baseline's prediction; None where it is not known.
        measured: scores of the prediction that need pixels: `boundary_iou`, `boundary_f`, `hd95`, `pieces` of the
            prediction and `target_pieces`.
        photo: the bytes of an image file; empty without photos.
        thumbnail: the error map, as the bytes of a smaller one.
        key: equal for two case images drawn from the same inputs with the same settings; empty if unknown.
            With a baseline's prediction, the key starts with the key of the image without it.
    """

    case_id: str
    shape: tuple[int, int]
    whole: tuple[int, int]
    target: str
    masks: tuple[str, ...]
    boxes: tuple[tuple[float, ...], ...] = ()
    before: str | None = None
    measured: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    photo: bytes = b""
    thumbnail: bytes = b""
    key: str = ""

    @property
    def layers(self) -> dict[str, Any]:
        """All fields except the images, as JSON types."""
        return {
            "shape": self.shape,
            "whole": self.whole,
            "target": self.target,
            "masks": self.masks,
            "boxes": self.boxes,
            "before": self.before,
            "measured": dict(self.measured),
        }

    @property
    def size(self) -> int:
        """Approximate size in a page, in characters."""
        return (len(self.photo) + len(self.thumbnail)) * 4 // 3 + len(json.dumps(self.layers)) + 200

    def remove_photo(self, picked: int | None) -> CaseImage:
        """Return a copy without the photo, in the thumbnail too."""
        if not self.photo:
            return self
        target = decode_mask(self.target, self.shape)
        drawn = error_map(_blank(self.shape), self._prediction(picked), target)
        return replace(self, photo=b"", thumbnail=_thumbnail(drawn))

    def strip(self, picked: int | None) -> Image:
        """Return image, target, prediction and error map side by side."""
        picture = decode_image(self.photo) if self.photo else _blank(self.shape)
        return draw_strip(picture, self._prediction(picked), decode_mask(self.target, self.shape))

    def _prediction(self, picked: int | None) -> Mask:
        return np.zeros(self.shape, np.bool_) if picked is None else decode_mask(self.masks[picked], self.shape)


class CaseImages(Database):
    """The case images of a run, in an SQLite file beside its cases; damaged entries are ignored and drawn again."""

    def __init__(self, store: Store, run_id: str) -> None:
        super().__init__(_path(store, run_id), "exhibits", _TABLE)
        self._add_columns("exhibits", _ADDED)

    def case_ids(self) -> set[str]:
        """Return the ids of the cases that have an image."""
        return {row[0] for row in self._find_all(f"SELECT {_COLUMNS} FROM exhibits") if _is_whole(*row)}  # noqa: S608 - ours

    def has(self, case_id: str, key: str) -> bool:
        """Return whether the case has an image with this key, with or without a baseline's prediction."""
        found = self.get(case_id)
        return found is not None and found.key.startswith(key)

    def get(self, case_id: str) -> CaseImage | None:
        """Return the image of a case, or None if there is none."""
        row = self._find(f"SELECT {_COLUMNS} FROM exhibits WHERE case_id = ?", case_id)  # noqa: S608 - ours
        if row is None or not _is_whole(*row):
            return None
        _, text, photo, thumbnail, key, _ = row
        about: dict[str, Any] = json.loads(text)
        about |= {name: tuple(about[name]) for name in ("shape", "whole", "masks")}
        about["boxes"] = tuple(tuple(box) for box in about["boxes"])
        return CaseImage(case_id, **about, photo=photo, thumbnail=thumbnail, key=key)

    def get_all(self, case_ids: Iterable[str], limit: int) -> Iterator[CaseImage]:
        """Return the images of these cases in this order, up to the limit; cases without an image are skipped."""
        there = self.case_ids()
        for case_id in islice((case_id for case_id in case_ids if case_id in there), limit):
            case_image = self.get(case_id)
            if case_image is not None:
                yield case_image

    def put(self, case_images: Iterable[CaseImage]) -> None:
        """Store case images, replacing those of the same cases."""
        found = [(e.case_id, json.dumps(e.layers), e.photo, e.thumbnail, e.key) for e in case_images]
        rows = [(*values, _compute_checksum(*values)) for values in found]
        into = f"INSERT OR REPLACE INTO exhibits ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - ours
        with self._open_transaction():
            self._database.executemany(into, rows)


def _compute_checksum(case_id: str, about: str, photo: bytes, thumbnail: bytes, key: str) -> int:
    """Return the checksum of a case image as stored in the file."""
    return compute_checksum((case_id, about, key), photo, thumbnail)


def _is_whole(*row: Any) -> bool:
    """Return whether a case image matches its checksum, the last column; earlier versions have none."""
    *values, checksum = row
    try:
        return checksum is None or checksum == _compute_checksum(*values)
    except TypeError:  # the stored type differs from the one written
        return False


def draw_case_images(
    run: Run,
    outcomes: Iterable[Outcome],
    dataset: Dataset,
    store: Store,
    *,
    size: int = 512,
    photos: bool = True,
    before: Before = MappingProxyType({}),
) -> None:
    """Draw these outcomes and store them with the run; skip cases whose pixels are missing or have changed.

    Images that a recent run of the same model drew from the same inputs are reused.

    Args:
        run: kept in the store, as are its proposals.
        outcomes: of the run.
        dataset: the source of the pixels.
        store: the store of the run.
        size: maximum length of the longer side, in pixels.
        photos: keep the photos; without them, the masks are shown on grey.
        before: outcomes of an earlier run with the same pixels; their predictions are shown as well.
    """
    outcomes = [outcome for outcome in outcomes if outcome.proposals_key]
    cases = dataset.select_ids({outcome.case_id for outcome in outcomes})
    outcomes = [outcome for outcome in outcomes if outcome.case_id in cases]
    with ExitStack() as stack, CaseImages(store, run.id) as case_images:
        cache = stack.enter_context(ProposalCache(store.proposals_path(run.id)))
        others = [stack.enter_context(each) for each in _read_earlier_images(run, store)]
        wanted = [(each, _key(each, before.get(each.case_id), size=size, photos=photos)) for each in outcomes]
        drawn = [next((other for other in others if other.has(each.case_id, key)), None) for each, key in wanted]
        new = [each for each, other in zip(wanted, drawn, strict=True) if other is None]
        stack.enter_context(prefetch(cases[outcome.case_id] for outcome, _ in new))
        # the slow parts are in OpenCV and Pillow, which release the GIL; only this thread reads files
        drawers = stack.enter_context(ThreadPoolExecutor(compute_fair_share(1), "segqa-draw"))

        def begin(outcome: Outcome, key: str) -> Callable[[], CaseImage | None]:
            pixels = _read(cases[outcome.case_id], outcome, cache)
            if pixels is None:
                return lambda: None
            shown = _prediction_before(before.get(outcome.case_id), cache, pixels)
            return drawers.submit(_draw_or_warn, outcome, pixels, shown, key=key, size=size, photos=photos).result

        # draw some while the next ones are read, and the first while the others are reused
        first, *rest = [new[start : start + _CHUNK_SIZE] for start in range(0, len(new), _CHUNK_SIZE)] or [[]]
        begun = [begin(*each) for each in first]
        case_images.put(_reuse_image(wanted, drawn))
        for part in [*rest, []]:
            begun, done = [begin(*each) for each in part], begun
            case_images.put(filter(None, (finish() for finish in done)))


def draw_choice(
    found: Sequence[tuple[Clusters, Comparison | None]], dataset: Dataset, store: Store, settings: ReportSettings
) -> None:
    """Select cases in each run and draw all of them in every run, so that the runs can be compared.

    Existing images are kept.

    Args:
        found: the clusters of each run, and its comparison with a baseline if there is one.
        dataset: the source of the pixels.
        store: the store of the runs.
        settings: number and size of the images, with or without photos.
    """
    chosen = [select(clusters, comparison, settings.images) for clusters, comparison in found]
    wanted = {case_id for outcomes in chosen for case_id in outcomes.ids}
    for clusters, comparison in found:
        run = clusters.run
        with CaseImages(store, run.id) as case_images:
            missing = wanted - case_images.case_ids()
        draw_case_images(
            run,
            run.columns.take(run.columns.ids.is_among(missing)),
            dataset,
            store,
            size=settings.image_size,
            photos=settings.photos,
            before=earlier_outcomes(comparison.baseline, store, missing) if comparison else {},
        )


def earlier_outcomes(baseline: Run, store: Store, case_ids: Collection[str]) -> Before:
    """Return the outcomes of these cases in a baseline, with the keys of their cached proposals where available.

    A baseline file has no masks. The store may still hold the run it was made from, or another run of the same
    model. The proposal with the same counts is then the prediction.
    """
    if not is_baseline(baseline):
        return _index_by_id(baseline, case_ids)
    twin = store.find_last_with(baseline.model, str(baseline.provenance["fingerprint"] or ""))
    if twin is None:
        return {}
    wanted = _index_by_id(baseline, case_ids)
    pairs = [(kept, wanted[kept.case_id]) for kept in store.read_outcomes(twin, wanted)]
    return {kept.case_id: again for kept, outcome in pairs if (again := _repick(kept, outcome)) is not None}


def _index_by_id(run: Run, case_ids: Collection[str]) -> Before:
    return {outcome.case_id: outcome for outcome in run.columns.take(run.columns.ids.is_among(case_ids))}


def _path(store: Store, run_id: str) -> Path:
    """Return the path of a run's case images."""
    return store.run_folder(run_id) / "exhibits.sqlite"


def _key(outcome: Outcome, before: Outcome | None, *, size: int, photos: bool) -> str:
    """Return a key of the inputs and settings that a case image is drawn from."""
    key = _hash([_VERSION, outcome.digest, outcome.proposals_key, outcome.picked, size, photos])
    return key if before is None else key + _hash([before.proposals_key, before.picked])


def _hash(values: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]


def _read_earlier_images(run: Run, store: Store) -> Iterator[CaseImages]:
    """Open the case images of recent runs of the same model."""
    recent = store.find_recent(run.model, run.dataset, _LOOKED_BACK + 1)
    return (CaseImages(store, each) for each in recent if each != run.id and _path(store, each).is_file())


def _reuse_image(wanted: Iterable[tuple[Outcome, str]], drawn: Iterable[CaseImages | None]) -> Iterator[CaseImage]:
    """Yield images already drawn from the same inputs, without a baseline's prediction if none is wanted."""
    for (outcome, key), other in zip(wanted, drawn, strict=True):
        found = None if other is None else other.get(outcome.case_id)
        if found is not None:
            yield found if found.key == key else replace(found, before=None, key=key)


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    """The full-size pixel data of a case."""

    image: Image
    target: Mask
    answer: CachedAnswer


def _read(case: Case, outcome: Outcome, cache: ProposalCache) -> _Pixels | None:
    """Return the pixels of a case, or None if they are missing or differ from those evaluated."""
    answer = cache.find(bytes.fromhex(outcome.proposals_key))
    if answer is None:
        return None
    try:
        if (case.digest() + case.target_digest()).hex() != outcome.digest:
            return None
        return _Pixels(case.image(), case.target(), answer)
    except CaseError:
        return None


def _draw_or_warn(
    outcome: Outcome, pixels: _Pixels, before: Mask | None, *, key: str, size: int, photos: bool
) -> CaseImage | None:
    """Draw a case image; warn and return None if drawing fails, since the scores are still valid."""
    try:
        return _draw(outcome, pixels, before, key=key, size=size, photos=photos)
    except Exception as error:  # noqa: BLE001 - one failed image must not end the session
        why = f"{type(error).__name__}: {error}"
        warnings.warn(to_line(f"case {outcome.case_id} has no picture, drawing it failed: {why}"), stacklevel=1)
        return None


def _draw(outcome: Outcome, pixels: _Pixels, before: Mask | None, *, key: str, size: int, photos: bool) -> CaseImage:
    """Draw the image of a case."""
    whole = pixels.target.shape[0], pixels.target.shape[1]
    photo = fit(pixels.image, size, size)
    shape = photo.shape[0], photo.shape[1]
    target = resize_nearest(pixels.target, shape)
    proposals = pixels.answer.proposals
    prediction = get_prediction(proposals, outcome.picked, whole)
    background = photo if photos else _blank(shape)
    drawn = error_map(background, resize_nearest(prediction, shape), target)
    scale = shape[1] / proposals.masks.shape[2]
    return CaseImage(
        case_id=outcome.case_id,
        shape=shape,
        whole=whole,
        target=encode_mask(target),
        masks=tuple(encode_mask(resize_nearest(mask, shape)) for mask in proposals.masks),
        boxes=tuple(
            tuple(round(float(edge) * scale, 1) for edge in (box if np.isfinite(box).all() else np.zeros(4)))
            for box in proposals.boxes
        ),
        before=None if before is None else encode_mask(resize_nearest(before, shape)),
        measured=_measure(prediction, pixels.target),
        photo=encode_image(photo) if photos else b"",
        thumbnail=_thumbnail(drawn),
        key=key,
    )


def _thumbnail(drawn: Image) -> bytes:
    return encode_image(fit(drawn, THUMBNAIL, THUMBNAIL))


def _measure(prediction: Mask, target: Mask) -> dict[str, float]:
    """Compute the scores that need pixels; undefined ones are omitted."""
    tolerance = compute_band_width(target.shape, BOUNDARY_TOLERANCE)
    distance, share = hd95_and_nsd(prediction, target, tolerance=tolerance, empty="nan")
    found = {
        "boundary_iou": boundary_iou(prediction, target, empty="nan"),
        "boundary_f": share,
        "hd95": distance,
        "pieces": float(_pieces(prediction)),
        "target_pieces": float(_pieces(target)),
    }
    return {name: round(value, 4) for name, value in found.items() if math.isfinite(value)}


def _pieces(mask: Mask) -> int:
    """Return the number of connected components of a mask."""
    return cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[0] - 1


def _prediction_before(outcome: Outcome | None, cache: ProposalCache, pixels: _Pixels) -> Mask | None:
    """Return an earlier run's prediction for the same case, or None if it is no longer known."""
    if outcome is None or outcome.error:
        return None
    shape = pixels.target.shape[0], pixels.target.shape[1]
    if outcome.picked is None:
        return np.zeros(shape, np.bool_)
    answer = cache.find(bytes.fromhex(outcome.proposals_key)) if outcome.proposals_key else None
    if answer is None:
        return None
    prediction = get_prediction(answer.proposals, outcome.picked, shape)
    return prediction if count(prediction, pixels.target) == outcome.counts else None


def _repick(kept: Outcome, outcome: Outcome) -> Outcome | None:
    """Return the cached outcome with the proposal picked that matches the baseline's outcome, or None."""
    if kept.error or outcome.error or digest_content(kept.digest, kept.prompt) != outcome.digest:
        return None
    if outcome.picked is None:
        return replace(kept, picked=None)
    wanted = outcome.proposal_scores[outcome.picked].numbers
    found = [index for index, offer in enumerate(kept.proposal_scores) if offer.numbers == wanted]
    return replace(kept, picked=found[0]) if found else None


def _blank(shape: tuple[int, int]) -> Image:
    """Return the grey background for masks shown without photos."""
    return np.full((*shape, 3), _GREY, dtype=np.uint8)
