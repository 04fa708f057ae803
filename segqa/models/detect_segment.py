"""`detect_segment`: a YOLOX detector finds boxes, a segmentation network segments inside each; run by OpenCV.

It has the same structure as LangSAM (boxes with scores, masks with scores), with two small networks and no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segqa.data.mask import Image, Mask
from segqa.errors import ModelError
from segqa.models.fingerprint import fingerprint_of
from segqa.models.protocol import Floats, Proposals
from segqa.support.git import refuse_pointers

_STRIDES = (8, 16, 32)
_PADDING = 114


class DetectSegment:
    """A detector whose boxes are enlarged, cropped and segmented by a second network.

    The box score is the detector's objectness × class probability. The mask score is the mean probability inside the
    mask, 0 if the mask is empty.

    Args:
        detector: YOLOX as ONNX: letterboxed BGR 0–255 in, `[1, cells, 5 + classes]` (cx, cy, w, h, objectness, classes)
            out, not yet decoded.
        segmenter: TFLite or ONNX: RGB 0–1 in, one probability a pixel out, `[1, 1, h, w]` or `[1, h, w, 1]`.
        detector_side: side of the detector's input, in pixels, a multiple of 32.
        segmenter_side: side of the segmenter's input, in pixels.
        class_index: the class to detect; 0 is a person in COCO.
        box_cutoff: detections with a lower score are dropped.
        overlap: of two boxes with a higher IoU, the one with the lower score is dropped.
        enlarge: margin around the box on every side, as a share of the box's width or height.
        mask_cutoff: pixels with a higher probability are object.

    Raises:
        ModelError: a file is missing, or OpenCV cannot read it as a network.
    """

    def __init__(
        self,
        *,
        detector: str | Path,
        segmenter: str | Path,
        detector_side: int = 416,
        segmenter_side: int = 256,
        class_index: int = 0,
        box_cutoff: float = 0.3,
        overlap: float = 0.45,
        enlarge: float = 0.15,
        mask_cutoff: float = 0.5,
    ) -> None:
        arguments: dict[str, Any] = {
            "detector_side": detector_side,
            "segmenter_side": segmenter_side,
            "class_index": class_index,
            "box_cutoff": box_cutoff,
            "overlap": overlap,
            "enlarge": enlarge,
            "mask_cutoff": mask_cutoff,
        }
        paths = Path(detector), Path(segmenter)
        self._detector = _read_net(paths[0], "detector")
        self._segmenter = _read_net(paths[1], "segmenter")
        self._detector_side, self._segmenter_side = detector_side, segmenter_side
        self._class_index, self._box_cutoff, self._overlap = class_index, box_cutoff, overlap
        self._enlarge, self._mask_cutoff = enlarge, mask_cutoff
        self._cells, self._strides = _build_grid(detector_side)
        self.weights_bytes = sum(path.stat().st_size for path in paths)
        self.fingerprint = fingerprint_of(type(self), *paths, options=arguments, packages=["opencv-python-headless"])

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        """Return the proposals for each image, by descending box score.

        Args:
            images: RGB uint8 `[H, W, 3]`.
            prompts: ignored, since both networks have a fixed class.
        """
        del prompts
        return [self._propose(image) for image in images]

    def _propose(self, image: Image) -> Proposals:
        boxes, scores = self._detect(image)
        if not len(boxes):
            return Proposals.none(image.shape[:2])
        segmented = [self._segment(image, box) for box in boxes]
        masks = np.stack([mask for mask, _ in segmented])
        return Proposals(masks, np.array([score for _, score in segmented]), scores, boxes)

    def _detect(self, image: Image) -> tuple[Floats, Floats]:
        """Return boxes x0, y0, x1, y1 `[N, 4]` in pixels of the image and their scores `[N]`, in descending order."""
        letterboxed, scale = _letterbox(image[:, :, ::-1], self._detector_side)
        self._detector.setInput(letterboxed.transpose(2, 0, 1)[None].astype(np.float32))
        raw = np.asarray(self._detector.forward(), dtype=np.float64)[0]
        centres = (raw[:, :2] + self._cells) * self._strides
        sizes = np.exp(raw[:, 2:4]) * self._strides
        scores = raw[:, 4] * raw[:, 5 + self._class_index]
        corners = (centres - sizes / 2) / scale
        boxes = np.concatenate([corners, sizes / scale], axis=1)
        kept = _suppress(boxes, scores, self._box_cutoff, self._overlap)
        return np.concatenate([corners[kept], corners[kept] + boxes[kept, 2:]], axis=1), scores[kept]

    def _segment(self, image: Image, box: Floats) -> tuple[Mask, float]:
        """Return the mask inside a box, at the image's size, and its score."""
        mask = np.zeros(image.shape[:2], dtype=np.bool_)
        x0, y0, x1, y1 = self._find_crop(box, image.shape)
        if x1 <= x0 or y1 <= y0:
            return mask, 0.0
        probability = self._compute_probability(np.ascontiguousarray(image[y0:y1, x0:x1]))
        inside = probability > self._mask_cutoff
        mask[y0:y1, x0:x1] = inside
        return mask, float(probability[inside].mean(dtype=np.float64)) if inside.any() else 0.0

    def _find_crop(self, box: Floats, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return the crop to segment: the box, enlarged on every side and clipped to the image."""
        width, height = box[2] - box[0], box[3] - box[1]
        grown = box + np.array([-width, -height, width, height]) * self._enlarge
        x0, y0, x1, y1 = np.clip(grown, 0, [shape[1], shape[0], shape[1], shape[0]]).astype(int)
        return int(x0), int(y0), int(x1), int(y1)

    def _compute_probability(self, cut: Image) -> NDArray[np.float32]:
        """Return the segmenter's probability for each pixel of a crop."""
        side = self._segmenter_side
        self._segmenter.setInput(cv2.dnn.blobFromImage(cut, 1 / 255, (side, side)))
        answer = np.asarray(self._segmenter.forward(), dtype=np.float32)
        if answer.size != side * side:
            raise ModelError(f"segmenter must answer one map of {side} × {side}, got shape {answer.shape}")
        resized = cv2.resize(answer.reshape(side, side), (cut.shape[1], cut.shape[0]), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, dtype=np.float32)


def _read_net(path: Path, role: str) -> Any:
    """Read a network that `cv2.dnn` can run."""
    if not path.is_file():
        expected = "a YOLOX detector as .onnx" if role == "detector" else "a one-map segmenter as .tflite or .onnx"
        raise ModelError(
            f"detect_segment: no {role} at {path}; put {expected} there, "
            f'or say where it is: [tool.segqa.models.detect_segment] {role} = "…"'
        )
    refuse_pointers([path], ModelError)
    try:
        return cv2.dnn.readNet(str(path))
    except cv2.error as error:
        raise ModelError(f"detect_segment: OpenCV cannot read the {role} {path}: {error.err}") from error


def _build_grid(side: int) -> tuple[Floats, Floats]:
    """Return YOLOX's cells (x, y) `[cells, 2]` for an input of this side, and the stride of each `[cells, 1]`."""
    cells, strides = [], []
    for stride in _STRIDES:
        count = side // stride
        ys, xs = np.divmod(np.arange(count * count), count)
        cells.append(np.stack([xs, ys], axis=1))
        strides.append(np.full((count * count, 1), stride))
    return np.concatenate(cells).astype(np.float64), np.concatenate(strides).astype(np.float64)


def _letterbox(image: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """Return the image scaled into the top left of a square, padded with grey, and the scale."""
    height, width = image.shape[:2]
    scale = min(side / height, side / width)
    size = max(1, int(width * scale)), max(1, int(height * scale))
    square = np.full((side, side, 3), _PADDING, dtype=np.uint8)
    square[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return square, scale


def _suppress(boxes: Floats, scores: Floats, cutoff: float, overlap: float) -> NDArray[np.intp]:
    """Return the indices of the boxes x, y, w, h that survive non-maximum suppression, by descending score."""
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), cutoff, overlap)
    return np.asarray(kept, dtype=np.intp).reshape(-1)
