from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segqa.analysis.robustness.perturbations import CHANGES, find_change
from segqa.analysis.robustness.perturbed_dataset import PerturbedSource, UnperturbedSources, changed_dataset, changed_id
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


def changed(name: str, severity: int = 1, source: Counted | None = None) -> PerturbedSource:
    return PerturbedSource(source or Counted(), find_change(name), severity, UnperturbedSources())


def test_a_data_set_holds_every_case_under_every_change(squares: Callable[[int], Path]) -> None:
    dataset = open_folder(squares(3), name_pattern="(?P<camera>[AB])_")
    found = changed_dataset(dataset)
    assert found.name == "squares-changed"
    assert len(found) == 3 * sum(len(change.amounts) for change in CHANGES)
    (case,) = [case for case in found if case.id == "B_001~blur-2"]
    assert case.tags == {"camera": "B", "change": "blur", "severity": "2", "capability": "sharpness", "of": "B_001"}
    assert case.id == changed_id("B_001", find_change("blur"), 2)
    for case in found:
        assert case.image().shape[:2] == case.target().shape


def test_each_image_is_read_once_for_all_of_its_changes() -> None:
    sources = [Counted(index) for index in range(3)]
    cases = [Case(id=f"c{index}", prompt="", source=source) for index, source in enumerate(sources)]
    for case in changed_dataset(Dataset.of("three", cases)):
        case.source.digest()
        case.source.target()
        case.image()
    assert [source.reads for source in sources] == [1, 1, 1]


def test_digests_differ_by_image_change_and_severity() -> None:
    each = [changed("blur"), changed("blur", 2), changed("noise"), changed("blur", source=Counted(version=b"2"))]
    assert len({source.digest() for source in each}) == len({source.stamp() for source in each}) == 4
    assert len({source.target_digest() for source in each}) == 1
    assert changed("blur").digest() == changed("blur").digest()


def test_a_bar_is_another_one_where_the_target_is() -> None:
    class Moved(Counted):
        def target_digest(self) -> bytes:
            return b"elsewhere"

    assert changed("occlusion", source=Moved()).digest() != changed("occlusion").digest()
    assert changed("blur", source=Moved()).digest() == changed("blur").digest()


def test_blank_images_of_one_size_are_one_image() -> None:
    first, second = changed("blank", source=Counted(1)), changed("blank", source=Counted(2))
    assert first.digest() == second.digest()
    assert np.array_equal(first.image(), second.image())
    assert not first.target().mask.any()
    assert changed("blank", 2).digest() != first.digest()


def test_the_target_moves_along_and_keeps_its_note() -> None:
    mirrored = changed("flip", source=Counted(4)).target()
    assert np.array_equal(mirrored.mask, bright_square(4)[1][:, ::-1])
    assert mirrored.note == "odd"
    assert changed("flip").target_digest() != Counted().target_digest()


def test_noise_differs_from_image_to_image() -> None:
    class Twin(Counted):
        def image(self) -> Image:
            return bright_square(0)[0]

    first, second = changed("noise", source=Twin(0)), changed("noise", source=Twin(1))
    assert (first.image() != second.image()).any()
    assert np.array_equal(first.image(), changed("noise", source=Twin(0)).image())
