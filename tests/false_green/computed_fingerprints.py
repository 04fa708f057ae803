"""The model changes, and so does the fingerprint that is computed from it: the changed model is asked."""

from __future__ import annotations

import subprocess
import sys

from tests.false_green import models
from tests.false_green.changes import Change, replace
from tests.false_green.models import nothing
from tests.false_green.trial import Ending, Trial
from tests.false_green.way import Attempt, Ways

COMPUTED = Ways("a computed fingerprint")

_REGRESSED = "mine: regressed"
_OPTIONS = "network.Network, options=model_options('mine')"
_VARIABLE = "network.Network, options={'lose': os.environ.get('NETWORK_LOSE')}"

KERNEL = """    def __init__(self):
        self.kernel = np.full((64, 64), 0.0)

    def predict"""


def keep_computed(before: Change, things: str, change: Change, *options: str) -> Attempt:
    """Store proposals under the fingerprint of some things, change the model, and run again."""
    model = f"    model = network.Network()\n    model.fingerprint = segqa.fingerprint_of({things})\n    return model"

    def attempt(trial: Trial) -> Ending:
        trial.edit("conftest.py", ("import segqa\n", "import segqa\nimport os\n"))
        trial.edit("conftest.py", ("    return network.Network()", model))
        before(trial)
        trial.prepare()
        change(trial)
        return trial.run(*options)

    return attempt


def hold_kernel(trial: Trial) -> None:
    """Have the model hold an array that moves its answers."""
    moved = ("single(segment(image))", "single(np.roll(segment(image), int(self.kernel[33, 33]), axis=1))")
    trial.edit("network.py", moved, ("    def predict", KERNEL))


def take_default(trial: Trial) -> None:
    """Have a function take a default argument that moves its answers."""
    moved = ("    return bright\n", "    return np.roll(bright, shift, axis=1)\n")
    trial.edit("network.py", ("def segment(image):", "def segment(image, shift=0):"), moved)


for _name, _before, _things, _change, _slow in (
    ("the body of predict changes", nothing, "network.Network", models.change_body, False),
    ("a constant of the module changes", nothing, "network.Network", models.worsen, True),
    ("a function that predict calls changes", nothing, "network.Network", models.change_function, True),
    ("a function is given and a constant changes", nothing, "network.segment", models.worsen, True),
    ("an object is given and a function changes", nothing, "model", models.change_function, True),
    ("a module that the model imports changes", models.call_helper, "network.Network", models.change_helper, False),
    (
        "a module that a function imports changes",
        models.call_helper_late,
        "network.Network",
        models.change_helper,
        True,
    ),
    ("a module deep in a package changes", models.call_package, "network.Network", models.change_package, True),
    ("the base class in another module changes", models.inherit, "network.Network", models.change_base, True),
    ("the decorator of predict changes", models.decorate, "network.Network", models.change_decorator, True),
    ("a file of weights is replaced", models.read_weights, "network.Network, 'weights.txt'", models.LOSES_MORE, True),
    (
        "a file of weights is replaced unseen",
        models.read_weights,
        "network.Network, 'weights.txt'",
        models.replace_weights_unseen,
        True,
    ),
    (
        "a file in a folder of weights is replaced",
        models.read_folder,
        "network.Network, 'weights'",
        replace(models.HEAD, ("0", "2")),
        True,
    ),
    ("an option changes", models.take_option, _OPTIONS, models.change_option, True),
    ("an option from the environment changes", models.read_variable, _VARIABLE, models.change_variable, True),
    (
        "a named package gets another version",
        models.use_package,
        "network.Network, packages=['segnet']",
        models.upgrade,
        True,
    ),
    ("an array that the object holds changes", hold_kernel, "model", replace("network.py", ("0.0)", "2.0)")), True),
    (
        "a default argument changes",
        take_default,
        "network.Network",
        replace("network.py", ("shift=0", "shift=2")),
        True,
    ),
):
    COMPUTED.add(_name, 1, _REGRESSED, keep_computed(_before, _things, _change), slow=_slow)

_UNCOUNTED = "ERROR: segqa: mine no longer gives its stored answers"
_POST = """
import numpy as np


class Post:
    def __call__(self, mask):
        return np.roll(mask, 0, axis=1)


def post(mask):
    return np.roll(mask, 0, axis=1)


class Wrapped:
    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def predict(self, images, prompts):
        import segqa

        return [segqa.Proposals.single(post(self.inner.find(image))) for image in images]
"""
_TAKES_POST = """class Network:
    def __init__(self, post):
        self.post = post

    def predict(self, images, prompts):
        return [Proposals.single(self.post(segment(image))) for image in images]

    def find(self, image):
        return segment(image)
"""


