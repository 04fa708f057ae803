"""Cache measured image properties on disk; they depend on image and target alone, not on a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from segqa.data.case import Case
from segqa.data.dataset import Dataset
from segqa.data.image_io import READER
from segqa.data.remote_folder import prefetch
from segqa.errors import CaseError, DatasetError, SettingsError
from segqa.runs.checksums import compute_checksum
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import Condition, check_attributes, check_names, needs_pixels
from segqa.runs.slices import Edges, find_edges
from segqa.runs.store import Store
from segqa.scoring.properties import PROPERTIES, PROPERTY_VERSION, CaseProperties
from segqa.support.plurals import format_count
from segqa.support.sqlite import Database

_CHUNK_SIZE = 256
_TABLE = """
CREATE TABLE IF NOT EXISTS properties (
    key BLOB PRIMARY KEY, numbers TEXT, pixels TEXT, checksum INTEGER
) WITHOUT ROWID
"""
_ADDED = {"pixels": "TEXT", "checksum": "INTEGER"}


class PropertyCache(Database):
    """Properties in an SQLite file, written in batches; it may be read in one thread while another writes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "properties", _TABLE)
        self._add_columns("properties", _ADDED)

    def get(self, digests: bytes) -> CaseProperties | None:
        """What was measured on the image and target with these digests; None where nothing was, or it is damaged.

        A file of an earlier version has no digests of pixels, or no checksums: its entries are measured again.
        """
        key = _key(digests)
        row = self._find("SELECT numbers, pixels, checksum FROM properties WHERE key = ?", key)
        if row is None or row[2] != compute_checksum(row[:2], key):
            return None
        return CaseProperties(json.loads(row[0]), row[1])

    def put(self, measured: Iterable[tuple[bytes, CaseProperties]]) -> None:
        """Keep what was measured."""
        found = [(_key(digests), json.dumps(dict(each.properties)), each.pixels) for digests, each in measured]
        rows = [(key, *texts, compute_checksum(texts, key)) for key, *texts in found]
        into = "INSERT OR REPLACE INTO properties (key, numbers, pixels, checksum) VALUES (?, ?, ?, ?)"
        with self._open_transaction():
            self._database.executemany(into, rows)


def open_properties(store: Store) -> PropertyCache:
    """The properties kept beside a store's runs."""
    return PropertyCache(store.root / "properties.sqlite")


def narrow(dataset: Dataset, condition: Condition, store: Store) -> tuple[Dataset, Edges]:
    """The cases that a condition means, and the edges that numeric slices have over all of them.

    Pixels are read only if the condition needs them, and only of the cases that have not been measured yet. Where it
    does not need them the properties have no edges, and the part no slices by them: cut over the part alone they would
    mean other cases than over the whole.

    Raises:
        SettingsError: the condition names something that there is not, or how many `proposals` there are: that is not
            known before the model has been asked.
        DatasetError: no case is meant.
    """
    tags = dataset.tag_names
    require_attributes(dataset, condition)
    if needs_pixels(condition, tags):
        with open_properties(store) as cache:
            cases = Outcomes.from_outcomes(_measure_cases(dataset, cache, tags))
    else:
        cases = Outcomes.from_outcomes(Outcome(case_id=case.id, tags=case.tags) for case in dataset)
    edges = find_edges(cases)
    check_names(condition, cases, edges)
    kept = dataset.cases.take(np.flatnonzero(condition.holds(cases, edges)))
    if not len(kept):
        raise DatasetError(
            f"none of the {format_count(len(dataset), 'case')} of {dataset.name} is meant by {str(condition)!r}"
        )
    note = f"only the {len(kept)} of {format_count(len(dataset), 'case')} that {condition} means"
    return replace(dataset, cases=kept, notes=(*dataset.notes, note)), edges


def require_attributes(dataset: Dataset, condition: Condition) -> None:
    """Refuse a condition that names what no case of a data set has; no pixel is read.

    Raises:
        SettingsError: see `narrow`.
    """
    tags = dataset.tag_names
    if "proposals" in {predicate.name for predicate in condition.predicates()} - tags:
        raise SettingsError(
            f"{condition}: how many proposals there are only a run knows; `segqa show RUN --where` lists such cases"
        )
    check_attributes(condition, tags, PROPERTIES)


def _measure_cases(dataset: Dataset, cache: PropertyCache, hidden: Collection[str]) -> Iterator[Outcome]:
    """All cases with the properties that no tag hides; what is new is kept, some at a time."""
    new: dict[bytes, CaseProperties] = {}
    with prefetch(dataset):
        for case in dataset:
            found = _look(case, cache, new)
            shown = {name: value for name, value in found.items() if name not in hidden}
            yield Outcome(case_id=case.id, tags=case.tags, properties=shown)
            if len(new) >= _CHUNK_SIZE:
                cache.put(new.items())
                new.clear()
    cache.put(new.items())


def _look(case: Case, cache: PropertyCache, new: dict[bytes, CaseProperties]) -> Mapping[str, float]:
    """The properties of a case, kept or measured; none where it cannot be read."""
    try:
        digests = case.digest() + case.target_digest()
        found = cache.get(digests)
        if found is None:
            image, target = case.image(), case.target()
            if image.shape[:2] != target.shape:
                return {}
            found = new[digests] = CaseProperties.measure(image, target)
    except CaseError:
        return {}
    return found.properties


def _key(digests: bytes) -> bytes:
    """What the numbers depend on: image and target, how they are read and how they are measured."""
    return hashlib.sha256(digests + f" {PROPERTY_VERSION} {READER}".encode()).digest()[:16]
