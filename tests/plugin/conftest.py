"""A user's repository in miniature: two models, a folder of bright squares, and the suites."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

# pytester's runs inside this process forget what they import, and compiled modules load only once: load them before
import segqa.report.page
import segqa.report.pytest_html_summary  # noqa: F401
from tests.conftest import bright_square, write_case

ROOT = Path(__file__).parents[2]

MODELS = '''
import numpy as np
import segqa
from segqa import Proposals
from segqa.plugin.options import add_short_options


def pytest_addoption(parser):
    add_short_options(parser)


class Bright:
    """Segments what is brighter than a cutoff."""

    def __init__(self, cutoff=100, fingerprint="bright"):
        self.cutoff, self.fingerprint = cutoff, f"{fingerprint}-{cutoff}"

    def predict(self, images, prompts):
        return [Proposals.single(image[:, :, 0] > self.cutoff) for image in images]


@segqa.model
def bright(model_options):
    """Segments what is bright."""
    return Bright(**model_options("bright"))


@segqa.model
def inverted():
    """Segments what is dark."""

    class Inverted(Bright):
        def predict(self, images, prompts):
            return [Proposals.single(image[:, :, 0] <= self.cutoff) for image in images]

    yield Inverted(fingerprint="inverted")
    print("inverted is gone")


@segqa.dataset
def declared():
    """The folder, under a name."""
    return segqa.open_folder("squares").limit(4)
'''


@pytest.fixture
def repository(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a conftest, a data set of 16 cases, a `pyproject.toml` and the quality suite."""
    for index in range(16):
        write_case(pytester.path / "squares", f"{'AB'[index % 2]}_{index:03}", *bright_square(index))
    pytester.makeconftest(MODELS)
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        addopts = ["--import-mode=importlib"]

        [tool.segqa]
        model = "bright"
        dataset = "squares"
        """
    )
    (pytester.path / "suites").mkdir()
    for name in ("test_quality.py", "test_slices.py", "test_picking.py"):
        shutil.copy(ROOT / "suites" / name, pytester.path / "suites" / name)
    return pytester
