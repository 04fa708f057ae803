"""What many tests need: small data sets made on the spot, and the real ones where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.data.mask import Image, Mask
from segqa.support.environment import CI_VARIABLES

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(autouse=True)
def _outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test as on a laptop: CI decides what a missing baseline is, and GitHub what is printed."""
    for name in ("CI", *CI_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def ccp() -> Path:
    """804 real photos with person masks; not part of the project."""
    folder = SHARED / "data" / "ccp"
    if not folder.is_dir():
        pytest.skip("the CCP photos are not there (../shared/data/ccp)")
    return folder


@pytest.fixture(scope="session")
def weights() -> Path:
    """A real detector and a real segmenter; not part of the project."""
    folder = SHARED / "weights"
    if not folder.is_dir():
        pytest.skip("the pretrained networks are not there (../shared/weights)")
    return folder


def bright_square(index: int, shape: tuple[int, int] = (40, 60)) -> tuple[Image, Mask]:
    """A dark picture with a bright square whose place depends on the index; and its mask."""
    mask = np.zeros(shape, np.bool_)
    row, column = index % (shape[0] - 12), (3 * index) % (shape[1] - 12)
    mask[row : row + 12, column : column + 12] = True
    return np.where(mask, 200, 30).astype(np.uint8)[:, :, None].repeat(3, axis=2), mask


def write_case(folder: Path, name: str, image: Image, mask: Mask, suffix: str = ".png") -> None:
    """An image and its mask as files of a folder data set."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(image).save(folder / "images" / f"{name}{suffix}")
    Pillow.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")


@pytest.fixture
def squares(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a folder data set of so many bright squares."""

    def make(count: int) -> Path:
        folder = tmp_path / "squares"
        for index in range(count):
            write_case(folder, f"{'AB'[index % 2]}_{index:03}", *bright_square(index))
        return folder

    return make


@pytest.fixture(scope="session")
def exported_unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has learnt nothing and finds some pixels, exported in both precisions; not to be changed."""
    import torch

    from segqa.data.folder import open_folder
    from segqa.models import transforms
    from segqa.models.checkpoint import write_checkpoint
    from segqa.models.unet import UNet
    from segqa.training.onnx_export import export_onnx

    torch.manual_seed(0)
    net = UNet(4).eval()
    net.head.weight.data.mul_(20)
    probe = net(torch.randn(4, 3, 64, 64))
    torch.nn.init.constant_(net.get_parameter("head.bias"), -float(probe.detach().mean()))
    folder = tmp_path_factory.mktemp("exported")
    write_checkpoint(folder / "unet", net, transforms.build_preprocessing(64), "")
    for index in range(6):
        write_case(folder / "squares", f"{index:02}", *bright_square(index))
    cases = list(open_folder(folder / "squares"))
    export_onnx(folder / "unet", cases)
    export_onnx(folder / "unet", cases, precision="int8", least_iou=0.0)
    return folder / "unet"