def inject(argument: str, things: str = "model", result: str = "model", *, sets: str = "") -> Attempt:
    """Store proposals of a model that is given something of a module that it does not import; make that worse."""
    lines = [
        sets,
        f"model = network.Network({argument})",
        f"model.fingerprint = segqa.fingerprint_of({things})",
        f"return {result}",
    ]
    body = "\n    ".join(filter(None, lines))

    def attempt(trial: Trial) -> Ending:
        trial.write("post.py", _POST)
        text = (trial.path / "network.py").read_text(encoding="utf-8")
        trial.write("network.py", f"{text.partition('class Network')[0]}{_TAKES_POST}")
        trial.edit("conftest.py", ("import segqa\n", "import segqa\nimport post\n"))
        trial.edit("conftest.py", ("return network.Network()", body))
        trial.prepare()
        trial.edit("conftest.py" if sets else "post.py", ("LOSE = 0", "LOSE = 2") if sets else ("mask, 0", "mask, 2"))
        return trial.run()

    return attempt


for _name, _says, _attempt in (
    ("an object that is given to the model changes", _REGRESSED, inject("post.Post()")),
    ("a function that is given to the model changes", _REGRESSED, inject("post.post")),
    ("a given object changes and the class is counted", _UNCOUNTED, inject("post.Post()", "network.Network")),
    ("a wrapper changes that hands the fingerprint on", _UNCOUNTED, inject("None", result="post.Wrapped(model)")),
    (
        "the fixture sets a constant of the module",
        _UNCOUNTED,
        inject("lambda mask: mask", "network.Network", sets="network.LOSE = 0"),
    ),
):
    COMPUTED.add(_name, 1, _says, _attempt)
_READS_CONFIG = """import json
import types


class Network:
    def __init__(self):
        with open("cfg.json", encoding="utf-8") as file:
            self.cfg = types.SimpleNamespace(**json.load(file))

    def predict(self, images, prompts):
        return [Proposals.single(np.roll(segment(image), self.cfg.shift, axis=1)) for image in images]
"""


def read_config(trial: Trial) -> None:
    """Have the model hold what a file of configuration says in a namespace."""
    trial.write("cfg.json", '{"shift": 0}')
    text = (trial.path / "network.py").read_text(encoding="utf-8")
    trial.write("network.py", f"{text.partition('class Network')[0]}{_READS_CONFIG}")


COMPUTED.add(
    "a value in a namespace that the model holds changes",
    1,
    _REGRESSED,
    keep_computed(read_config, "model", replace("cfg.json", ("0", "2"))),
    slow=False,
)
_TRAIN = """
import sys

import cv2
import numpy as np

values = np.arange(256, dtype=np.float32)[:, None]
forest = cv2.ml.KNearest.create()
forest.train(values, cv2.ml.ROW_SAMPLE, (values > float(sys.argv[1])).astype(np.float32))
forest.save("net.xml")
"""
_CLASSIFIES = """import cv2


class Network:
    def __init__(self):
        self.net = cv2.ml.KNearest.load("net.xml")

    def predict(self, images, prompts):
        found = [self.net.findNearest(image[:, :, 0].reshape(-1, 1).astype(np.float32), 1)[1] for image in images]
        return [Proposals.single(each.reshape(image.shape[:2]) > 0) for each, image in zip(found, images)]
"""


def hold_classifier(trial: Trial) -> None:
    """Have the model hold a classifier of OpenCV, which nothing can be read of."""
    text = (trial.path / "network.py").read_text(encoding="utf-8")
    trial.write("network.py", f"{text.partition('class Network')[0]}{_CLASSIFIES}")
    train_classifier("100")(trial)


def train_classifier(cutoff: str) -> Change:
    """Train the classifier with another cutoff."""

    def change(trial: Trial) -> None:
        command = [sys.executable, "-c", _TRAIN, cutoff]
        subprocess.run(command, cwd=trial.path, check=True, capture_output=True)

    return change


def call_two(trial: Trial) -> None:
    """Have the model use two modules, of which one finds nothing."""
    for name, factor in (("day", "1"), ("night", "0")):
        trial.write(f"{name}.py", f"def keep(mask):\n    return mask & bool({factor})\n")
    trial.edit("network.py", ("import numpy as np", "import day\nimport night\nimport numpy as np"))
    trial.edit("network.py", ("    return bright\n", "    return day.keep(bright) | night.keep(~bright)\n"))


def exchange_files(trial: Trial) -> None:
    """Let the two modules change places."""
    day, night = (trial.path / f"{name}.py" for name in ("day", "night"))
    texts = day.read_bytes(), night.read_bytes()
    day.write_bytes(texts[1])
    night.write_bytes(texts[0])


COMPUTED.add(
    "a classifier that cannot be counted changes",
    1,
    _UNCOUNTED,
    keep_computed(hold_classifier, "model", train_classifier("250")),
)
COMPUTED.add(
    "two modules of the model change places", 1, _REGRESSED, keep_computed(call_two, "network.Network", exchange_files)
)
COMPUTED.add(
    "an option changes that was not given",
    1,
    _UNCOUNTED,
    keep_computed(models.take_option, "network.Network", models.change_option),
)

COMPUTED.add(
    "a file that is not given changes and a spot check is asked for",
    1,
    "ERROR: segqa: mine no longer gives its stored answers",
    keep_computed(models.read_weights, "network.Network", models.LOSES_MORE, "--segqa-spot-check=3"),
)
COMPUTED.add(
    "a file that is not given changes",
    0,
    "24 of 24 answered from stored proposals",
    keep_computed(models.read_weights, "network.Network", models.LOSES_MORE),
)
