"""Make a data set of perturbed cases: every case under every perturbation and severity."""

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
from segqa.models.image_corruptions import find_library_version
from segqa.support.plurals import format_count

_MADE_BY = f"{PERTURBATIONS_VERSION}, albumentations {find_library_version()}, OpenCV {cv2.__version__}"


class UnperturbedSource:
    """A source whose parts are read once and must not be modified; raise `CaseError` if a part cannot be read."""

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
        """The digest of the image."""
        return self.source.digest()

    @cached_property
    def target_digest(self) -> bytes:
        """The digest of the target."""
        return self.source.target_digest()

    @cached_property
    def stamp(self) -> str:
        """The stamp of the source."""
        return self.source.stamp()


class UnperturbedSources:
    """Cache the last source: the perturbations of one image are read one after another."""

    def __init__(self) -> None:
        self._last: UnperturbedSource | None = None

    def get(self, source: Source) -> UnperturbedSource:
        """Return the cached source, or replace it by a new one."""
        # a local reference: another thread may replace the cached source
        last = self._last
        if last is None or last.source is not source:
            last = self._last = UnperturbedSource(source)
        return last


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedSource:
    """The source of a perturbed case.

    Attributes:
        original: the unperturbed source.
        change: the perturbation.
        severity: its severity, from 1.
        originals: cache of the unperturbed source.
    """

    original: Source
    change: Perturbation
    severity: int
    originals: UnperturbedSources

    def digest(self) -> bytes:
        """Return 16 bytes that depend on the original, or only its size for blank images, and the perturbation."""
        if self.change.empties:
            # the size of the target equals that of the image and is read in half the time
            return _hash(self._description, repr((*self._unperturbed.target.mask.shape, 3)))
        target = self._unperturbed.target_digest if self.change.needs_target else b""
        return _hash(self._description, self._unperturbed.digest, target)

    def image(self) -> Image:
        """Return the perturbed image, the same each time."""
        seed = int.from_bytes(_hash(self._description, self._unperturbed.digest)[:4], "little")
        return self.change.image(self.severity, self._unperturbed.image, self._unperturbed.target.mask, seed)

    def target(self) -> Target:
        """Return the target of the original, warped into the perturbed image."""
        target = self._unperturbed.target
        if self.change.empties:
            return Target(np.zeros_like(target.mask))
        return replace(target, mask=self.change.mask(self.severity, target.mask)[0])

    def target_digest(self) -> bytes:
        """Return 16 bytes that depend on the original target and on perturbations that affect it."""
        original = self._unperturbed.target_digest
        return _hash(self._description, original) if self.change.is_geometric or self.change.empties else original

    def stamp(self) -> str:
        """Return the stamp of the original with the description of the perturbation."""
        return f"{self._unperturbed.stamp} {self._description}"

    @property
    def _unperturbed(self) -> UnperturbedSource:
        """The unperturbed source."""
        return self.originals.get(self.original)

    @property
    def _description(self) -> str:
        """The perturbation with its amount and the library versions."""
        return f"{self.change.name} {self.change.amount(self.severity)} {_MADE_BY}"


def perturb_dataset(dataset: Dataset, changes: Iterable[Perturbation] = PERTURBATIONS) -> Dataset:
    """Return a data set with every case under every perturbation and severity; read no pixels.

    The perturbation is appended to the id of the case (`0012~blur-2`). The cases have the tags `change`, `severity`,
    `capability` and `of`, the id of the original case.
    """
    originals, changes = UnperturbedSources(), tuple(changes)
    cases = [changed for case in dataset for changed in _perturb_case(case, changes, originals)]
    return Dataset.from_cases(
        f"{dataset.name}-changed", cases, [f"{format_count(len(dataset), 'case')} of {dataset.name}, changed"]
    )


def make_perturbed_id(case_id: str, change: Perturbation, severity: int) -> str:
    """Return the id of a perturbed case."""
    return f"{case_id}~{change.name}-{severity}"


def _perturb_case(case: Case, changes: Iterable[Perturbation], originals: UnperturbedSources) -> Iterator[Case]:
    """Yield a case under every perturbation and severity."""
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
    """Return 16 bytes of SHA-256 over the parts and their lengths."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()[:16]
