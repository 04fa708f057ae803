"""A small repository with a baseline, in which a model is made worse and the gate is then led astray."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from segqa.cli import app
from segqa.data.mask import Image, Mask
from segqa.errors import UsageError
from segqa.gate.verdict import Verdict
from segqa.support.environment import CI_VARIABLES

ROOT = Path(__file__).parents[2]
SIDE = 40
CASES = 24

NETWORK = '''"""The user's network: it finds the bright square."""

import numpy as np
from segqa import Proposals

LOSE = 0  # columns of each square that are not found
BLIND = ()  # rows whose square is not found, but all the rest
FAIL = ()  # rows whose image raises an error
SEE = False  # whether something is found where nothing is


def segment(image):
    bright = image[:, :, 0] > 100
    rows, columns = np.nonzero(bright)
    if not len(rows):
        return np.full(bright.shape, SEE)
    if rows[0] in FAIL:
        raise RuntimeError("out of memory")
    if rows[0] in BLIND:
        return ~bright
    bright[:, columns[0] : columns[0] + LOSE] = False
    return bright


class Network:
    def predict(self, images, prompts):
        return [Proposals.single(segment(image)) for image in images]
'''

CONFTEST = """import pytest
import segqa
from segqa.plugin.options import add_short_options

import network


def pytest_addoption(parser):
    add_short_options(parser)


@segqa.model
def mine():
    return network.Network()
"""

PYPROJECT = """[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "--segqa-report-format=json"]
pythonpath = ["."]

[tool.segqa]
model = "mine"
dataset = "squares"
name_pattern = "(?P<camera>C[0-9])_(?P<video>v[0-9])_"
"""

Edit = Mapping[str, object]

SHRUNK: Edit = {"LOSE": 2}
"""Every square loses 2 of its 12 columns: the mean drops from 1 to 0.83, and no case breaks."""

COLLAPSED: Edit = {"BLIND": (5,)}
"""One case of 24 is found wholly wrong, which the bounds of the quality suite allow."""

ERRING: Edit = {"FAIL": (5, 6, 7)}
"""Three cases raise an error."""

SEEING: Edit = {"SEE": True}
"""Something is found in the images that show nothing."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended.

    Attributes:
        code: the exit code.
        text: everything that was printed.
    """

    code: int
    text: str


def draw_square(index: int) -> tuple[Image, Mask]:
    """Return an image with a bright square whose first row is the index, and its mask; both `[SIDE, SIDE]`."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    column = (3 * index) % (SIDE - 12)
    mask[index : index + 12, column : column + 12] = True
    return np.where(mask, 200, 30).astype(np.uint8)[:, :, None].repeat(3, axis=2), mask


def name_case(index: int) -> str:
    """Return the id of a case: two cameras, and eight videos of three frames."""
    return f"C{index % 2}_v{index // 3}_{index:02}"


def write_case(folder: Path, name: str, image: Image, mask: Mask) -> None:
    """Write an image and its mask into a folder data set."""
    for part, pixels in (("images", image), ("masks", mask.astype(np.uint8) * 255)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(pixels).save(folder / part / f"{name}.png")


def write_repository(folder: Path) -> None:
    """Write a repository with a model, a data set, settings and the suites of quality and regression."""
    for index in range(CASES):
        write_case(folder / "squares", name_case(index), *draw_square(index))
    rows = "".join(f"{name_case(index)},yes,q{index // 6}\n" for index in range(CASES))
    (folder / "squares" / "metadata.csv").write_text(f"id,all,quarter\n{rows}", encoding="utf-8")
    for name, text in (("network.py", NETWORK), ("conftest.py", CONFTEST), ("pyproject.toml", PYPROJECT)):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "suites").mkdir()
    for name in ("test_quality.py", "test_regression.py"):
        shutil.copy(ROOT / "suites" / name, folder / "suites" / name)


def write_template(folder: Path) -> None:
    """Write the repository, and the baseline of its good model."""
    write_repository(folder)
    environment = {
        name: value for name, value in os.environ.items() if name not in {"CI", *CI_VARIABLES, "PYTEST_ADDOPTS"}
    }
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider", "--segqa-update-baseline"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    for leftover in (".segqa", "reports"):
        shutil.rmtree(folder / leftover)


class Trial:
    """The repository in which a way is tried, with `CI` set.

    Args:
        pytester: runs pytest in it.
        patched: changes the environment, and puts it back.
    """

    def __init__(self, pytester: pytest.Pytester, patched: pytest.MonkeyPatch) -> None:
        self.pytester, self.patched, self.path = pytester, patched, pytester.path

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        """Replace texts in a file, each of which has to be there."""
        path = self.path / file
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, f"{file} has no {old!r}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        """Write a file."""
        path = self.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def append(self, file: str, text: str) -> None:
        """Write something at the end of a file."""
        self.write(file, (self.path / file).read_text(encoding="utf-8") + text)

    def set(self, *tables: str) -> None:
        """Write tables at the end of `pyproject.toml`."""
        self.append("pyproject.toml", "".join(f"\n{table}\n" for table in tables))

    def make_worse(self, edit: Edit = SHRUNK) -> None:
        """Make the model worse, openly: the module that computes its answers has other constants."""
        path = next(self.path.rglob("network.py"))
        lines = path.read_text(encoding="utf-8").splitlines()
        names = [line.partition(" = ")[0] for line in lines]
        for name, value in edit.items():
            lines[names.index(name)] = f"{name} = {value!r}"
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")

    def remove(self, case_id: str) -> None:
        """Remove the image and the mask of a case."""
        for part in ("images", "masks"):
            (self.path / "squares" / part / f"{case_id}.png").unlink()

    def run(self, *options: str, alone: bool = False) -> Ending:
        """Run pytest on the suites, or on what is named, in this process or in one of its own."""
        named = any(
            not option.startswith("-") and (Path.cwd() / option.partition("::")[0]).exists() for option in options
        )
        run = self.pytester.runpytest_subprocess if alone else self.pytester.runpytest_inprocess
        result = run(*options) if named else run("suites", *options)
        return Ending(int(result.ret), "\n".join([*result.outlines, *result.errlines]))

    def prepare(self, *options: str, alone: bool = False) -> Ending:
        """Run pytest before the model is made worse; it has to pass."""
        ending = self.run(*options, alone=alone)
        assert ending.code == 0, ending.text
        return ending

    def segqa(self, *arguments: str) -> Ending:
        """Run a command of `segqa` in the repository."""
        self.patched.chdir(self.path)
        result = CliRunner().invoke(app, list(arguments))
        return Ending(result.exit_code, f"{result.stdout}{result.stderr}")

    def commit(self) -> None:
        """Make the repository a commit."""
        self.write(".gitignore", ".segqa/\nreports/\n__pycache__/\nrunpytest-*\nstdout\nstderr\n")
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
            subprocess.run(["git", *who, *arguments], cwd=self.path, check=True, capture_output=True)

    @property
    def baseline(self) -> Path:
        """The committed baseline."""
        return self.path / "baselines" / "squares" / "mine.jsonl"


def end(judge: Callable[[], Verdict]) -> Ending:
    """Judge without pytest; the exit code is what a command would end with."""
    try:
        verdict = judge()
    except UsageError as error:
        return Ending(4, str(error))
    return Ending(0 if verdict.passed else 1, verdict.story)
