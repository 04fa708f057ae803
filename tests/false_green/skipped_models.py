"""The model is not evaluated, or not in the cases in which it fails."""

from __future__ import annotations

from tests.false_green.changes import (
    Change,
    append,
    declare_data,
    in_fixture,
    in_predict,
    replace,
    tables,
    update,
    worse,
)
from tests.false_green.trial import Ending, Trial
from tests.false_green.way import Ways

SKIPPED = Ways("models that are not evaluated")
ERRORS = Ways("predictions that are no masks")

_ABSENT = "ERROR: segqa: …mine…no evaluation"
_SKIP = "pytest.skip('out of memory')"
_EXIT = "pytest.exit('done', returncode=0)"

WEIGHTS = """
@pytest.fixture(scope="session")
def weights():
    pytest.skip("no weights")
"""
OTHER = """
@segqa.model
def other():
    return network.Network()
"""
END_EARLY = f"""
def pytest_runtest_setup(item):
    {_EXIT}
"""

_IN_TEST = replace(
    "suites/test_quality.py",
    ("    assert evaluation.mean", f"    import pytest\n\n    {_EXIT}\n    assert evaluation.mean"),
)
_ASKS = replace("conftest.py", ("def mine():", "def mine(weights):"))
_AFTER_SOME = ("import pytest", "self.asked = getattr(self, 'asked', 0) + 1", "if self.asked > 2:", f"    {_SKIP}")

for _name, _attempt, _slow in (
    ("the model's fixture skips", worse(in_fixture("pytest.skip('no weights')")), False),
    ("the model's fixture skips where a module is missing", worse(in_fixture("pytest.importorskip('nothing')")), True),
    ("the model's fixture is an expected failure", worse(in_fixture("pytest.xfail('no weights')")), True),
    ("a fixture that the model asks for skips", worse(append("conftest.py", WEIGHTS), _ASKS), True),
    (
        "the model's fixture skips in a worker",
        worse(in_fixture("pytest.skip('no weights')"), options=["-n", "2"], alone=True),
        True,
    ),
    ("the data set's fixture skips", worse(declare_data("pytest.skip('no photos')")), False),
    ("predict skips", worse(in_predict("import pytest", _SKIP)), False),
    ("predict is an expected failure", worse(in_predict("import pytest", "pytest.xfail('out of memory')")), True),
    ("predict skips after some images", worse(in_predict(*_AFTER_SOME)), True),
    ("a hook ends pytest with 0 before the first test", worse(append("conftest.py", END_EARLY)), True),
    ("the model's fixture ends pytest with 0", worse(in_fixture(_EXIT)), True),
):
    SKIPPED.add(_name, 1, _ABSENT, _attempt, slow=_slow)

_AT_ONCE = in_predict("import os", "os._exit(0)")

for _name, _code, _says, _attempt in (
    ("the model's fixture ends the process with 0", 4, "called sys.exit(0)", worse(in_fixture("raise SystemExit(0)"))),
    ("a test ends pytest with 0 after the evaluation", 1, "ERROR: segqa: …regressed", worse(_IN_TEST)),
    ("predict ends the process at once with 0", 1, "ERROR: segqa: ", worse(_AT_ONCE, alone=True)),
    ("predict ends a worker at once with 0", 1, "crashed", worse(_AT_ONCE, options=["-n", "2"], alone=True)),
    (
        "the model's fixture cannot be set up",
        4,
        "segqa: no weights",
        worse(in_fixture("from segqa.errors import ModelError", "raise ModelError('no weights')")),
    ),
    (
        "the model's fixture is renamed",
        4,
        "unknown model 'mine'",
        worse(replace("conftest.py", ("def mine():", "def other():"))),
    ),
    (
        "no fixture is declared as a model",
        4,
        "unknown model 'mine'",
        worse(replace("conftest.py", ("@segqa.model\ndef mine():", "def mine():"))),
    ),
    ("no model is named", 4, "no model chosen", worse(replace("pyproject.toml", ('model = "mine"\n', "")))),
):
    SKIPPED.add(_name, _code, _says, _attempt)


@SKIPPED.way(1, _ABSENT)
def one_of_two_models_is_skipped(trial: Trial) -> Ending:
    append("conftest.py", OTHER)(trial)
    update(trial, "--model=other")
    in_fixture("pytest.skip('no weights')")(trial)
    return trial.run("--model=mine,other")


@SKIPPED.way(0, "other on squares: mean IoU")
def another_model_is_named_on_the_command_line(trial: Trial) -> Ending:
    append("conftest.py", OTHER.replace("network.Network()", "good.Network()"))(trial)
    trial.write("good.py", (trial.path / "network.py").read_text(encoding="utf-8"))
    trial.edit("conftest.py", ("import network", "import good\nimport network"))
    update(trial, "--model=other")
    trial.make_worse()
    return trial.run("--model=other")


@SKIPPED.way(0, "robustness needs albumentations")
def a_whole_suite_skips_for_a_missing_extra(trial: Trial) -> Ending:
    skip = 'import pytest\n\npytest.skip("robustness needs albumentations", allow_module_level=True)\n'
    trial.write("suites/test_robustness.py", f"{skip}\n\ndef test_own(evaluation):\n    pass\n")
    return trial.run()


def instead(text: str) -> Change:
    """Return something else than the square, in a case."""
    return replace("network.py", ("    return bright\n", f"    return {text}\n"))


_SINGLE = "return [Proposals.single(segment(image)) for image in images]"
_NAN = "return [Proposals(segment(image)[None], *np.full((2, 1), np.nan), np.zeros((1, 4))) for image in images]"

for _name, _code, _says, _attempt, _slow in (
    ("predict raises for the hard case", 1, "errors:+0", worse(edit={"FAIL": (5,)}), False),
    (
        "predict raises for the hard case and the budget allows it",
        1,
        "errors:+0",
        worse(tables("[tool.segqa.thresholds]\nerrors = 0.5"), edit={"FAIL": (5,)}),
        True,
    ),
    (
        "predict returns a mask of another size for the hard case",
        1,
        "errors:+0",
        worse(instead("bright[:-1] if rows[0] == 5 else bright")),
        True,
    ),
    (
        "predict returns numbers in place of a mask for the hard case",
        1,
        "errors:+0",
        worse(instead("bright * 0.5 if rows[0] == 5 else bright")),
        True,
    ),
    ("predict returns no object for the hard case", 1, "broken:0", worse(instead("bright & (rows[0] != 5)")), True),
    ("predict ends pytest with 0", 1, "errors:+0", worse(in_predict("import pytest", _EXIT)), False),
    (
        "predict raises the skip of unittest",
        1,
        "errors:+0",
        worse(in_predict("import unittest", "raise unittest.SkipTest")),
        True,
    ),
    (
        "predict returns fewer answers than images",
        4,
        "expected 1, got 0",
        worse(in_predict("images = images[1:]")),
        True,
    ),
    ("predict returns nothing", 4, "got None", worse(in_predict("return None")), True),
    (
        "predict ends the process with 0",
        4,
        "but it called sys.exit(0)",
        worse(in_predict("import sys", "sys.exit(0)")),
        True,
    ),
    ("predict returns scores that are NaN", 1, "mine: regressed", worse(replace("network.py", (_SINGLE, _NAN))), True),
):
    ERRORS.add(_name, _code, _says, _attempt, slow=_slow)
