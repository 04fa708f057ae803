"""End to end: a whole evaluation by segqa beside the loops that one would write without it.

    python benchmarks/end_to_end.py --data photos --weights weights --checkpoints trained

`photos` is a folder with `images/` and `masks/`. `weights` holds `yolox_nano.onnx` and `selfie_segmentation.tflite` for
`detect_segment`; `trained` the folders `unet` and `resnet34` that `segqa train` has made and, for ONNX Runtime, `segqa
export` has exported. What is not there is left out. All ways of a model take turns; medians are printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from segqa.data.case import Case
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.inference.evaluator import Evaluation
from segqa.models.checkpoint import read_checkpoint
from segqa.models.detect_segment import DetectSegment
from segqa.models.network import Network
from segqa.models.onnx_runtime import get_onnx_path
from segqa.models.pickers import find_picker
from segqa.models.runtime import Precision
from segqa.runs.store import Store

T = TypeVar("T")

BATCH = 8


def main() -> None:
    """Measure what there is, model by model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ccp"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--cases", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    dataset = open_folder(chosen.data).with_prompt("person.").limit(chosen.cases)
    detector, segmenter = chosen.weights / "yolox_nano.onnx", chosen.weights / "selfie_segmentation.tflite"
    if detector.exists() and segmenter.exists():
        model = DetectSegment(detector=detector, segmenter=segmenter)
        compare("detect_segment", ways_of_any(model, dataset), chosen.rounds)
    for name in ("unet", "resnet34"):
        folder = chosen.checkpoints / name if chosen.checkpoints else None
        if folder is not None and folder.is_dir():
            compare(name, ways_of_network(folder, name, dataset), chosen.rounds)


def compare(name: str, ways: dict[str, Callable[[], None]], rounds: int) -> None:
    """Each way once a round, in turns; a Markdown table of the medians."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[way].append(time.perf_counter() - start)
    medians = {way: float(np.median(times)) for way, times in seconds.items()}
    first = next(iter(medians.values()))
    print(f"\n{name}:\n\n| way | s | times as fast as the plain loop |\n|---|---|---|")
    for way, median in medians.items():
        print(f"| {way} | {median:.2f} | {first / median:.2f} |", flush=True)


def ways_of_any(model: Any, dataset: Dataset) -> dict[str, Callable[[], None]]:
    """The ways for a model whose inside nobody looks at."""
    picker = find_picker("agreement")

    def plain(size: int) -> None:
        for cases in chunks(dataset.cases, size):
            images = [read_image(case) for case in cases]
            for case, offered in zip(cases, model.predict(images, ["person."] * len(cases)), strict=True):
                picked = picker(offered)
                target = read_target(case)
                numpy_iou(np.zeros_like(target) if picked is None else offered.masks[picked], target)

    images = [read_image(case) for case in dataset]

    def inference() -> None:
        for part in chunks(images, BATCH):
            model.predict(part, ["person."] * len(part))

    return {
        "plain loop, one by one": lambda: plain(1),
        f"plain loop, batches of {BATCH}": lambda: plain(BATCH),
        f"inference alone, batches of {BATCH}": inference,
        **ways_of_segqa(model, dataset),
    }


class Notebook:
    """A network in torch, as one evaluates it in a notebook."""

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        checkpoint = read_checkpoint(folder)
        self._net, self._preprocessing = checkpoint.net.eval(), checkpoint.preprocessing
        self._cases = dataset.cases
        self._ready = [self.tensor(read_image(case)) for case in dataset]

    def tensor(self, image: Any) -> Any:
        """An image as the network takes it."""
        return torch.from_numpy(self._preprocessing(image=image)["image"].transpose(2, 0, 1).copy())

    def plain(self, size: int) -> None:
        """Read, predict, score; so many at a time."""
        for cases in chunks(self._cases, size):
            self._score([self.tensor(read_image(case)) for case in cases], [read_target(case) for case in cases])

    def loaded(self, workers: int) -> None:
        """The same by torch's DataLoader."""
        pairs = Pairs(self._cases, self.tensor)
        for batch in DataLoader(pairs, batch_size=BATCH, num_workers=workers, collate_fn=list):
            self._score(*zip(*batch, strict=True))

    def inference(self) -> None:
        """Nothing but the network."""
        for part in chunks(self._ready, BATCH):
            with torch.inference_mode():
                self._net(torch.stack(list(part)))

    def _score(self, pictures: Sequence[Any], targets: Sequence[Any]) -> None:
        with torch.inference_mode():
            probabilities = torch.sigmoid(self._net(torch.stack(list(pictures))))[:, 0].numpy()
        for one, target in zip(probabilities, targets, strict=True):
            numpy_iou(cv2.resize(one, target.shape[::-1]) > 0.5, target)


