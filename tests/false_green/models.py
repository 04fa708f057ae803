"""Models that read what they depend on from several places, and how each of these changes."""

from __future__ import annotations

import os
import re
import shutil

from tests.false_green.changes import Change, put, replace, tables, variable
from tests.false_green.trial import SHRUNK, Trial

SHIFT = ("single(segment(image))", "single(np.roll(segment(image), 2, axis=1))")
"""Answers that lie two columns beside the square."""

WEIGHTS, HEAD, CONFIGURATION = "weights.txt", "weights/head.txt", "model.json"
LOSES_MORE = put(WEIGHTS, "2")

PREPARE = """def prepared(predict):
    def call(self, images, prompts):
        return predict(self, [np.roll(image, 0, axis=1) for image in images], prompts)

    return call


class Network"""
SMALL = """

class Small(Network):
    def predict(self, images, prompts):
        return [Proposals.single(np.roll(segment(image), 2, axis=1)) for image in images]
"""
FLIP = """    model = network.Network()
    predict = model.predict
    model.predict = lambda images, prompts: predict([image[:, ::-1] for image in images], prompts)
    return model"""
OPTION = """    def __init__(self, lose=0):
        global LOSE
        LOSE = lose

    def predict"""


def write_by_hand(trial: Trial) -> None:
    """Give the model the fingerprint that its author maintains."""
    path = trial.path / "network.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(class Network.*:\n)", r"\1    fingerprint = 'mine-v3'\n\n", text), encoding="utf-8")


def nothing(trial: Trial) -> None:
    """Change nothing."""


def worsen(trial: Trial) -> None:
    """Change a constant of the model's module."""
    trial.make_worse(SHRUNK)


def read_from(source: str, file: str = "", text: str = "") -> Change:
    """Have the model read a constant from somewhere."""

    def change(trial: Trial) -> None:
        imports = "import json, os\nfrom pathlib import Path\nimport numpy"
        trial.edit("network.py", ("LOSE = 0", source), ("import numpy", imports))
        if file:
            trial.write(file, text)

    return change


read_weights = read_from(f"LOSE = int((Path(__file__).parent / '{WEIGHTS}').read_text())", WEIGHTS, "0")
read_folder = read_from(f"LOSE = int((Path(__file__).parent / '{HEAD}').read_text())", HEAD, "0")
read_configuration = read_from(
    f"LOSE = json.loads((Path(__file__).parent / '{CONFIGURATION}').read_text())['lose']", CONFIGURATION, '{"lose": 0}'
)
read_variable = read_from("LOSE = int(os.environ.get('NETWORK_LOSE', '0'))")
change_configuration = put(CONFIGURATION, '{"lose": 2}')
change_variable = variable("NETWORK_LOSE", "2")
change_body = replace("network.py", SHIFT)
change_function = replace("network.py", ("columns[0] + LOSE", "columns[0] + LOSE + 2"))


def replace_weights_unseen(trial: Trial) -> None:
    """Replace the weights by a file of the same size and time."""
    path = trial.path / WEIGHTS
    before = path.stat()
    path.write_text("2", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def call_helper(trial: Trial) -> None:
    """Have the model call a module beside it."""
    trial.write("shapes.py", "def lose(columns):\n    return 0\n")
    imports, call = ("import numpy", "import shapes\nimport numpy"), ("+ LOSE", "+ shapes.lose(columns)")
    trial.edit("network.py", imports, call)


def call_helper_late(trial: Trial) -> None:
    """Have a function of the model import a module beside it."""
    trial.write("shapes.py", "def lose(columns):\n    return 0\n")
    late = "    from shapes import lose\n\n    bright[:, columns"
    trial.edit("network.py", ("    bright[:, columns", late), ("+ LOSE", "+ lose(columns)"))


def call_package(trial: Trial) -> None:
    """Have the model call a module deep in a package of the repository."""
    trial.write("nets/__init__.py", "")
    trial.write("nets/deep/__init__.py", "from nets.deep.losses import lose\n")
    trial.write("nets/deep/losses.py", "def lose():\n    return 0\n")
    trial.edit("network.py", ("import numpy", "from nets.deep import lose\nimport numpy"), ("+ LOSE", "+ lose()"))


change_helper = replace("shapes.py", ("return 0", "return 2"))
change_package = replace("nets/deep/losses.py", ("return 0", "return 2"))


def inherit(trial: Trial) -> None:
    """Have the model inherit `predict` from a class of another module."""
    text = (trial.path / "network.py").read_text(encoding="utf-8")
    trial.write("base.py", text.replace("class Network", "class Base"))
    trial.write("network.py", "from base import Base\n\n\nclass Network(Base):\n    pass\n")


change_base = replace("base.py", ("LOSE = 0", "LOSE = 2"))


def decorate(trial: Trial) -> None:
    """Have a decorator of `predict` prepare the images."""
    trial.edit("network.py", ("class Network", PREPARE), ("    def predict", "    @prepared\n    def predict"))


change_decorator = replace("network.py", ("np.roll(image, 0", "np.roll(image, 2"))


def install(trial: Trial, version: str, lose: int) -> None:
    """Install a version of a package that the model uses."""
    folder = trial.path / "site-packages"
    shutil.rmtree(folder, ignore_errors=True)
    trial.write("site-packages/segnet.py", f"LOSE = {lose}\n")
    metadata = f"Metadata-Version: 2.1\nName: segnet\nVersion: {version}\n"
    trial.write(f"site-packages/segnet-{version}.dist-info/METADATA", metadata)


def use_package(trial: Trial) -> None:
    """Have the model take a constant from an installed package."""
    install(trial, "1.0", 0)
    trial.edit("pyproject.toml", ('pythonpath = ["."]', 'pythonpath = [".", "site-packages"]'))
    trial.edit("network.py", ("LOSE = 0", "from segnet import LOSE"))


def upgrade(trial: Trial) -> None:
    """Install another version of it."""
    install(trial, "2.0", 2)


def take_option(trial: Trial) -> None:
    """Have the model take an option from the settings."""
    built = ("network.Network()", 'network.Network(**model_options("mine"))')
    trial.edit("conftest.py", ("def mine():", "def mine(model_options):"), built)
    trial.edit("network.py", ("    def predict", OPTION))
    tables("[tool.segqa.models.mine]\nlose = 0")(trial)


change_option = replace("pyproject.toml", ("lose = 0", "lose = 2"))


def return_another_class(trial: Trial) -> None:
    """Have the fixture return another class."""
    trial.append("network.py", SMALL)
    trial.edit("conftest.py", ("network.Network()", "network.Small()"))


wrap_predict = replace("conftest.py", ("    return network.Network()", FLIP))
