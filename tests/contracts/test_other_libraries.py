"""What the contracts say of other libraries' IoU, adapted as their manuals have it: the table in docs/contracts.md."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from segqa.settings import EmptyPolicy
from segqa.testing import broken, iou_laws

Metric = Callable[[Any, Any], float]

SHAPES, NAN, BYTES = "refuses other shapes", "refuses NaN", "255 is object, or refused"


def scikit_learn() -> Metric:
    metrics = pytest.importorskip("sklearn.metrics")
    return lambda prediction, target: metrics.jaccard_score(target.ravel(), prediction.ravel(), zero_division=1.0)


def smp() -> Metric:
    library = pytest.importorskip("segmentation_models_pytorch").metrics
    torch = pytest.importorskip("torch")

    def iou(prediction: Any, target: Any) -> float:
        both = (torch.from_numpy(np.ascontiguousarray(each)).long()[None, None] for each in (prediction, target))
        return float(library.iou_score(*library.get_stats(*both, mode="binary"), reduction="micro"))

    return iou


def torchmetrics() -> Metric:
    functional = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")

    def iou(prediction: Any, target: Any) -> float:
        guess, truth = (torch.from_numpy(np.ascontiguousarray(each)) for each in (prediction, target))
        return float(functional.binary_jaccard_index(guess.int() if guess.dtype == torch.bool else guess, truth.int()))

    return iou


def monai() -> Metric:
    library = pytest.importorskip("monai.metrics")
    torch = pytest.importorskip("torch")

    def iou(prediction: Any, target: Any) -> float:
        both = (torch.from_numpy(np.ascontiguousarray(each)).float()[None, None] for each in (prediction, target))
        return float(library.compute_iou(*both, ignore_empty=False))

    return iou


def pycocotools() -> Metric:
    coco = pytest.importorskip("pycocotools.mask")

    def iou(prediction: Any, target: Any) -> float:
        both = [coco.encode(np.asfortranarray(each, dtype=np.uint8)) for each in (prediction, target)]
        return float(coco.iou(both[:1], both[1:], [False])[0, 0])

    return iou


def numpy_of_notebooks() -> Metric:
    def iou(prediction: Any, target: Any) -> float:
        return float(np.logical_and(prediction, target).sum() / np.logical_or(prediction, target).sum())

    return iou


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("library", "empty", "laws"),
    [
        (scikit_learn, "one", [SHAPES]),
        (smp, "nan", [NAN, BYTES]),
        (torchmetrics, "zero", [NAN]),
        (monai, "one", [NAN, BYTES]),
        (pycocotools, "zero", [SHAPES, NAN]),
        (numpy_of_notebooks, "nan", [SHAPES, NAN]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_each_breaks_is_known(library: Callable[[], Metric], empty: EmptyPolicy, laws: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = broken(iou_laws(library(), empty=empty), 50)
    assert list(found) == laws
