from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.subsets import split
from segqa.errors import DatasetError, ModelError, SettingsError
from segqa.models.network import Network
from segqa.scoring.metrics import iou
from segqa.training.config import build_config
from segqa.training.history import Epoch, best
from segqa.training.train import train
from tests.conftest import bright_square, write_case

EPOCHS, BATCH, COUNT = 3, 4, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures of the training size."""
    folder = tmp_path_factory.mktemp("train") / "squares"
    for index in range(COUNT):
        write_case(folder, f"{index:03}", *bright_square(index, (64, 64)))
    return folder


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return open_folder(folder)


def run(dataset: Dataset, out: Path, *, resume: bool = False, **options: Any) -> list[Epoch]:
    defaults = {"epochs": EPOCHS, "size": 64, "batch_size": BATCH, "width": 8, "learning_rate": 1e-2}
    recipe = build_config("unet", **defaults | options)
    return train(recipe, dataset, out, device="cpu", threads=1, resume=resume)


@pytest.fixture(scope="module")
def undisturbed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run(dataset, out)
    return out


def contents(out: Path) -> dict[str, bytes]:
    """All files, without the commit of the work tree, which may change while the tests run."""
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    return files | {"README.md": re.sub(rb"\| commit \|.*", b"", files["README.md"])}


DIES = """
import os, signal, sys
from pathlib import Path
from segqa.data.folder import open_folder
from segqa.training import train as module
from segqa.training.config import build_config

name, call = sys.argv[3], int(sys.argv[4])
real, calls = getattr(module, name), []

def dying(*arguments, **options):
    calls.append(name)
    if len(calls) == call:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)

setattr(module, name, dying)
recipe = build_config("unet", epochs=3, size=64, batch_size=4, width=8, learning_rate=1e-2)
module.train(recipe, open_folder(sys.argv[1]), Path(sys.argv[2]), device="cpu", threads=1)
"""


@pytest.mark.parametrize(
    ("where", "call", "done"),
    [
        pytest.param("_step", 6, 1, id="in the middle of epoch 2"),
        pytest.param("_publish", 2, 2, id="between the state and the checkpoint of epoch 2"),
    ],
)
def test_a_training_killed_and_resumed_ends_as_an_undisturbed_one(
    folder: Path, undisturbed: Path, tmp_path: Path, where: str, call: int, done: int
) -> None:
    out = tmp_path / "out"
    died = subprocess.run([sys.executable, "-c", DIES, str(folder), str(out), where, str(call)], check=False)
    assert died.returncode == -9
    assert (out / "training_state.safetensors").read_bytes().count(rb"\"epoch\": ") == done
    (out / ".state-left").mkdir()
    assert len(run(open_folder(folder), out, resume=True)) == EPOCHS
    assert contents(out) == contents(undisturbed)


def test_resuming_what_is_done_changes_nothing(dataset: Dataset, undisturbed: Path) -> None:
    before = contents(undisturbed)
    assert len(run(dataset, undisturbed, resume=True)) == EPOCHS
    assert contents(undisturbed) == before


def test_another_seed_ends_elsewhere(dataset: Dataset, undisturbed: Path, tmp_path: Path) -> None:
    run(dataset, tmp_path / "out", seed=1)
    other = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert other != (undisturbed / "model.safetensors").read_bytes()


def test_the_best_checkpoint_scores_what_the_history_says(dataset: Dataset, tmp_path: Path) -> None:
    history = run(dataset, tmp_path / "out", epochs=5)
    top = best(history)
    assert top is not None
    assert top.validation_iou > 0.5, "bright squares are easy"
    model = Network.load(tmp_path / "out", name="unet", device="cpu")
    cases = split(dataset)[1].cases
    offered = model.predict([case.image() for case in cases], ["" for _ in cases])
    ious = [iou(one.masks[0], case.target()) for one, case in zip(offered, cases, strict=True)]
    assert np.mean(ious) == pytest.approx(top.validation_iou, abs=1e-3)


def test_what_is_trained_by_smp_loads_in_smp(dataset: Dataset, tmp_path: Path) -> None:
    recipe = build_config("resnet34", epochs=1, size=64, encoder="resnet18", encoder_weights="none", limit=4)
    train(recipe, dataset, tmp_path / "out", device="cpu", threads=1)
    net = smp.from_pretrained(tmp_path / "out", encoder_weights=None)
    assert net(torch.rand(1, 3, 64, 64)).shape == (1, 1, 64, 64)
    assert Network.load(tmp_path / "out", name="resnet34", device="cpu").fingerprint


def test_a_limit_leaves_held_out_cases_held_out(dataset: Dataset, tmp_path: Path) -> None:
    run(dataset, tmp_path / "out", epochs=1, limit=3)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "trained on | 3 cases" in card
    assert "validated on | 3 cases held out" in card


def test_patience_ends_a_training_that_gets_no_better(dataset: Dataset, tmp_path: Path) -> None:
    history = run(dataset, tmp_path / "out", epochs=50, patience=2, learning_rate=1e-9, limit=4)
    top = best(history)
    assert top is not None
    assert len(history) == top.epoch + 2 < 50


def test_what_out_holds_is_not_written_over(dataset: Dataset, undisturbed: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"is not empty; .*; --resume goes on with it"):
        run(dataset, undisturbed)
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"is not empty; give a folder that is not there yet$"):
        run(dataset, tmp_path)
    with pytest.raises(SettingsError, match="nothing to resume in"):
        run(dataset, tmp_path, resume=True)
    with pytest.raises(SettingsError, match="--out must be a folder that can be made"):
        run(dataset, tmp_path / "letter.txt")


def test_resuming_with_another_recipe_is_refused(dataset: Dataset, undisturbed: Path) -> None:
    with pytest.raises(SettingsError, match=r"was begun with learning_rate = 0\.01, got 0\.5; resume with the same"):
        run(dataset, undisturbed, resume=True, learning_rate=0.5)


def test_resuming_on_other_data_is_refused(undisturbed: Path, squares: Callable[[int], Path]) -> None:
    with pytest.raises(ModelError, match="was begun on other data"):
        run(open_folder(squares(20)), undisturbed, resume=True)


def test_a_damaged_state_is_named(dataset: Dataset, undisturbed: Path, tmp_path: Path) -> None:
    state = (undisturbed / "training_state.safetensors").read_bytes()
    (tmp_path / "training_state.safetensors").write_bytes(state[:-10])
    with pytest.raises(ModelError, match=r"training_state\.safetensors is damaged"):
        run(dataset, tmp_path, resume=True)


def test_an_unreadable_case_is_named_before_training_starts(squares: Callable[[int], Path], tmp_path: Path) -> None:
    folder = squares(6)
    (folder / "images" / "A_004.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"cannot train on case 'A_004': A_004\.png is not a PNG"):
        run(open_folder(folder), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_loss_that_is_none_ends_the_training(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"training diverged in epoch \d: the loss is nan; lower the --learning-rate"):
        run(dataset, tmp_path / "out", learning_rate=1e30)


def test_threads_and_chance_are_as_before_afterwards(dataset: Dataset, tmp_path: Path) -> None:
    before = torch.get_num_threads(), cv2.getNumThreads(), torch.get_rng_state()
    run(dataset, tmp_path / "out", epochs=1, limit=2)
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
