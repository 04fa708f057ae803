"""What of an object counts, and what cannot be counted."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import threading
import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from segqa.inference.model_identity import identify
from segqa.models.fingerprint import Fingerprint, PartialFingerprint, fingerprint_of
from segqa.models.object_state import find_code


class Holder:
    def __init__(self, held: object) -> None:
        self.held = held


class Normalize:
    def __init__(self, mean: float) -> None:
        self.mean = mean


Normalize.__module__ = "nowhere"  # as a class of an installed package: it has no file of the user's


class Scaled(torch.nn.Module):
    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image > self.cutoff


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(types.SimpleNamespace(cut=1), types.SimpleNamespace(cut=2), id="a namespace"),
        pytest.param(argparse.Namespace(cut=1), argparse.Namespace(cut=2), id="parsed arguments"),
        pytest.param([{"a": types.SimpleNamespace(cut=1)}], [{"a": types.SimpleNamespace(cut=2)}], id="deeper"),
        pytest.param(Decimal(1), Decimal(2), id="a decimal"),
        pytest.param(np.dtype("u1"), np.dtype("u2"), id="a type of numbers"),
        pytest.param(np.array([{"a": 1}]), np.array([{"a": 2}]), id="an array of objects"),
        pytest.param(json.JSONEncoder(indent=1), json.JSONEncoder(indent=2), id="an object of a library"),
        pytest.param(torch.nn.Threshold(0.1, 0), torch.nn.Threshold(0.2, 0), id="a number in a layer"),
    ],
)
def test_what_an_object_of_somebody_else_holds_counts(first: object, second: object) -> None:
    assert fingerprint_of(Holder(first)) == fingerprint_of(Holder(first)) != fingerprint_of(Holder(second))
    assert isinstance(fingerprint_of(Holder(first)), Fingerprint)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_the_constants_of_torchscript_count_and_not_its_file(tmp_path: Path) -> None:
    def load(name: str, cutoff: float) -> Any:
        torch.jit.save(torch.jit.script(Scaled(cutoff)), str(tmp_path / name))
        return torch.jit.load(str(tmp_path / name))  # type: ignore[no-untyped-call]

    names = {"a.pt": 1.0, "b.pt": 1.0, "c.pt": 2.0}
    first, again, other = (fingerprint_of(Holder(load(name, cutoff))) for name, cutoff in names.items())
    assert first == again != other


def test_what_cannot_be_counted_is_named_and_the_fingerprint_counts_as_written_by_hand() -> None:
    model: Any = Holder([cv2.ml.SVM.create()])
    model.fingerprint = fingerprint_of(model)
    assert isinstance(model.fingerprint, PartialFingerprint)
    assert model.fingerprint.uncounted == ("held[0] (cv2.ml.SVM)",)
    who = identify(model, "mine")
    assert not who.is_computed
    assert "the fingerprint does not count held[0] (cv2.ml.SVM)" in who.said[-1]


def test_random_generators_are_named_and_locks_and_loggers_are_not() -> None:
    assert isinstance(fingerprint_of(Holder(np.random.default_rng(1))), PartialFingerprint)
    harmless = [threading.Lock(), threading.Event(), logging.getLogger("mine")]
    assert isinstance(fingerprint_of(Holder(harmless)), Fingerprint)


@pytest.mark.parametrize(
    "given", ["Post()", "post", "Post", "functools.partial(post, 1)", "Post().run", "[{'a': post}]"]
)
def test_the_source_of_what_an_object_holds_counts(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import functools\nclass Post:\n    def run(self): return 1\n\ndef post(mask): return 1\n"
    (tmp_path / "post_of_holder.py").write_text(f"{text}GIVEN = {given}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    model = Holder(importlib.import_module("post_of_holder").GIVEN)
    del sys.modules["post_of_holder"]
    before = fingerprint_of(model), identify_source(model)
    (tmp_path / "post_of_holder.py").write_text(f"{text}GIVEN = {given}\n".replace("1", "200"), encoding="utf-8")
    assert fingerprint_of(model) != before[0]
    assert identify_source(model) != before[1]


def identify_source(model: Any) -> str:
    model.fingerprint = "by hand"
    return identify(model, "mine").source


def test_code_is_found_without_reading_a_value() -> None:
    class Refuses(np.ndarray):
        def tobytes(self, order: Any = None) -> bytes:
            raise AssertionError("read")

    assert find_code(Holder([np.zeros(3).view(Refuses), Holder])) == [Holder, Holder]
