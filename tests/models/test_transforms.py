from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import albumentations
import numpy as np
import pytest
import torch
from albumentations.pytorch import ToTensorV2

from segqa.models import transforms


def said(script: str) -> list[str]:
    """What an interpreter prints that has imported nothing yet."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom segqa.models import transforms\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def test_albumentations_does_not_take_torch_along() -> None:
    script = "transforms.build_preprocessing(64); import albumentations; print(hasattr(albumentations, 'no'))"
    assert said(f"{script}; print('torch' in sys.modules)") == ["False", "False"]


@pytest.mark.parametrize("asked", ["albumentations.ToTensorV2", "albumentations.pytorch.ToTensorV2"])
def test_its_steps_for_torch_are_there_for_whoever_asks(asked: str) -> None:
    assert said(f"transforms.import_albumentations(); import albumentations; print({asked}.__name__)") == ["ToTensorV2"]


def test_where_torch_is_missing_so_are_they() -> None:
    script = "sys.modules['torch'] = None; print(hasattr(transforms.import_albumentations(), 'ToTensorV2'))"
    assert said(script) == ["False"]


def test_a_preprocessing_may_end_in_a_tensor(tmp_path: Path) -> None:
    steps = [albumentations.Resize(8, 8), albumentations.Normalize(), ToTensorV2()]
    albumentations.Compose(steps).save_pretrained(tmp_path)
    path = tmp_path / transforms.FILE
    made = transforms.read_preprocessing(path)(image=np.zeros((4, 6, 3), np.uint8))["image"]
    assert isinstance(made, torch.Tensor)
    assert made.shape == (3, 8, 8)
    read = f"from pathlib import Path; read = transforms.read_preprocessing(Path({str(path)!r}))"
    assert said(f"{read}; print(type(read.transforms[-1]).__name__)") == ["ToTensorV2"]
