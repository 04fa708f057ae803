from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from segqa.data.mask import Image
from segqa.errors import ModelError
from segqa.models import transforms
from segqa.models.checkpoint import write_checkpoint
from segqa.models.network import Network
from segqa.models.torch_runtime import find_device
from segqa.models.unet import UNet

SHAPES = [(1, 1), (3, 200), (64, 64), (90, 70)]


def noise(*shape: int) -> Image:
    return np.random.default_rng(shape).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("network") / "unet"
    write_checkpoint(folder, UNet(8), transforms.build_preprocessing(64), "")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Network:
    return Network.load(folder, name="unet", device="cpu", mask_cutoff=median(folder))


def median(folder: Path) -> float:
    """A cutoff that gives masks of some pixels, although nothing has been learnt."""
    net = Network.load(folder, name="unet", device="cpu", mask_cutoff=0)
    return float(net.predict([noise(64, 64)], [""])[0].mask_scores[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_mask_has_the_image_s_size(model: Network, shape: tuple[int, int]) -> None:
    image = noise(*shape)
    before = image.copy()
    (offered,) = model.predict([image], ["person."])
    assert offered.masks.shape == (1, *shape)
    assert np.array_equal(image, before)


def test_a_read_only_grey_image_is_answered(model: Network) -> None:
    image = np.repeat(noise(40, 50)[:, :, :1], 3, axis=2)
    image.flags.writeable = False
    assert model.predict([image], [""])[0].masks.shape == (1, 40, 50)


def test_a_batch_answers_as_one_by_one(model: Network) -> None:
    images = [noise(*shape) for shape in SHAPES]
    together = model.predict(images, [""] * len(images))
    for image, offered in zip(images, together, strict=True):
        (alone,) = model.predict([image], [""])
        assert np.array_equal(offered.masks, alone.masks)
        assert offered.mask_scores == pytest.approx(alone.mask_scores, abs=1e-5)


def test_no_image_is_no_answer(model: Network) -> None:
    assert model.predict([], []) == []


def test_the_score_is_the_mean_probability_inside(folder: Path) -> None:
    everything = Network.load(folder, name="unet", device="cpu", mask_cutoff=0)
    (offered,) = everything.predict([noise(64, 64)], [""])
    assert offered.masks.all()
    image = transforms.build_preprocessing(64)(image=noise(64, 64))["image"]
    with torch.inference_mode():
        logits = UNet.from_pretrained(folder)(torch.from_numpy(image.transpose(2, 0, 1))[None])
    assert offered.mask_scores[0] == pytest.approx(float(torch.sigmoid(logits).mean()), abs=1e-6)
    assert offered.box_scores[0] == 1.0


def test_an_empty_mask_scores_0(folder: Path) -> None:
    nothing = Network.load(folder, name="unet", device="cpu", mask_cutoff=0.999)
    (offered,) = nothing.predict([noise(64, 64)], [""])
    assert not offered.masks.any()
    assert offered.mask_scores[0] == 0.0


@pytest.mark.parametrize("arch", ["Unet", "FPN"])
def test_a_network_of_smp_answers_images_of_any_size(tmp_path: Path, arch: str) -> None:
    """Its preprocessing only normalises, and FPN wants sides that 32 divides."""
    net = getattr(smp, arch)("resnet18", encoder_weights=None)
    write_checkpoint(tmp_path / "net", net, transforms.build_normalization(), "")
    model = Network.load(tmp_path / "net", name="resnet34", device="cpu")
    offered = model.predict([noise(40, 50), noise(64, 33)], ["", ""])
    assert [one.masks.shape for one in offered] == [(1, 40, 50), (1, 64, 33)]


def test_autocast_that_another_library_left_on_changes_nothing(model: Network) -> None:
    (before,) = model.predict([noise(64, 64)], [""])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (after,) = model.predict([noise(64, 64)], [""])
    assert np.array_equal(before.mask_scores, after.mask_scores)


def test_threads_of_torch_leave_the_cores_to_others_unless_they_are_told_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    Network.load(folder, name="unet", device="cpu")
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    Network.load(folder, name="unet", device="cpu")
    assert os.environ["OMP_WAIT_POLICY"] == "active"


@pytest.mark.parametrize("given", [None, "nowhere"])
def test_without_a_checkpoint_it_says_how_to_get_one(given: str | None) -> None:
    with pytest.raises(ModelError) as raised:
        Network.load(given, name="unet")
    for part in ("segqa train unet --dataset DIR --out DIR", "--segqa-checkpoint DIR", "[tool.segqa.models.unet]"):
        assert part in str(raised.value)


def test_a_damaged_checkpoint_is_named_with_its_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"unet: no config\.json and no model\.safetensors in .*{tmp_path.name}"):
        Network.load(tmp_path, name="unet")


@pytest.mark.parametrize(("name", "said"), [("gpu", "must be auto, cpu or a GPU"), ("cuda:99", "that torch has here")])
def test_a_device_that_is_not_here_is_refused(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        find_device(name)


def test_a_cutoff_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="mask_cutoff must be from 0 to below 1"):
        Network.load(folder, name="unet", mask_cutoff=1.5)


def test_the_fingerprint_changes_with_weights_preprocessing_and_cutoff(folder: Path, tmp_path: Path) -> None:
    def stamp(name: str, net: UNet, size: int) -> str:
        write_checkpoint(tmp_path / name, net, transforms.build_preprocessing(size), name)
        return Network.load(tmp_path / name, name="unet", device="cpu").fingerprint

    net = UNet.from_pretrained(folder)
    own = Network.load(folder, name="unet", device="cpu").fingerprint
    assert stamp("same", net, 64) == own, "the card does not count"
    others = [stamp("size", net, 96), stamp("weights", UNet(8), 64), stamp("width", UNet(4), 64)]
    others.append(Network.load(folder, name="unet", device="cpu", mask_cutoff=0.6).fingerprint)
    assert len({own, *others}) == 5


def test_a_network_is_not_evaluated_under_the_name_of_another(folder: Path) -> None:
    with pytest.raises(ModelError, match="holds segqa's U-Net, expected a network of segmentation_models_pytorch"):
        Network.load(folder, name="resnet34", family="smp", device="cpu")
    assert Network.load(folder, name="unet", family="unet", device="cpu").weights_bytes > 1000
