"""A changed case is a case whose image has been changed; its target has moved along with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from segqa.analysis.robustness.perturbations import PERTURBATIONS, PERTURBATIONS_VERSION, Perturbation
from segqa.data.case import Case, Source, Target
from segqa.data.dataset import Dataset
from segqa.data.mask import Image
from segqa.models.corruptions import library_version
from segqa.support.plurals import format_count

_MADE_BY = f"{PERTURBATIONS_VERSION}, albumentations {library_version()}, OpenCV {cv2.__version__}"


class UnperturbedSource:
    """A source as it was read: each part once, and not to be changed; `CaseError` where one cannot be read."""

    def __init__(self, source: Source) -> None:
        self.source = source

    @cached_property
    def image(self) -> Image:
        """The image."""
        return self.source.image()

    @cached_property
    def target(self) -> Target:
        """The true mask."""
        return self.source.target()

    @cached_property
    def digest(self) -> bytes:
        """The image's."""
        return self.source.digest()

    @cached_property
    def target_digest(self) -> bytes:
        """The target's."""
        return self.source.target_digest()

    @cached_property
    def stamp(self) -> str:
        """That of both."""
        return self.source.stamp()


class UnperturbedSources:
    """The original that was asked for last: the changes of one image come one after the other."""

    def __init__(self) -> None:
        self._last: UnperturbedSource | None = None

    def get(self, source: Source) -> UnperturbedSource:
        """What has been read of a source, if it is the last that was asked for; nothing yet of another one."""
        # held here, for another thread may go on to the next source
        last = self._last
        if last is None or last.source is not source:
            last = self._last = UnperturbedSource(source)
        return last


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedSource:
    """Where the pixels of a changed case come from.

    Attributes:
        original: where those of the unchanged one do.
        change: what is done to them.
        severity: how much of it.
        originals: what was read last.
    """

    original: Source
    change: Perturbation
    severity: int
    originals: UnperturbedSources

    def digest(self) -> bytes:
        """16 bytes that change with the original, the change and what makes it; a blank image has those of its size."""
        if self.change.empties:
            # the target's, which is the image's, but read in half the time
            return _hash(self._description, repr((*self._unperturbed.target.mask.shape, 3)))
        target = self._unperturbed.target_digest if self.change.needs_target else b""
        return _hash(self._description, self._unperturbed.digest, target)

    def image(self) -> Image:
        """The changed image; the same each time."""
        seed = int.from_bytes(_hash(self._description, self._unperturbed.digest)[:4], "little")
        return self.change.image(self.severity, self._unperturbed.image, self._unperturbed.target.mask, seed)

    def target(self) -> Target:
        """The target of the original, as it lies in the changed image."""
        target = self._unperturbed.target
        if self.change.empties:
            return Target(np.zeros_like(target.mask))
        return replace(target, mask=self.change.mask(self.severity, target.mask)[0])

    def target_digest(self) -> bytes:
        """16 bytes that change with the original's, and with the change where that concerns the target."""
        original = self._unperturbed.target_digest
        return _hash(self._description, original) if self.change.is_geometric or self.change.empties else original

    def stamp(self) -> str:
        """The original's, and what is done."""
        return f"{self._unperturbed.stamp} {self._description}"

    @property
    def _unperturbed(self) -> UnperturbedSource:
        """The original, as far as it has been read."""
        return self.originals.get(self.original)

    @property
    def _description(self) -> str:
        """What is done, by what."""
        return f"{self.change.name} {self.change.amount(self.severity)} {_MADE_BY}"


def perturb_dataset(dataset: Dataset, changes: Iterable[Perturbation] = PERTURBATIONS) -> Dataset:
    """Every case of a data set under every change and severity, as a data set of its own; no pixel is read.

    Its ids are those of the cases with what is done behind them (`0012~blur-2`), and it has the tags `change`,
    `severity`, `capability` and `of`, the case's own id.
    """
    originals, changes = UnperturbedSources(), tuple(changes)
    cases = [changed for case in dataset for changed in _perturb_case(case, changes, originals)]
    return Dataset.from_cases(
        f"{dataset.name}-changed", cases, [f"{format_count(len(dataset), 'case')} of {dataset.name}, changed"]
    )


def make_perturbed_id(case_id: str, change: Perturbation, severity: int) -> str:
    """The id of a case when it has been changed."""
    return f"{case_id}~{change.name}-{severity}"


def _perturb_case(case: Case, changes: Iterable[Perturbation], originals: UnperturbedSources) -> Iterator[Case]:
    """A case under every change and severity."""
    for change in changes:
        for severity in change.severities:
            about = {"change": change.name, "severity": str(severity), "capability": change.capability, "of": case.id}
            yield Case(
                id=make_perturbed_id(case.id, change, severity),
                prompt=case.prompt,
                source=PerturbedSource(case.source, change, severity, originals),
                tags={**case.tags, **about},
            )


def _hash(*parts: str | bytes) -> bytes:
    """16 bytes of SHA-256; each part goes in with its length."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()[:16]
