"""Export the network of a checkpoint to ONNX, and keep it only if it gives the same masks on real cases."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segqa.data.case import Case
from segqa.errors import ModelError
from segqa.models.checkpoint import read_checkpoint
from segqa.models.checkpoint_files import compute_network_digest, require_files
from segqa.models.log_levels import limit_logging
from segqa.models.network import Network
from segqa.models.onnx_runtime import INPUT, MADE_OF, OUTPUT, STRIDE, OnnxRuntime, get_onnx_path, to_planes
from segqa.models.runtime import Precision
from segqa.models.torch_runtime import TorchRuntime
from segqa.models.unet import UNet
from segqa.scoring.metrics import iou
from segqa.support.plurals import format_count

LEAST_IOU = {"float32": 0.999, "int8": 0.98}
"""The mean IoU with torch's masks below which an exported network is refused, by its precision."""

_UNET_STRIDE = 16


@dataclass(frozen=True, slots=True)
class Agreement:
    """How an exported network compares with torch's on some cases.

    Attributes:
        cases: how many.
        mean: of the IoUs between the masks of both.
        least: of them.
        exported_iou: mean IoU of the exported network's masks against the targets.
        torch_iou: the same of torch's.
    """

    cases: int
    mean: float
    least: float
    exported_iou: float
    torch_iou: float


def export_onnx(
    folder: Path, cases: Sequence[Case], *, precision: Precision = "float32", least_iou: float | None = None
) -> tuple[Path, Agreement]:
    """Write a checkpoint's network as ONNX beside it, and check it against torch on real cases.

    With int8, weights and activations are whole numbers of 8 bits, whose ranges are taken from every second case; the
    others check it. That is another model, with masks of its own.

    Args:
        folder: the checkpoint.
        cases: what it was trained for; a few dozen.
        precision: `"float32"` or `"int8"`.
        least_iou: mean IoU with torch's masks below which nothing is written; see `LEAST_IOU`.

    Returns:
        The file, and how well it agrees.

    Raises:
        ModelError: the masks differ, or torch finds nothing in any case, so that nothing can be said.
    """
    require_files(folder)
    path = get_onnx_path(folder, precision)
    bound = LEAST_IOU[precision] if least_iou is None else least_iou
    if len(cases) < 2:
        raise ModelError(f"an export is checked on 2 cases or more, got {len(cases)}")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as temporary:
        written = Path(temporary) / path.name
        reference = Network(folder, TorchRuntime(folder, device="cpu"))
        exact = Path(temporary) / "exact.onnx"
        _write(folder, exact)
        if precision == "int8":
            _quantise(
                exact, written, [to_planes(reference.prepare(case.image(), "").pixels[None]) for case in cases[::2]]
            )
            cases = cases[1::2]
        else:
            exact.rename(written)
        agreement = _compare(Network(folder, OnnxRuntime(folder, written, device="cpu")), reference, cases)
        if not agreement.mean >= bound:
            raise ModelError(
                f"{precision} is not good enough: mean IoU {agreement.mean:.4f} with torch's masks over "
                f"{agreement.cases} cases, least {agreement.least:.4f}; expected {bound} or more (--min-iou)"
            )
        written.replace(path)
    return path, agreement


def _write(folder: Path, path: Path) -> None:
    """The network as ONNX, for batches of any size and images of any sides that its stride divides."""
    onnx = _library("onnx")
    _library("onnxscript")
    net = read_checkpoint(folder).net.eval()
    stride = _UNET_STRIDE if isinstance(net, UNet) else int(getattr(net, "encoder").output_stride)  # noqa: B009
    dimension = torch.export.Dim
    sides = {0: dimension("batch"), 2: stride * dimension("rows"), 3: stride * dimension("columns")}
    example = torch.zeros(2, 3, 4 * stride, 8 * stride)
    with _silence():
        program: Any = torch.onnx.export(
            net, (example,), dynamo=True, dynamic_shapes=(sides,), input_names=[INPUT], output_names=[OUTPUT]
        )
        program.save(path)
    model = onnx.load(path)
    about = {STRIDE: str(stride), MADE_OF: compute_network_digest(folder)}
    onnx.helper.set_model_props(model, about)
    onnx.save(model, path)


def _quantise(exact: Path, path: Path, inputs: Sequence[Any]) -> None:
    """The network in whole numbers, its ranges taken from some inputs."""
    onnx, quantization = _library("onnx"), _library("onnxruntime.quantization")
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Inputs(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self._rest = iter(inputs)

        def get_next(self) -> dict[str, Any] | None:
            return next(({INPUT: one} for one in self._rest), None)

    prepared = exact.with_name("prepared.onnx")
    with _silence():
        quant_pre_process(str(exact), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(str(prepared), str(path), Inputs(), per_channel=True)
    about = {entry.key: entry.value for entry in onnx.load(exact, load_external_data=False).metadata_props}
    model = onnx.load(path)
    onnx.helper.set_model_props(model, about)
    onnx.save(model, path)


def _compare(exported: Network, reference: Network, cases: Sequence[Case]) -> Agreement:
    """Both networks on the same cases."""
    between, ours, theirs = [], [], []
    for case in cases:
        prepared = reference.prepare(case.image(), "")
        found, wanted = (network.predict_prepared([prepared], [""])[0].masks[0] for network in (exported, reference))
        target = case.target()
        ours.append(iou(found, target))
        theirs.append(iou(wanted, target))
        if found.any() or wanted.any():
            between.append(iou(found, wanted))
    if not between:
        raise ModelError(
            f"torch finds nothing in any of {format_count(len(cases), 'case')}, so nothing can be said; take others"
        )
    return Agreement(len(cases), float(np.mean(between)), min(between), float(np.mean(ours)), float(np.mean(theirs)))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing of what the exporters say of their own progress; what fails is raised."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        limit_logging("torch.onnx", logging.ERROR),
        limit_logging("root", logging.ERROR),
    ):
        warnings.simplefilter("ignore")
        yield


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ModelError(f"exporting needs {name.partition('.')[0]}: pip install 'segqa[onnx]'") from error
