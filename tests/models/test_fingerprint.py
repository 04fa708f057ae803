from pathlib import Path

import pytest

from segqa.models.fingerprint import _code_of, fingerprint
from segqa.models.hog_grabcut import HogGrabCut


class Thing:
    """A model."""


def test_the_same_things_make_the_same_fingerprint() -> None:
    assert fingerprint(Thing(), {"a": 1, "b": 2}) == fingerprint(Thing(), {"b": 2, "a": 1})


def test_arguments_weights_and_libraries_change_it(tmp_path: Path) -> None:
    weights = tmp_path / "w.bin"
    weights.write_bytes(b"1")
    plain = fingerprint(Thing(), {"a": 1}, weights=[weights], libraries=["numpy"])
    weights.write_bytes(b"2")
    others = [
        fingerprint(Thing(), {"a": 1}, weights=[weights], libraries=["numpy"]),
        fingerprint(Thing(), {"a": 2}, libraries=["numpy"]),
        fingerprint(Thing(), {"a": 1}, libraries=["numpy", "pillow"]),
    ]
    assert plain not in others
    assert len(set(others)) == 3


def test_the_code_counts_through_what_it_imports() -> None:
    assert {path.name for path in _code_of(HogGrabCut())} >= {"hog_grabcut.py", "grabcut.py", "silhouette.py"}


def test_an_edited_module_changes_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lib", "model"):
        (tmp_path / "pack").mkdir(exist_ok=True)
        (tmp_path / "pack" / "__init__.py").touch()
        (tmp_path / "pack" / f"{name}.py").write_text("def cut(): pass\n", encoding="utf-8")
    (tmp_path / "pack" / "model.py").write_text("from pack.lib import cut\nclass Model: pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    from pack.model import Model  # type: ignore[import-not-found]

    before = fingerprint(Model(), {})
    (tmp_path / "pack" / "lib.py").write_text("def cut(): return 1\n", encoding="utf-8")
    assert fingerprint(Model(), {}) != before
