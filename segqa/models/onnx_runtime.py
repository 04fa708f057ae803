"""`OnnxRuntime`: run a network exported by `segqa export` with ONNX Runtime; needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from segqa.errors import ModelError
from segqa.models.checkpoint_files import CONFIG, compute_network_digest
from segqa.models.runtime import Maps, Precision
from segqa.support.git import refuse_pointers

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUT, OUTPUT = "images", "logits"
STRIDE, MADE_OF = "segqa_stride", "segqa_network"
"""The metadata keys of an exported file: the divisor of the input's sides, and the digest of the network."""

_NAMES = {"float32": "model.onnx", "int8": "model.int8.onnx"}


def get_onnx_path(folder: Path, precision: Precision) -> Path:
    """Return the path of a checkpoint's exported network."""
    if precision not in _NAMES:
        raise ModelError(f"onnx runs {' and '.join(_NAMES)}, got {precision!r}")
    return folder / _NAMES[precision]


class OnnxRuntime:
    """A checkpoint's network in ONNX format.

    It uses as many threads as OpenCV, so that one limit applies to both.

    Args:
        folder: the checkpoint that the file was exported from. If it has been trained further since, it is refused.
        path: the exported file.
        device: `"cpu"`, `"cuda"` if ONNX Runtime supports it, or `"auto"` for CUDA if available.

    Raises:
        ModelError: the file is missing, damaged or of another network; or the device is unavailable.
    """

    def __init__(self, folder: Path, path: Path, *, device: str = "auto") -> None:
        if not path.is_file():
            precision = next((name for name, file in _NAMES.items() if file == path.name), "float32")
            option = "" if precision == "float32" else f" --precision {precision}"
            raise ModelError(f"no {path}; `segqa export {folder} --to onnx --dataset DIR{option}` makes it")
        self._provider = _find_provider(device)
        self._path = path
        self._threads = cv2.getNumThreads()
        self._session = self._open()
        about = self._session.get_modelmeta().custom_metadata_map
        if about.get(MADE_OF) != compute_network_digest(folder):
            raise ModelError(f"{path} was made of another network than the one in {folder} now; export it again")
        self.stride = int(about[STRIDE])
        self.arguments = {"device": self._provider, "file": path.name}
        self.files = (path, folder / CONFIG)
        self.libraries = ("onnxruntime",)

    def compute_probabilities(self, batch: Maps) -> Maps:
        """Return the probability of each pixel, `[N, h, w]`, for prepared images `[N, h, w, 3]`."""
        if cv2.getNumThreads() != self._threads:
            self._threads = cv2.getNumThreads()
            self._session = self._open()
        (logits,) = self._session.run([OUTPUT], {INPUT: to_planes(batch)})
        return np.asarray(1 / (1 + np.exp(-logits[:, 0])), dtype=np.float32)

    def _open(self) -> InferenceSession:
        refuse_pointers([self._path], ModelError)
        onnxruntime = _import_library()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # spinning threads would take the core that reads the next image
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # 3: errors; the warnings concern graphs that cannot be simplified further
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(str(self._path), options, providers=[self._provider])
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise ModelError(f"{self._path} is damaged, or ONNX Runtime cannot run it: {error}") from error


def to_planes(batch: Maps) -> Maps:
    """Return prepared images `[N, h, w, 3]` in the layout of an exported network, `[N, 3, h, w]`."""
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


def _find_provider(device: str) -> str:
    """Return ONNX Runtime's execution provider for a device."""
    available = _import_library().get_available_providers()
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    if device == "auto":
        return cuda if cuda in available else cpu
    if device == "cpu":
        return cpu
    if device == "cuda" and cuda in available:
        return cuda
    raise ModelError(f"device must be auto, cpu or cuda where ONNX Runtime has it, got {device!r}; it has {available}")


def _import_library() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError("runtime onnx needs onnxruntime: pip install 'segqa[onnx]'") from error
    return onnxruntime
