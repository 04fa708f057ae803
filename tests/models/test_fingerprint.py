import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch

import segqa
from segqa.demo.hog_grabcut import HogGrabCut
from segqa.errors import ModelError
from segqa.models.fingerprint import Fingerprint, fingerprint_of
from segqa.models.source_digest import digest_source

FILES = {
    "pack/__init__.py": "from .unrelated import nothing\n",
    "pack/unrelated.py": "def nothing(): pass\n",
    "pack/model.py": """
        from pack.lib import cut
        from . import relative


        class Model:
            def __init__(self, cutoff=0.5):
                self.cutoff = cutoff

            def predict(self, images, prompts):
                from pack.late import finish

                return finish(cut(images))
        """,
    "pack/lib.py": "from .deeper.still import base\n\ndef cut(x): return base(x)\n",
    "pack/deeper/still.py": "def base(x): return x\n",
    "pack/relative.py": "VALUE = 1\n",
    "pack/late.py": "def finish(x): return x\n",
    "pack/alone.py": "def alone(): pass\n",
}


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package of the user's, imported; `pack.model.Model` is the model."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(dedent(text), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name == "pack" or name.startswith("pack.")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    return importlib.import_module("pack.model")


def edit(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(dedent(text), encoding="utf-8")


def test_it_is_public_and_tells_itself_from_a_written_text() -> None:
    found = segqa.fingerprint_of(edit, options={"a": 1})
    assert isinstance(found, Fingerprint)
    assert type(str(found)) is str
    assert len(found) == 32


def test_options_and_packages_change_it_and_their_order_does_not() -> None:
    plain = fingerprint_of(options={"a": 1, "b": 2}, packages=["numpy", "pillow"])
    assert plain == fingerprint_of(options={"b": 2, "a": 1}, packages=["pillow", "numpy"])
    others = [fingerprint_of(options={"a": 1, "b": 3}, packages=["numpy", "pillow"]), fingerprint_of(options={"a": 1})]
    assert len({plain, *others}) == 3


def test_a_file_counts_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a.bin", tmp_path / "b.bin"
    first.write_bytes(b"1")
    second.write_bytes(b"1")
    assert fingerprint_of(first) == fingerprint_of(str(second))
    second.write_bytes(b"2")
    assert fingerprint_of(first) != fingerprint_of(second)


def test_a_folder_counts_with_every_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "w.bin").write_bytes(b"1")
    before = fingerprint_of(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert fingerprint_of(tmp_path) == before
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert fingerprint_of(tmp_path) != before


@pytest.mark.parametrize("edited", ["model.onnx", "model.onnx.data"])
def test_the_external_data_of_an_onnx_file_count_with_it(tmp_path: Path, edited: str) -> None:
    name = b"model.onnx.data"
    (tmp_path / "model.onnx").write_bytes(b"graph\x0a\x08location\x12" + bytes([len(name)]) + name + b"j")
    (tmp_path / "model.onnx.data").write_bytes(b"1")
    before = fingerprint_of(tmp_path / "model.onnx")
    with (tmp_path / edited).open("ab") as file:
        file.write(b"2")
    assert fingerprint_of(tmp_path / "model.onnx") != before
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(ModelError, match=r"keeps a part of its weights in .*model\.onnx\.data"):
        fingerprint_of(tmp_path / "model.onnx")


def test_the_shards_of_an_index_and_the_numbers_of_openvino_count_with_them(tmp_path: Path) -> None:
    edit(tmp_path, "model.safetensors.index.json", '{"weight_map": {"a": "model-1.safetensors"}}')
    edit(tmp_path, "net.xml", "<net/>")
    for index, numbers in [("model.safetensors.index.json", "model-1.safetensors"), ("net.xml", "net.bin")]:
        (tmp_path / numbers).write_bytes(b"1")
        before = fingerprint_of(tmp_path / index)
        (tmp_path / numbers).write_bytes(b"2")
        assert fingerprint_of(tmp_path / index) != before


VALUES = [
    0,
    1,
    1.0,
    True,
    None,
    b"1",
    np.zeros(2),
    np.zeros(2, np.float32),
    np.zeros((1, 2)),
    np.ones(2),
    np.float32(1),
    [1, 2],
    [[1], 2],
    [1, [2]],
    torch.ones(2),
    torch.ones(2).bfloat16(),
]


def test_values_of_any_kind_are_told_apart() -> None:
    assert len({fingerprint_of(value) for value in VALUES}) == len(VALUES)


@pytest.mark.parametrize("edited", ["pack/lib.py", "pack/deeper/still.py", "pack/relative.py", "pack/late.py"])
def test_an_edit_of_what_the_class_imports_changes_it(pack: Any, tmp_path: Path, edited: str) -> None:
    before = fingerprint_of(pack.Model)
    edit(tmp_path, edited, "def cut(x): return 1\ndef base(x): return 1\nVALUE = 2\ndef finish(x): return 2\n")
    assert fingerprint_of(pack.Model) != before


@pytest.mark.parametrize(
    ("edited", "text"),
    [
        pytest.param("pack/alone.py", "def alone(): return 1\n", id="not imported"),
        pytest.param("pack/relative.py", '"""Docs."""\n\n# a comment\nVALUE = (\n    1\n)\n', id="reformatted"),
    ],
)
def test_what_decides_nothing_does_not_change_it(pack: Any, tmp_path: Path, edited: str, text: str) -> None:
    before = fingerprint_of(pack.Model)
    edit(tmp_path, edited, text)
    assert fingerprint_of(pack.Model) == before


def test_an_object_counts_with_its_attributes_and_its_class_without(pack: Any) -> None:
    assert fingerprint_of(pack.Model(0.5)) == fingerprint_of(pack.Model(0.5)) != fingerprint_of(pack.Model(0.6))
    assert fingerprint_of(type(pack.Model(0.5))) == fingerprint_of(type(pack.Model(0.6)))


@dataclass
class Config:
    cutoff: float = 0.5


class Wrapped:
    def __init__(self, inner: object) -> None:
        self.inner = inner

    def show(self) -> str:
        return str(self.inner)


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 1)
        self.scale = 1.0


