"""Tests of finding the user's own modules."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from segqa.models.user_files import find_module, module_exists


@pytest.fixture
def leaf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in two nested namespace packages, which are imported."""
    path = tmp_path / "outer_namespace" / "inner_namespace" / "leaf.py"
    path.parent.mkdir(parents=True)
    path.write_text("VALUE = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import_module("outer_namespace.inner_namespace")
    for name in ("outer_namespace.inner_namespace", "outer_namespace"):
        # removes the package again when the test ends
        monkeypatch.setitem(sys.modules, name, sys.modules.pop(name))
    return path


def test_a_module_in_nested_namespace_packages_is_found(leaf: Path) -> None:
    assert find_module("outer_namespace.inner_namespace.leaf", leaf) == [leaf.resolve()]


def test_a_module_whose_namespace_package_was_deleted_is_not_found(leaf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "outer_namespace")

    assert find_module("outer_namespace.inner_namespace.leaf", leaf) == []
    assert not module_exists("outer_namespace.inner_namespace.leaf", leaf)
