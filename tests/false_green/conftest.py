"""The repository of the trials, made once and copied for each."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

# pytester's runs inside this process forget what they import, and compiled modules load only once: load them before
import segqa.report.page
import segqa.report.pytest_html_summary  # noqa: F401
from tests.false_green.trial import Trial, write_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with its baseline; not to be changed."""
    folder = tmp_path_factory.mktemp("template")
    write_template(folder)
    return folder


@pytest.fixture
def trial(template: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Trial:
    """A copy of the repository, with `CI` set and nothing else of a CI around it."""
    shutil.copytree(template, pytester.path, dirs_exist_ok=True)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("CI", "true")
    # files that are edited twice in a second look the same to the cache of compiled modules
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return Trial(pytester, monkeypatch)
