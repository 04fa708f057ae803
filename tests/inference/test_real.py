"""Real photos through a real model, checked by code that shares nothing with segqa's."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.inference.evaluator import Evaluation
from segqa.models.detect_segment import DetectSegment
from segqa.runs.run import Run
from segqa.runs.store import Store


@pytest.fixture(scope="module")
def model(weights: Path) -> DetectSegment:
    return DetectSegment(detector=weights / "yolox_nano.onnx", segmenter=weights / "selfie_segmentation.tflite")


def stored_masks(path: Path) -> dict[str, NDArray[np.bool_]]:
    """All masks of a proposals file by key, read with nothing but sqlite3, zlib and numpy."""
    found = {}
    rows = sqlite3.connect(path).execute("SELECT hex(key), count, height, width, masks FROM proposals")
    for key, count, height, width, masks in rows:
        bits = np.unpackbits(np.frombuffer(zlib.decompress(masks), np.uint8))[: count * height * width]
        found[key.lower()] = bits.reshape(count, height, width).astype(bool)
    return found


def plain_iou(masks: Mapping[str, NDArray[np.bool_]], key: str, index: int | None, target: NDArray[np.bool_]) -> float:
    predicted = masks[key][index] if index is not None else np.zeros_like(target)
    return float(np.logical_and(predicted, target).sum() / np.logical_or(predicted, target).sum())


def test_scores_agree_with_plain_numpy_on_the_stored_proposals(model: DetectSegment, ccp: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = Evaluation(pick="mask_score").run(model, "detect_segment", open_folder(ccp).limit(20), store)
    masks = stored_masks(tmp_path / "proposals.sqlite")
    assert len(run.scored) == len(masks) == 20
    for outcome in run.outcomes:
        assert outcome.counts is not None
        assert outcome.oracle is not None
        grey = cv2.imread(str(ccp / "masks" / f"{outcome.case_id}.png"), cv2.IMREAD_GRAYSCALE)
        target = np.asarray(grey) > 127
        ious = [plain_iou(masks, outcome.proposals_key, i, target) for i in range(len(outcome.proposal_scores))]
        picked = plain_iou(masks, outcome.proposals_key, outcome.picked, target)
        assert outcome.counts.iou == pytest.approx(picked, abs=1e-12)
        assert outcome.oracle.iou == pytest.approx(max(ious, default=picked), abs=1e-12)


@pytest.mark.slow
def test_the_published_figures_of_the_two_networks_come_out(model: DetectSegment, ccp: Path, tmp_path: Path) -> None:
    """Every fourth photo, the first 200: by picker the mean IoU, and how many lie below 0.1."""
    data = Dataset.from_cases("ccp", open_folder(ccp).cases[::4][:200])

    def evaluated(pick: str) -> Run:
        return Evaluation(pick=pick).run(model, "detect_segment", data, Store(tmp_path))

    published = {"mask_score": (0.908, 4), "sequential_agreement": (0.912, 3), "product": (0.921, 1)}
    for pick, (mean, low) in published.items():
        run = evaluated(pick)
        assert run.mean_iou == pytest.approx(mean, abs=0.0006)
        assert (run.ious < 0.1).sum() == low
        assert run.oracle_iou == pytest.approx(0.926, abs=0.0006)
