from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from segqa.data.case import Case, Target
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image, Mask
from segqa.inference.evaluator import Evaluation
from segqa.inference.target_cache import PackedTargets
from segqa.models.protocol import Proposals
from segqa.runs.store import Store

Squares = Callable[[int], Path]


class Counted:
    """A source that counts how often its target is read."""

    def __init__(self, mask: Mask, name: bytes = b"one") -> None:
        self.mask, self.name, self.reads = mask, name, 0

    def digest(self) -> bytes:
        return self.name

    def image(self) -> Image:
        return self.mask[:, :, None].astype(np.uint8).repeat(3, axis=2) * 255

    def target(self) -> Target:
        self.reads += 1
        return Target(self.mask, "odd")

    def target_digest(self) -> bytes:
        return self.name

    def stamp(self) -> str:
        return self.name.decode()


def blob(shape: tuple[int, int] = (13, 21)) -> Mask:
    return np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 7 < 3


def test_a_target_is_read_once_and_comes_back_as_it_was() -> None:
    source, targets = Counted(blob()), PackedTargets()
    first, second = targets.read(source, b"one"), targets.read(source, b"one")
    assert source.reads == 1
    assert np.array_equal(first.mask, second.mask)
    assert second.mask.dtype == np.bool_
    assert second.note == "odd"


def test_another_digest_is_another_target() -> None:
    source, targets = Counted(blob()), PackedTargets()
    targets.read(source, b"one")
    targets.read(source, b"two")
    assert source.reads == 2


def test_where_there_is_no_room_it_is_read_again() -> None:
    source, targets = Counted(blob()), PackedTargets(limit_mb=0.000001)
    assert np.array_equal(targets.read(source, b"one").mask, targets.read(source, b"one").mask)
    assert source.reads == 2


class White:
    fingerprint = "white"

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [Proposals.single(image[:, :, 0] > 100) for image in images]


def test_the_second_model_reads_no_target(tmp_path: Path) -> None:
    sources = [Counted(blob((9, 9 + index)), str(index).encode()) for index in range(5)]
    data = Dataset.from_cases("blobs", [Case(str(index), "", source) for index, source in enumerate(sources)])
    store, targets = Store(tmp_path), PackedTargets()
    runs = [Evaluation(targets=targets).run(White(), name, data, store) for name in ("one", "two")]
    assert [source.reads for source in sources] == [1] * 5
    assert [run.mean_iou for run in runs] == [1.0, 1.0]


def test_a_changed_mask_is_read_again(squares: Squares, tmp_path: Path) -> None:
    folder, store, targets = squares(3), Store(tmp_path / "kept"), PackedTargets()
    before = Evaluation(targets=targets).run(White(), "white", open_folder(folder), store)
    masks = sorted((folder / "masks").iterdir())
    masks[0].write_bytes(masks[1].read_bytes())
    after = Evaluation(targets=targets).run(White(), "white", open_folder(folder), store)
    assert before.mean_iou == 1.0
    assert after.mean_iou < 1.0
