"""A changed case is a case whose image has been changed; its target has moved along with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np

from segqa.case import Case, Source, Target
from segqa.datasets.dataset import Dataset
from segqa.mask import Image
from segqa.models.distortions import library_version
from segqa.robustness.changes import CHANGES, CHANGES_VERSION, Change

_MADE_BY = f"{CHANGES_VERSION}, albumentations {library_version()}, OpenCV {cv2.__version__}"


class Originals:
    """What was read of one source, the last that was asked for: the changes of one image come one after the other.

    Its methods are those of the source; each raises `CaseError` where that cannot be read.
    """

    def __init__(self) -> None:
        self._last: tuple[Source | None, dict[str, Any]] = (None, {})

    def image(self, source: Source) -> Image:
        """The image; not to be changed."""
        return cast("Image", self._read(source, "image"))

    def target(self, source: Source) -> Target:
        """The true mask; not to be changed."""
        return cast("Target", self._read(source, "target"))

    def digest(self, source: Source) -> bytes:
        """The image's."""
        return cast("bytes", self._read(source, "digest"))

    def target_digest(self, source: Source) -> bytes:
        """The target's."""
        return cast("bytes", self._read(source, "target_digest"))

    def stamp(self, source: Source) -> str:
        """That of both."""
        return cast("str", self._read(source, "stamp"))

    def _read(self, source: Source, what: str) -> Any:
        # held here, for another thread may go on to the next source
        last = self._last
        if last[0] is not source:
            last = self._last = (source, {})
        known = last[1]
        if what not in known:
            known[what] = getattr(source, what)()
        return known[what]


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """Where the pixels of a changed case come from.

    Attributes:
        original: where those of the unchanged one do.
        change: what is done to them.
        severity: how much of it.
        originals: the pixels that were read last.
    """

    original: Source
    change: Change
    severity: int
    originals: Originals

    def digest(self) -> bytes:
        """16 bytes that change with the original, the change and what makes it; a blank image has those of its size."""
        if self.change.empties:
            # the target's, which is the image's, but read in half the time
            return _hash(self._what, repr((*self.originals.target(self.original).mask.shape, 3)))
        target = self.originals.target_digest(self.original) if self.change.needs_target else b""
        return _hash(self._what, self.originals.digest(self.original), target)

    def image(self) -> Image:
        """The changed image; the same each time."""
        image, target = self.originals.image(self.original), self.originals.target(self.original)
        seed = int.from_bytes(_hash(self._what, self.originals.digest(self.original))[:4], "little")
        return self.change.image(self.severity, image, target.mask, seed)

    def target(self) -> Target:
        """The target of the original, as it lies in the changed image."""
        target = self.originals.target(self.original)
        if self.change.empties:
            return Target(np.zeros_like(target.mask))
        return replace(target, mask=self.change.mask(self.severity, target.mask)[0])

    def target_digest(self) -> bytes:
        """16 bytes that change with the original's, and with the change where that concerns the target."""
        original = self.originals.target_digest(self.original)
        return _hash(self._what, original) if self.change.moves or self.change.empties else original

    def stamp(self) -> str:
        """The original's, and what is done."""
        return f"{self.originals.stamp(self.original)} {self._what}"

    @property
    def _what(self) -> str:
        """What is done, by what."""
        return f"{self.change.name} {self.change.amount(self.severity)} {_MADE_BY}"


def changed_dataset(dataset: Dataset, changes: Iterable[Change] = CHANGES) -> Dataset:
    """Every case of a data set under every change and severity, as a data set of its own; no pixel is read.

    Its ids are those of the cases with what is done behind them (`0012~blur-2`), and it has the tags `change`,
    `severity`, `capability` and `of`, the case's own id.
    """
    originals, changes = Originals(), tuple(changes)
    cases = [changed for case in dataset for changed in _changed(case, changes, originals)]
    return Dataset.of(f"{dataset.name}-changed", cases, [f"{len(dataset)} cases of {dataset.name}, changed"])


def changed_id(case_id: str, change: Change, severity: int) -> str:
    """The id of a case when it has been changed."""
    return f"{case_id}~{change.name}-{severity}"


def _changed(case: Case, changes: Iterable[Change], originals: Originals) -> Iterator[Case]:
    """A case under every change and severity."""
    for change in changes:
        for severity in change.severities:
            about = {"change": change.name, "severity": str(severity), "capability": change.capability, "of": case.id}
            yield Case(
                id=changed_id(case.id, change, severity),
                prompt=case.prompt,
                source=Changed(case.source, change, severity, originals),
                tags={**case.tags, **about},
            )


def _hash(*parts: str | bytes) -> bytes:
    """16 bytes of SHA-256; each part goes in with its length."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()[:16]
