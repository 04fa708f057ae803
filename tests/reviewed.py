"""A small run to review: bright squares with a decoy beside them, which the picker takes for camera B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image, Mask
from segqa.gate.baseline import read_baseline, write_baseline
from segqa.inference.evaluator import Evaluation
from segqa.models.protocol import Proposals
from segqa.report.write import write_report
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.settings import ReportSettings

SHAPE = (60, 80)
NAMES = "(?P<camera>[AB])_"


class Two:
    """Offers the bright square, cut short on one side, and the grey decoy; the decoy has the higher mask score."""

    fingerprint = "two"

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [self._answer(image[:, :, 0]) for image in images]

    def _answer(self, grey: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Proposals:
        bright, decoy = grey > 180, (grey > 100) & (grey <= 180)
        bright[:, np.flatnonzero(bright.any(axis=0))[-2:]] = False
        if not decoy.any():
            return Proposals.single(bright, 0.5)
        boxes = np.array([[1.0, 2, 30, 40], [40, 10, 60, 30]])
        return Proposals(np.stack([bright, decoy]), np.array([0.5, 0.9]), np.array([0.9, 0.3]), boxes)


def picture(index: int, *, decoy: bool) -> tuple[Image, Mask]:
    """A dark picture with a bright square at the left, and perhaps a grey one at the right; the mask of the first."""
    grey, mask = np.full(SHAPE, 40, np.uint8), np.zeros(SHAPE, np.bool_)
    row = 3 + index % 25
    mask[row : row + 24, 6:30] = True
    grey[mask] = 220
    if decoy:
        grey[row + 4 : row + 20, 50:70] = 140
    return grey[:, :, None].repeat(3, axis=2), mask


def make_photos(folder: Path, count: int = 24, names: Sequence[str] = ()) -> Path:
    """A folder data set; of every four cases one is of camera B, and has the decoy."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image, mask = picture(index, decoy=index % 3 == 0)
        name = names[index] if index < len(names) else f"{'B' if index % 3 == 0 else 'A'}_{index:03}"
        Pillow.fromarray(image).save(folder / "images" / f"{name}.png")
        Pillow.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")
    return folder


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a test of the review page needs.

    Attributes:
        store: where the runs are.
        dataset: what was evaluated.
        run: picked by mask score, so camera B is wrong.
        before: picked by box score, so all is right.
        folder: where there is room.
    """

    store: Store
    dataset: Dataset
    run: Run
    before: Run
    folder: Path

    def page(self, *runs: Run, baseline: bool = True, name: str = "page", **settings: object) -> Path:
        """Write the page of some runs, of the one that is wrong by default."""
        path = self.folder / "baselines" / "photos" / f"{self.before.model}.jsonl"
        write_baseline(path, self.before)
        return write_report(
            runs or (self.run,),
            self.folder / name,
            directory=self.store.root,
            baselines=[read_baseline(path)] if baseline else [],
            dataset=self.dataset,
            settings=ReportSettings(**settings),  # type: ignore[arg-type]
        )


def reviewed(folder: Path, count: int = 24, names: Sequence[str] = (), model: str = "two") -> Reviewed:
    """Evaluate the small data set twice."""
    store = Store(folder / ".segqa")
    dataset = open_folder(make_photos(folder / "photos", count, names), name_pattern=NAMES)
    command = f"pytest suites --model={model}"
    runs = [
        Evaluation(pick=pick, command=command).run(Two(), model, dataset, store) for pick in ("box_score", "mask_score")
    ]
    return Reviewed(store, dataset, runs[1], runs[0], folder)