def test_what_an_object_holds_counts_however_deep() -> None:
    held = [Config(0.5), Config(0.6), [Config(0.6)], {"a": np.ones(2)}, {"a": np.zeros(2)}, {"x"}, {"y"}, Config]
    assert len({fingerprint_of(Wrapped(each)) for each in held}) == len(held)


def test_the_weights_in_an_object_count_and_so_do_the_numbers_beside_them() -> None:
    model = Wrapped(Network())
    before = fingerprint_of(model)
    assert fingerprint_of(model) == before
    model.inner.scale = 2.0  # type: ignore[attr-defined]
    scaled = fingerprint_of(model)
    with torch.no_grad():
        model.inner.layer.weight += 1  # type: ignore[attr-defined]
    assert len({before, scaled, fingerprint_of(model)}) == 3


def test_an_object_that_holds_itself_ends() -> None:
    model = Wrapped(None)
    model.inner = [model]
    assert fingerprint_of(model)


def scaled_by(factor: float) -> Callable[[float], float]:
    return lambda value: value * factor


def test_functions_count_with_what_they_enclose() -> None:
    partials = [functools.partial(scaled_by, 1), functools.partial(scaled_by, 2)]
    methods = [Wrapped(1).show, Wrapped(2).show]
    found = {fingerprint_of(each) for each in (scaled_by(1), scaled_by(2), scaled_by, *partials, *methods)}
    assert len(found) == 7


def test_a_model_of_segqa_counts_by_its_source_and_its_options() -> None:
    assert isinstance(HogGrabCut().fingerprint, Fingerprint)
    assert fingerprint_of(HogGrabCut()) != fingerprint_of(HogGrabCut(iterations=1))


@pytest.mark.parametrize(
    ("things", "more", "said"),
    [
        pytest.param(["weights/none.pt"], {}, "no file or folder 'weights/none.pt' .*options=", id="no file"),
        pytest.param([Path("none")], {}, "no file or folder 'none'", id="no path"),
        pytest.param([{"a": 1}], {}, "cannot count a dict by itself; give it as options", id="a dict"),
        pytest.param([{1}], {}, "cannot count a set", id="a set"),
        pytest.param([print], {}, "expected an object of your own code, got print, which has no file", id="built in"),
        pytest.param([object()], {}, "expected an object of your own code, got object", id="a plain object"),
        pytest.param([torch.nn.Conv2d], {}, r"got Conv2d, defined in .*torch.*packages=", id="installed"),
        pytest.param([np.array([None])], {}, "cannot count an array of object", id="an array of objects"),
        pytest.param([], {"options": {"a": object()}}, "options must be of JSON's types", id="an option"),
        pytest.param([], {"packages": ["cv2"]}, "no installed package 'cv2'; pip calls it opencv", id="an import name"),
        pytest.param([], {"packages": ["nope"]}, "no installed package 'nope'; expected the name", id="no package"),
    ],
)
def test_what_cannot_be_counted_is_refused(things: list[object], more: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        fingerprint_of(*things, **more)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file in the folder"):
        fingerprint_of(tmp_path)


def test_a_class_without_a_file_is_refused() -> None:
    found: dict[str, Any] = {"__name__": "notebook"}
    exec("class Model:\n    def predict(self): pass\n", found)  # noqa: S102 - as a notebook does
    with pytest.raises(ModelError, match="got Model, which has no file of source"):
        fingerprint_of(found["Model"])


def test_without_source_a_fingerprint_counts_as_written_by_hand() -> None:
    assert type(fingerprint_of(np.zeros(3), options={"version": 3})) is str
    assert isinstance(fingerprint_of(test_without_source_a_fingerprint_counts_as_written_by_hand), Fingerprint)


def test_a_text_of_ones_own_is_no_computed_fingerprint() -> None:
    with pytest.raises(ModelError, match="expected the 32 hex digits of a computed fingerprint, got 'v1'"):
        Fingerprint("v1")


def test_two_modules_whose_contents_change_places_change_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "swap/first/net.py": "from .cut import CUT\ndef run(): return CUT\n",
        "swap/second/net.py": "from .cut import CUT\ndef run(): return CUT\n",
        "swap/first/cut.py": "CUT = 1\n",
        "swap/second/cut.py": "CUT = 2\n",
        "swap/model.py": "from swap.first import net as a\nfrom swap.second import net as b\nclass Model:\n"
        "    def predict(self): return a.run() - b.run()\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        edit(tmp_path, name, text)
    monkeypatch.syspath_prepend(tmp_path)
    model = importlib.import_module("swap.model").Model
    before = fingerprint_of(model), digest_source([model])
    assert (fingerprint_of(model), digest_source([model])) == before
    edit(tmp_path, "swap/first/cut.py", files["swap/second/cut.py"] + "\n")
    edit(tmp_path, "swap/second/cut.py", files["swap/first/cut.py"] + "\n")
    assert fingerprint_of(model) != before[0]
    assert digest_source([model]) != before[1]
    for name in [name for name in sys.modules if name.split(".")[0] == "swap"]:
        del sys.modules[name]
