"""A network as ONNX: the same masks without torch, refused where they are not, and never that of another network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from segqa.cli import app
from segqa.data.case import Case
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.errors import ModelError
from segqa.models import transforms
from segqa.models.checkpoint import write_checkpoint
from segqa.models.network import Network
from segqa.models.torch_runtime import TorchRuntime
from segqa.models.unet import UNet
from segqa.training import onnx_export
from segqa.training.onnx_export import _compare, export_onnx
from tests.conftest import bright_square, write_case

SHAPES = [(1, 1), (3, 200), (64, 64), (90, 70)]


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = tmp_path_factory.mktemp("squares")
    for index in range(6):
        write_case(folder, f"{index:02}", *bright_square(index))
    return list(open_folder(folder))


@pytest.fixture(scope="module")
def folder(exported_unet: Path) -> Path:
    return exported_unet


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture
def threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def noise(*shape: int) -> Image:
    return np.random.default_rng(shape).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_its_masks_are_those_of_torch_at_any_size(folder: Path) -> None:
    images = [noise(*shape) for shape in SHAPES]
    prompts = [""] * len(images)
    ours = Network.load(folder, name="unet", runtime="onnx", device="cpu").predict(images, prompts)
    theirs = Network.load(folder, name="unet", device="cpu").predict(images, prompts)
    for found, wanted in zip(ours, theirs, strict=True):
        assert np.count_nonzero(found.masks != wanted.masks) <= 2
        assert found.mask_scores == pytest.approx(wanted.mask_scores, abs=1e-3)
    assert any(wanted.masks.any() and not wanted.masks.all() for wanted in theirs)


def test_each_runtime_and_precision_is_a_model_of_its_own(folder: Path) -> None:
    kinds: list[dict[str, Any]] = [
        {"precision": "float32"},
        {"precision": "float16"},
        {"compiled": True},
        {"runtime": "onnx"},
        {"runtime": "onnx", "precision": "int8"},
    ]
    stamps = {Network.load(folder, name="unet", device="cpu", **kind).fingerprint for kind in kinds}
    assert len(stamps) == len(kinds)


def test_int8_is_smaller_and_nearly_the_same(folder: Path, squares: list[Case]) -> None:
    assert (folder / "model.int8.onnx").stat().st_size < (folder / "model.onnx").stat().st_size / 2
    images = [case.image() for case in squares]
    exact, coarse = (
        Network.load(folder, name="unet", runtime="onnx", precision=precision, device="cpu").predict(images, [""] * 6)
        for precision in ("float32", "int8")
    )
    same = [np.mean(ours.masks == theirs.masks) for ours, theirs in zip(exact, coarse, strict=True)]
    assert 0.8 < np.mean(same) <= 1


def test_torch_is_not_loaded(folder: Path) -> None:
    script = (
        "import sys\n"
        "import numpy as np\n"
        "from segqa.models.network import Network\n"
        f"net = Network.load({str(folder)!r}, name='unet', runtime='onnx', device='cpu')\n"
        "print(net.predict([np.zeros((20, 30, 3), np.uint8)], [''])[0].masks.shape, 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "(1, 20, 30) False"


def test_it_takes_as_many_threads_as_opencv_is_given(folder: Path, threads: None) -> None:
    model = Network.load(folder, name="unet", runtime="onnx", device="cpu")
    before = model.predict([noise(64, 64)], [""])[0].masks
    cv2.setNumThreads(1)
    after = model.predict([noise(64, 64)], [""])[0].masks
    assert np.array_equal(before, after)
    runtime = model._runtime
    assert runtime._session.get_session_options().intra_op_num_threads == 1  # type: ignore[attr-defined]


def test_a_network_trained_on_since_is_refused(copy: Path) -> None:
    write_checkpoint(copy, UNet(4), transforms.build_preprocessing(64), "")
    with pytest.raises(ModelError, match=r"of another network than the one in .* export it again"):
        Network.load(copy, name="unet", runtime="onnx")


def test_without_an_export_it_says_how_to_make_one(copy: Path) -> None:
    (copy / "model.int8.onnx").unlink()
    with pytest.raises(ModelError, match=r"segqa export .* --to onnx --dataset DIR --precision int8` makes it"):
        Network.load(copy, name="unet+int8", runtime="onnx", precision="int8")


def test_a_damaged_file_is_refused(copy: Path) -> None:
    whole = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"unet: .*model\.onnx is damaged"):
        Network.load(copy, name="unet", runtime="onnx")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"runtime": "tvm"}, 'runtime must be "torch" or "onnx", got \'tvm\''),
        ({"runtime": "onnx", "precision": "float16"}, "onnx runs float32 and int8, got 'float16'"),
        ({"precision": "int8"}, "torch runs float32 and float16, got 'int8'"),
        ({"runtime": "onnx", "compiled": True}, "compiled is for torch"),
        ({"runtime": "onnx", "device": "tpu"}, "device must be auto, cpu or cuda where ONNX Runtime has it"),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Network.load(folder, name="unet", **options)  # type: ignore[arg-type]


def test_the_export_agrees_with_torch(folder: Path, squares: list[Case]) -> None:
    exported = Network.load(folder, name="unet", runtime="onnx", device="cpu")
    agreement = _compare(exported, Network.load(folder, name="unet", device="cpu"), squares)
    assert agreement.cases == 6
    assert agreement.least == pytest.approx(1, abs=1e-3)
    assert agreement.exported_iou == pytest.approx(agreement.torch_iou, abs=1e-3)


def test_an_export_that_gives_other_masks_is_not_kept(
    copy: Path, squares: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_wrongly(folder: Path, path: Path) -> None:
        """Something goes wrong on the way: the last layer has its sign changed."""
        model = onnx.load(folder / "model.onnx")
        for tensor in model.graph.initializer:
            if tensor.name == "head.weight":
                tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
        onnx.save(model, path)

    before = (copy / "model.onnx").read_bytes()
    monkeypatch.setattr(onnx_export, "_write", write_wrongly)
    said = r"float32 is not good enough: mean IoU 0\.\d+ with torch's masks over 6 cases, least .*--min-iou"
    with pytest.raises(ModelError, match=said):
        export_onnx(copy, squares)
    assert (copy / "model.onnx").read_bytes() == before
    assert not list(copy.glob(".export*"))


def test_an_export_that_nothing_can_be_said_of_is_refused(folder: Path, squares: list[Case]) -> None:
    blind = Network(folder, TorchRuntime(folder, device="cpu"), mask_cutoff=0.9999999)
    with pytest.raises(ModelError, match="torch finds nothing in any of 6 cases"):
        _compare(blind, blind, squares)


def test_one_case_is_no_check(folder: Path, squares: list[Case]) -> None:
    with pytest.raises(ModelError, match="checked on 2 cases or more, got 1"):
        export_onnx(folder, squares[:1])


def test_the_command_exports_and_says_how_well(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "model.onnx").rename(tmp_path / "made before")
    monkeypatch.setattr(onnx_export, "_write", lambda _, path: shutil.copy(tmp_path / "made before", path))
    write_case(tmp_path / "data", "a", *bright_square(0))
    write_case(tmp_path / "data", "b", *bright_square(1))
    result = CliRunner().invoke(app, ["export", str(copy), "--to", "onnx", "--dataset", str(tmp_path / "data")])
    assert result.exit_code == 0, result.output
    assert "2 cases: IoU with torch's masks 1.0000" in result.output
    assert (copy / "model.onnx").is_file()


def test_the_command_refuses_a_folder_without_a_network(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(tmp_path / "nowhere"), "--dataset", "studio", "--limit", "2"])
    assert result.exit_code == 4
    assert "no checkpoint at" in result.stderr


def test_float16_gives_the_masks_of_float32(folder: Path) -> None:
    exact = Network.load(folder, name="unet", device="cpu")
    half = Network.load(folder, name="unet", device="cpu", precision="float16")
    images = [noise(64, 64)]
    ours, theirs = (model.predict(images, [""])[0].masks for model in (half, exact))
    assert np.mean(ours == theirs) > 0.99
    assert theirs.any()


def test_float16_that_gives_other_masks_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = Network.load(folder, name="unet", device="cpu", precision="float16")
    runtime = half._runtime
    monkeypatch.setattr(runtime, "_fast", lambda images: -runtime._net(images))  # type: ignore[attr-defined]
    with pytest.raises(
        ModelError, match=r"float16 gives other masks than the network itself: IoU 0\.\d+, expected 0.99"
    ):
        half.predict([noise(64, 64)], [""])


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_masks(folder: Path) -> None:
    images = [noise(64, 64), noise(64, 64) // 2]
    plain = Network.load(folder, name="unet", device="cpu").predict(images, ["", ""])
    compiled = Network.load(folder, name="unet", device="cpu", compiled=True).predict(images, ["", ""])
    for ours, theirs in zip(compiled, plain, strict=True):
        assert np.mean(ours.masks == theirs.masks) > 0.999
