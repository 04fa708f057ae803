from __future__ import annotations

import json
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from segqa.errors import ModelError
from segqa.models import transforms
from segqa.models.checkpoint import push_to_hub, read_checkpoint, write_checkpoint
from segqa.models.checkpoint_files import FILES
from segqa.models.unet import UNet

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks for a network fails at once."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def unet() -> UNet:
    return UNet(8).eval()


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    net: nn.Module = smp.Unet("resnet18", encoder_weights=None).eval()
    return net


@pytest.fixture
def kept(tmp_path: Path, unet: UNet) -> Path:
    write_checkpoint(tmp_path / "kept", unet, transforms.build_preprocessing(64), "# card\n")
    return tmp_path / "kept"


def same(first: nn.Module, second: nn.Module) -> bool:
    with torch.inference_mode():
        return torch.equal(first(IMAGES), second(IMAGES))


def test_a_unet_comes_back_as_it_was(kept: Path, unet: UNet) -> None:
    back = read_checkpoint(kept)
    assert same(back.net, unet)
    assert sorted(path.name for path in kept.iterdir()) == sorted(FILES)
    assert (kept / "README.md").read_text(encoding="utf-8") == "# card\n"


def test_a_unet_loads_as_the_hub_does_it(kept: Path, unet: UNet) -> None:
    assert same(UNet.from_pretrained(kept), unet)


def test_what_a_unet_saves_itself_loads_here(tmp_path: Path, unet: UNet) -> None:
    unet.save_pretrained(tmp_path)
    back = read_checkpoint(tmp_path)
    assert same(back.net, unet)
    assert "no albumentations_config_eval.json; taking 256 × 256 pixels" in back.notes[0]


def test_what_smp_writes_loads_here(tmp_path: Path, resnet: Any) -> None:
    resnet.save_pretrained(tmp_path)
    transforms.build_preprocessing(96).save_pretrained(tmp_path)
    back = read_checkpoint(tmp_path)
    assert same(back.net, resnet)
    assert back.preprocessing.transforms[0].height == 96


@pytest.mark.parametrize("arch", ["Unet", "FPN", "DeepLabV3Plus"])
def test_what_is_written_here_loads_in_smp(tmp_path: Path, arch: str) -> None:
    net = getattr(smp, arch)("resnet18", encoder_weights=None).eval()
    write_checkpoint(tmp_path / "kept", net, transforms.build_preprocessing(64), "")
    assert same(smp.from_pretrained(tmp_path / "kept", encoder_weights=None), net)
    assert same(read_checkpoint(tmp_path / "kept").net, net)


def test_a_net_built_on_imagenet_asks_nobody_for_its_weights(tmp_path: Path, resnet: Any) -> None:
    resnet.save_pretrained(tmp_path, config={**resnet.config, "encoder_weights": "imagenet", "_model_class": "Unet"})
    transforms.build_preprocessing(64).save_pretrained(tmp_path)
    back = read_checkpoint(tmp_path)
    assert same(back.net, resnet)
    write_checkpoint(tmp_path / "again", back.net, back.preprocessing, "")
    assert same(smp.from_pretrained(tmp_path / "again"), resnet), "not even without encoder_weights=None"


def cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def without_a_tensor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["surplus"] = weights.pop("head.bias")
    save_file(weights, folder / "model.safetensors")


def configured(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")

    return change


def written(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def flipped(folder: Path) -> None:
    transforms.build_augmentation(1.0).save_pretrained(folder)


def newer(folder: Path) -> None:
    path = folder / transforms.FILE
    path.write_text(path.read_text(encoding="utf-8").replace("max_pixel_value", "top_value"), encoding="utf-8")


DAMAGES = [
    pytest.param(cut_off, r"model\.safetensors is damaged or cut off", id="weights cut off"),
    pytest.param(written("model.safetensors", b""), r"model\.safetensors is damaged or cut off", id="weights empty"),
    pytest.param(without_a_tensor, r"1 tensor missing, such as head\.bias; 1 tensor too many", id="other tensors"),
    pytest.param(configured(width=4), r"other shape, such as .* with \(8, 3, 3, 3\), not \(4", id="other width"),
    pytest.param(configured(width="x"), r"config\.json does not describe a UNet", id="width a word"),
    pytest.param(configured(depth=3), r"does not describe a UNet: .*'depth'", id="unknown argument"),
    pytest.param(configured(_model_class="Nyet"), r"_model_class 'Nyet'; known: UNet, Unet, ", id="unknown class"),
    pytest.param(configured(_model_class="Unet"), r"tensors missing, such as decoder", id="another library's class"),
    pytest.param(configured(classes=5), r"config\.json has classes = 5, expected 1", id="five classes"),
    pytest.param(configured(activation="sigmoid"), "activation = 'sigmoid', expected None", id="no logits"),
    pytest.param(configured(encoder_name="tu-hf-hub:a/b"), "would be fetched", id="encoder from the hub"),
    pytest.param(written("config.json", b"{"), r"config\.json is damaged", id="config cut off"),
    pytest.param(written("config.json", b"[]"), r"config\.json has no _model_class", id="config a list"),
    pytest.param(
        written(transforms.FILE, b"{"), r"albumentations_config_eval\.json is damaged", id="preprocessing cut off"
    ),
    pytest.param(
        written(transforms.FILE, b'{"transform": {"__class_fullname__": "Nope", "p": 1}}'), "Nope", id="unknown step"
    ),
    pytest.param(flipped, "has a step HorizontalFlip; expected Resize", id="a step that moves pixels"),
    pytest.param(newer, "'top_value' are not valid for transform Normalize", id="another version's argument"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_what_does_not_fit_is_named(kept: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(kept)
    with pytest.raises(ModelError, match=said):
        read_checkpoint(kept)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(kept: Path, name: str) -> None:
    (kept / name).unlink()
    with pytest.raises(ModelError, match=f"no {name} in the checkpoint"):
        read_checkpoint(kept)


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path("exploded").touch, ()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "last.ckpt"])
def test_nothing_is_unpickled(kept: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kept)
    (kept / "model.safetensors").unlink()
    (kept / name).write_bytes(pickle.dumps(Bomb()))
    for path in (kept, kept / name):
        with pytest.raises(ModelError, match=rf"{name} is not read, since unpickling can run any code"):
            read_checkpoint(path)
    assert not (kept / "exploded").exists()


def test_a_write_that_fails_leaves_what_was_there(kept: Path, unet: UNet) -> None:
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    with pytest.raises(AttributeError):
        write_checkpoint(kept, UNet(8), None, "new")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert same(read_checkpoint(kept).net, unet)


class Hub:
    """What the hub is asked to do."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.asked.append((repo_id, options))

    def upload_folder(self, repo_id: str, **options: Any) -> SimpleNamespace:
        self.asked.append((repo_id, options))
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


def test_a_checkpoint_is_pushed_whole(kept: Path) -> None:
    (kept / "training_state.safetensors").write_bytes(b"not for others")
    hub = Hub()
    url = push_to_hub(kept, "somebody/unet", private=True, api=hub)  # type: ignore[arg-type]
    assert url == "https://hub/somebody/unet/commit/1"
    assert hub.asked[0] == ("somebody/unet", {"private": True, "exist_ok": True})
    assert hub.asked[1] == ("somebody/unet", {"folder_path": kept, "allow_patterns": list(FILES)})


def test_a_broken_checkpoint_is_not_pushed(kept: Path) -> None:
    cut_off(kept)
    hub = Hub()
    with pytest.raises(ModelError):
        push_to_hub(kept, "somebody/unet", api=hub)  # type: ignore[arg-type]
    assert not hub.asked
