"""How long it takes to score masks against a target, beside what one would use otherwise.

    python benchmarks/counting.py

One pair of masks at 512 x 384, and 10 and 50 proposals against one target. Medians of many repeats, in turns, so that a
busy machine slows all of them; the factor says how many times as fast as the plain numpy of a notebook. What is not
installed is left out (`pip install torchmetrics monai`; supervision, which would replace the headless OpenCV, by `pip
install --no-deps supervision pydeprecate defusedxml`).
"""

from __future__ import annotations

import importlib
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segqa.scoring.metrics import TargetCounter, count, count_each

Mask = NDArray[np.bool_]
Score = Callable[[Mask, Mask], object]
REPEATS, INNER = 30, 30


def masks(number: int) -> tuple[NDArray[np.bool_], Mask]:
    """So many proposals, and a target."""
    rows, columns = np.mgrid[:384, :512]
    target = (columns - 250) ** 2 / 9000 + (rows - 190) ** 2 / 20000 < 1
    shifted = [(columns - 252 - 3 * i) ** 2 / 9500 + (rows - 185 - i) ** 2 / 19000 < 1 for i in range(number)]
    return np.stack(shifted), target


def notebook(prediction: Mask, target: Mask) -> float:
    """What stands in notebooks."""
    return float(np.logical_and(prediction, target).sum() / np.logical_or(prediction, target).sum())


def limit(prediction: Mask, target: Mask) -> float:
    """Read both masks once, as fast as OpenCV does."""
    return float(cv2.sumElems(prediction.view(np.uint8))[0] + cv2.sumElems(target.view(np.uint8))[0])


def packed(prediction: Mask, target: Mask) -> Callable[[], object]:
    """Both as bits, which is how proposals are stored; the target's area known."""
    bits = np.packbits(prediction), np.packbits(target)
    return lambda: cv2.norm(*bits, cv2.NORM_HAMMING)


def others() -> dict[str, Score]:
    """What else there is, as far as it is installed."""
    found: dict[str, Score] = {}
    if sklearn := _module("sklearn.metrics"):
        found["scikit-learn jaccard_score"] = lambda p, t: sklearn.jaccard_score(t.ravel(), p.ravel())
    if coco := _module("pycocotools.mask"):

        def of_coco(p: Mask, t: Mask) -> object:
            encoded = [coco.encode(np.asfortranarray(mask.view(np.uint8))) for mask in (p, t)]
            return coco.iou([encoded[0]], [encoded[1]], [False])

        found["pycocotools, encoding included"] = of_coco
    if supervision := _module("supervision"):
        found["supervision mask_iou_batch"] = lambda p, t: supervision.mask_iou_batch(t[None], p[None])
    torch = _module("torch")
    if torch and (smp := _module("segmentation_models_pytorch.metrics")):
        found["smp get_stats + iou_score"] = lambda p, t: smp.iou_score(
            *smp.get_stats(
                *(torch.from_numpy(mask.view(np.uint8))[None, None].long() for mask in (p, t)), mode="binary"
            )
        )
    if torch and (lightning := _module("torchmetrics.functional.classification")):
        found["torchmetrics binary_jaccard_index"] = lambda p, t: lightning.binary_jaccard_index(
            torch.from_numpy(p), torch.from_numpy(t).long()
        )
    if torch and (monai := _module("monai.metrics")):
        found["MONAI compute_iou"] = lambda p, t: monai.compute_iou(
            *(torch.from_numpy(mask)[None, None].float() for mask in (p, t))
        )
    return found


def measure(ways: dict[str, Callable[[], object]]) -> None:
    """Print medians in microseconds, and how many times as fast as the first one."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            way()  # what the way before it left in the caches is not its matter
            start = time.perf_counter()
            for _ in range(INNER):
                way()
            seconds[name].append((time.perf_counter() - start) / INNER)
    first = statistics.median(next(iter(seconds.values())))
    print("| way | µs | times as fast |\n|---|---|---|")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"| {name} | {1e6 * median:.1f} | {first / median:.3g} |")


def main() -> None:
    """Measure and print."""
    print(
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, OpenCV {cv2.__version__}\n"
    )
    proposals, target = masks(50)
    pair = proposals[0].copy()  # not a part of a larger array
    for name, way in others().items():
        if name.startswith("pycocotools"):
            assert abs(float(np.ravel(way(pair, target))[0]) - notebook(pair, target)) < 1e-9
    assert count(pair, target).iou == notebook(pair, target)
    print("One pair:\n")
    ways: dict[str, Callable[[], object]] = {
        "numpy, as in a notebook": lambda: notebook(pair, target),
        "segqa count": lambda: count(pair, target),
        "both packed": packed(pair, target),
        "limit: read both once": lambda: limit(pair, target),
    }
    ways |= {name: _bound(way, pair, target) for name, way in others().items()}
    measure(ways)
    counter = TargetCounter.from_target(target)
    for number in (10, 50):
        some = proposals[:number]
        print(f"\n{number} proposals against one target:\n")
        measure(
            {
                "numpy, as in a notebook": lambda some=some: [notebook(mask, target) for mask in some],
                "segqa count_each": lambda some=some: count_each(some, target),
                "segqa TargetCounter, with the band": lambda some=some: [counter.count(mask) for mask in some],
                "the same, the target prepared anew": lambda some=some: [
                    each.count(mask) for each in [TargetCounter.from_target(target)] for mask in some
                ],
            }
        )


def _bound(way: Score, prediction: Mask, target: Mask) -> Callable[[], object]:
    return lambda: way(prediction, target)


def _module(name: str) -> Any:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


if __name__ == "__main__":
    main()
