"""The test of the gate is not run, or nobody listens to it."""

from __future__ import annotations

from tests.false_green.changes import GATE, append, delete, put, rename, replace, tables, variable, worse
from tests.false_green.trial import Ending, Trial
from tests.false_green.way import Ways

SELECTION = Ways("tests that are not run")

_REGRESSED = "ERROR: segqa: …regressed"
_ABSENT = "ERROR: segqa: …mine…no evaluation"

OWN = put("suites/test_own.py", "def test_own():\n    pass\n")

CATCH = """    try:
        assert gate.passed
    except AssertionError:
        pass"""
DESELECT = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "regression" not in item.nodeid]
"""
SKIP = """
def pytest_collection_modifyitems(items):
    for item in items:
        if "regression" in item.nodeid:
            item.add_marker(pytest.mark.skip)
"""
TURN = """
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        report.outcome = "passed"
    return report
"""
NEVER_RUN = """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    return True if "regression" in item.nodeid else None
"""
GOOD_VERDICT = """
class Good:
    passed, story = True, ""


@pytest.fixture
def gate():
    return Good()
"""
GOOD_EVALUATION = """
class Good:
    mean_iou = p05 = 1.0
    error_share = share = 0.0

    def failures(self, kind):
        return self


@pytest.fixture
def evaluation():
    return Good()
"""


for _name, _options, _slow in (
    ("the test of the gate is deselected by -k", ("-k", "not regression"), False),
    ("another test is selected by -k", ("-k", "test_mean_iou"), True),
    ("the test of the gate is deselected by its id", (f"--deselect={GATE}::test_no_regression",), True),
    ("the suite of the gate is ignored", (f"--ignore={GATE}",), True),
    ("the suite of the gate is ignored by a pattern", ("--ignore-glob=*regression*",), True),
    ("only another suite is named", ("suites/test_quality.py",), True),
    ("only another test is named", ("suites/test_quality.py::test_p05",), True),
    ("fixtures are set up and no test runs", ("--setup-only",), True),
    ("the gate is deselected for two workers", ("-n", "2", "-k", "not regression"), True),
    ("the gate is deselected and no summary printed", ("-qq", "--no-summary", "-k", "not regression"), True),
):
    SELECTION.add(_name, 1, _REGRESSED, worse(options=_options), slow=_slow)

_MARK = '@__import__("pytest").mark.{}\ndef test_no'
_AT_ONCE = "__import__('pytest').{}\nfrom segqa"

for _name, _change, _slow in (
    ("the suite of the gate is deleted", delete(GATE), False),
    ("the suite of the gate is renamed", rename(GATE, "suites/gate.py"), True),
    ("the function of the gate is renamed", replace(GATE, ("def test_no", "def no")), True),
    ("the test of the gate is an expected failure", replace(GATE, ("def test_no", _MARK.format("xfail"))), False),
    ("the test of the gate is skipped by a mark", replace(GATE, ("def test_no", _MARK.format("skip"))), True),
    (
        "the suite of the gate skips itself",
        replace(GATE, ("from segqa", _AT_ONCE.format("skip('slow', allow_module_level=True)"))),
        True,
    ),
    (
        "the suite of the gate asks for a missing module",
        replace(GATE, ("from segqa", _AT_ONCE.format("importorskip('nothing_of_this_name')"))),
        True,
    ),
    ("the test of the gate asserts nothing", replace(GATE, ("gate.passed, gate.story", "gate")), True),
    ("the test of the gate catches its failure", replace(GATE, ("    assert gate.passed, gate.story", CATCH)), True),
    (
        "addopts deselects the gate",
        replace("pyproject.toml", ('"--segqa-report', '"-k", "not regression", "--segqa-report')),
        True,
    ),
    ("a hook deselects the gate", append("conftest.py", DESELECT), False),
    ("a hook skips the gate", append("conftest.py", SKIP), True),
    ("a hook does not collect the gate", append("conftest.py", f"collect_ignore = ['{GATE}']"), True),
    ("a hook turns failures into passes", append("conftest.py", TURN), True),
    ("a hook does not run the gate", append("conftest.py", NEVER_RUN), True),
    ("a fixture of the user replaces the verdict", append("conftest.py", GOOD_VERDICT), True),
):
    SELECTION.add(_name, 1, _REGRESSED, worse(_change), slow=_slow)

SELECTION.add(
    "a fixture of the user replaces the evaluation",
    1,
    _ABSENT,
    worse(append("conftest.py", GOOD_EVALUATION), options=[f"--deselect={GATE}::test_no_regression"]),
)
SELECTION.add("every test of the model is deselected", 1, _ABSENT, worse(OWN, options=["-k", "test_own"]))
SELECTION.add(
    "a baseline is required by an option and every test of the model deselected",
    1,
    _ABSENT,
    worse(OWN, options=["-k", "test_own", "--segqa-require-baseline"]),
)
SELECTION.add(
    "a baseline is required by the settings and every test of the model deselected",
    1,
    _ABSENT,
    worse(OWN, tables("[tool.segqa.gate]\nrequired = true"), options=["-k", "test_own"]),
)
SELECTION.add("what would be set up is planned and not done", 1, _ABSENT, worse(options=["--setup-plan"]))
SELECTION.add(
    "assertions are compiled away",
    1,
    _REGRESSED,
    worse(variable("PYTHONOPTIMIZE", "1"), options=["--assert=plain"], alone=True),
)
SELECTION.add(
    "a test of the user stands in for the suites",
    1,
    _REGRESSED,
    worse(
        put("suites/test_own.py", "def test_own(evaluation):\n    assert evaluation.mean_iou > 0.5\n"),
        options=["suites/test_own.py"],
    ),
)


@SELECTION.way(1, _REGRESSED)
def only_the_tests_that_failed_last_are_run(trial: Trial) -> Ending:
    trial.append(
        "suites/test_quality.py", "\n\ndef test_own(evaluation: Run) -> None:\n    assert evaluation.p05 > 1\n"
    )
    trial.run()
    trial.edit("suites/test_quality.py", ("p05 > 1", "p05 >= 0"))
    trial.make_worse()
    return trial.run("--lf")


@SELECTION.way(1, "no test failed for it")
def the_gate_is_deselected_and_the_summary_of_segqa_blocked(trial: Trial) -> Ending:
    trial.make_worse()
    ending = trial.run("-p", "no:segqa-summary", "-k", "not regression")
    # nothing is printed, as was asked for; the file for other programs has the reason
    (file,) = trial.path.glob("reports/*/verdict.json")
    return Ending(ending.code, file.read_text(encoding="utf-8"))