def ways_of_network(folder: Path, name: str, dataset: Dataset) -> dict[str, Callable[[], None]]:
    """The ways for a network in torch; the loops run it as its own library does."""
    notebook, network = Notebook(folder, dataset), Network.load(folder, name=name, device="cpu")
    ways = {
        "plain loop, one by one": lambda: notebook.plain(1),
        f"plain loop, batches of {BATCH}": lambda: notebook.plain(BATCH),
        f"DataLoader, 2 workers, batches of {BATCH}": lambda: notebook.loaded(2),
        f"inference alone, batches of {BATCH}": notebook.inference,
        "the same by segqa's network": inference_of(network, dataset),
        **ways_of_segqa(network, dataset),
    }
    precisions: tuple[Precision, ...] = ("float32", "int8")
    for precision in precisions:
        if get_onnx_path(folder, precision).exists():
            model = Network.load(folder, name=name, device="cpu", runtime="onnx", precision=precision)
            ways[f"segqa, first run, onnx {precision}"] = first_run(model, dataset)
    return ways


def inference_of(network: Network, dataset: Dataset) -> Callable[[], None]:
    """What segqa's network does with images that are prepared: run, scale back, cut."""
    ready = [network.prepare(read_image(case), "") for case in dataset]

    def run() -> None:
        for part in chunks(ready, BATCH):
            network.predict_prepared(part, [""] * len(part))

    return run


def ways_of_segqa(model: Any, dataset: Dataset) -> dict[str, Callable[[], None]]:
    """A first run, the same again, and another picker; in this order."""
    folder = Path(tempfile.mkdtemp(prefix="segqa-benchmark-"))

    def again(pick: str) -> None:
        Evaluation(pick=pick).run(model, "model", dataset, Store(folder))

    again("agreement")
    return {
        "segqa, first run": first_run(model, dataset),
        "segqa, second run": lambda: again("agreement"),
        "segqa, another picker": lambda: again("product"),
    }


def first_run(model: Any, dataset: Dataset) -> Callable[[], None]:
    """An evaluation that finds nothing stored."""

    def run() -> None:
        with tempfile.TemporaryDirectory(prefix="segqa-benchmark-") as folder:
            Evaluation().run(model, "model", dataset, Store(Path(folder)))

    return run


class Pairs(TorchDataset[Any]):
    """Picture and target by number, as a `DataLoader` wants them."""

    def __init__(self, cases: Sequence[Case], tensor: Callable[[Any], Any]) -> None:
        self._cases, self._tensor = cases, tensor

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The picture as a tensor, and the target."""
        case = self._cases[index]
        return self._tensor(read_image(case)), read_target(case)


def chunks(members: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """All of them, so many at a time."""
    for start in range(0, len(members), size):
        yield members[start : start + size]


def read_image(case: Case) -> Any:
    """The image as a notebook reads it."""
    files: Any = case.source
    return cv2.cvtColor(cv2.imread(str(files.image_file.path)), cv2.COLOR_BGR2RGB)


def read_target(case: Case) -> Any:
    """The mask as a notebook reads it."""
    files: Any = case.source
    return cv2.imread(str(files.mask_file.path), cv2.IMREAD_GRAYSCALE) > 127


def numpy_iou(prediction: Any, target: Any) -> float:
    """IoU as a notebook computes it."""
    return float(np.logical_and(prediction, target).sum() / np.logical_or(prediction, target).sum())


if __name__ == "__main__":
    main()
