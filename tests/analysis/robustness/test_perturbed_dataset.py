from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segqa.analysis.robustness.perturbations import PERTURBATIONS, find_perturbation
from segqa.analysis.robustness.perturbed_dataset import (
    PerturbedSource,
    UnperturbedSources,
    make_perturbed_id,
    perturb_dataset,
)
from segqa.data.case import Case, Target
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from tests.conftest import bright_square

pytest.importorskip("albumentations")


class Counted:
    """A source that counts how often its pixels are read."""

    def __init__(self, index: int = 0, version: bytes = b"1") -> None:
        self.index, self.version, self.reads = index, version, 0

    def digest(self) -> bytes:
        return b"image" + self.version + bytes([self.index])

    def image(self) -> Image:
        self.reads += 1
        return bright_square(self.index)[0]

    def target(self) -> Target:
        return Target(bright_square(self.index)[1], "odd")

    def target_digest(self) -> bytes:
        return b"target" + bytes([self.index])

    def stamp(self) -> str:
        return f"{self.index} {self.version!r}"


def perturb(name: str, severity: int = 1, source: Counted | None = None) -> PerturbedSource:
    return PerturbedSource(source or Counted(), find_perturbation(name), severity, UnperturbedSources())


def test_a_data_set_holds_every_case_under_every_change(squares: Callable[[int], Path]) -> None:
    dataset = open_folder(squares(3), name_pattern="(?P<camera>[AB])_")
    found = perturb_dataset(dataset)
    assert found.name == "squares-changed"
    assert len(found) == 3 * sum(len(change.amounts) for change in PERTURBATIONS)
    (case,) = [case for case in found if case.id == "B_001~blur-2"]
    assert case.tags == {"camera": "B", "change": "blur", "severity": "2", "capability": "sharpness", "of": "B_001"}
    assert case.id == make_perturbed_id("B_001", find_perturbation("blur"), 2)
    for case in found:
        assert case.image().shape[:2] == case.target().shape


def test_each_image_is_read_once_for_all_of_its_changes() -> None:
    sources = [Counted(index) for index in range(3)]
    cases = [Case(id=f"c{index}", prompt="", source=source) for index, source in enumerate(sources)]
    for case in perturb_dataset(Dataset.from_cases("three", cases)):
        case.source.digest()
        case.source.target()
        case.image()
    assert [source.reads for source in sources] == [1, 1, 1]


def test_digests_differ_by_image_change_and_severity() -> None:
    each = [perturb("blur"), perturb("blur", 2), perturb("noise"), perturb("blur", source=Counted(version=b"2"))]
    assert len({source.digest() for source in each}) == len({source.stamp() for source in each}) == 4
    assert len({source.target_digest() for source in each}) == 1
    assert perturb("blur").digest() == perturb("blur").digest()


def test_a_bar_is_another_one_where_the_target_is() -> None:
    class Moved(Counted):
        def target_digest(self) -> bytes:
            return b"elsewhere"

    assert perturb("occlusion", source=Moved()).digest() != perturb("occlusion").digest()
    assert perturb("blur", source=Moved()).digest() == perturb("blur").digest()


def test_blank_images_of_one_size_are_one_image() -> None:
    first, second = perturb("blank", source=Counted(1)), perturb("blank", source=Counted(2))
    assert first.digest() == second.digest()
    assert np.array_equal(first.image(), second.image())
    assert not first.target().mask.any()
    assert perturb("blank", 2).digest() != first.digest()


def test_the_target_moves_along_and_keeps_its_note() -> None:
    mirrored = perturb("flip", source=Counted(4)).target()
    assert np.array_equal(mirrored.mask, bright_square(4)[1][:, ::-1])
    assert mirrored.note == "odd"
    assert perturb("flip").target_digest() != Counted().target_digest()


def test_noise_differs_from_image_to_image() -> None:
    class Twin(Counted):
        def image(self) -> Image:
            return bright_square(0)[0]

    first, second = perturb("noise", source=Twin(0)), perturb("noise", source=Twin(1))
    assert (first.image() != second.image()).any()
    assert np.array_equal(first.image(), perturb("noise", source=Twin(0)).image())
