from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from segqa.cli import app
from segqa.models.network import Network

TINY = ("--size", "64", "--epochs", "1", "--threads", "1", "--device", "cpu")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train", *(str(argument) for argument in arguments)])


def test_a_unet_is_trained_and_its_checkpoint_named(squares: Callable[[int], Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("unet", "--dataset", squares(6), "--out", out, "--width", "4", *TINY)
    assert result.exit_code == 0, result.output
    assert "epoch 1/1  loss 0." in result.output
    assert f"at 64 px, in {out}" in result.output
    assert f"--segqa-checkpoint={out}" in result.output
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
        "albumentations_config_eval.json",
        "config.json",
        "history.csv",
        "history.svg",
        "model.safetensors",
        "training_cases.json",
        "training_state.safetensors",
    ]
    assert len(Network.load(out, name="unet", device="cpu").trained_on) > 1


def test_a_finished_training_goes_on_for_more_epochs(squares: Callable[[int], Path], tmp_path: Path) -> None:
    options = ("unet", "--dataset", squares(6), "--out", tmp_path / "out", "--width", "4", *TINY)
    call(*options)
    result = call(*options, "--epochs", "2", "--resume")
    assert result.exit_code == 0, result.output
    assert "epoch 2/2" in result.output
    assert "epoch 1/2" not in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("langsam",), "cannot train 'langsam'; known: resnet34, unet"),
        (("unet", "--size", "100"), "--size must be a multiple of 32"),
        (("unet", "--encoder", "resnet18"), "--encoder belongs to resnet34"),
        (("unet", "--device", "abacus"), "device must be auto, cpu or a GPU"),
        (("unet", "--dataset", "nowhere"), "data set not found: nowhere"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_4(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = call("--dataset", "studio", "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 4
    assert result.output.startswith("segqa: ")
    assert said in result.output
    assert len(result.output.splitlines()) == 1


def test_imagenet_weights_that_cannot_be_fetched_are_one_clear_line(tmp_path: Path) -> None:
    command = ["-m", "typer", "segqa.cli", "run", "train", "resnet34", "--dataset=studio", f"--out={tmp_path / 'out'}"]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    result = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=offline, check=False)
    assert result.returncode == 4
    (line,) = result.stderr.splitlines()
    assert line.startswith("segqa: cannot fetch the imagenet weights of resnet34")
    assert line.endswith("--encoder-weights none")
