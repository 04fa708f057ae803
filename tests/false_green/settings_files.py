"""Settings that stand in a file which is not read."""

from __future__ import annotations

from tests.false_green.changes import put, replace, tables, worse
from tests.false_green.trial import Ending, Trial
from tests.false_green.way import Attempt, Ways

READING = Ways("settings that are not read")

STRICT = "[tool.segqa.thresholds]\nmean_iou = 0.95"
"""A bound that the good model meets and the worse one does not."""

_STRICT = "below 0.9500"
_INI = "[{}]\naddopts = --import-mode=importlib\npythonpath = .\n"
_TOML = "[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\npythonpath = ['.']\n"
ABOVE = (
    ("pyproject.toml", _TOML),
    ("pytest.ini", _INI.format("pytest")),
    ("tox.ini", _INI.format("pytest")),
    ("setup.cfg", _INI.format("tool:pytest")),
)


def nest(trial: Trial, file: str, text: str) -> None:
    """Move the repository into a folder of another one that configures pytest."""
    inner = trial.path / "project"
    inner.mkdir()
    for name in ("squares", "suites", "baselines", "network.py", "conftest.py", "pyproject.toml"):
        (trial.path / name).rename(inner / name)
    trial.write(file, text)
    path = inner / "pyproject.toml"
    table = path.read_text(encoding="utf-8").partition("[tool.segqa]")[2]
    path.write_text(f"[tool.segqa]{table}\n{STRICT}\n", encoding="utf-8")
    trial.patched.syspath_prepend(inner)
    trial.make_worse()


def below(file: str, text: str, *, inside: bool = False) -> Attempt:
    """Run the suites of a project in a folder of another one."""

    def attempt(trial: Trial) -> Ending:
        nest(trial, file, text)
        if inside:
            trial.patched.chdir(trial.path / "project")
        where = "" if inside else "project/"
        # named by options, so that the bounds alone come from the file
        return trial.run(f"{where}suites", "--model=mine", f"--dataset={where}squares")

    return attempt


for _file, _text in ABOVE:
    READING.add(f"a {_file} above configures pytest", 1, _STRICT, below(_file, _text), slow=_file != "pytest.ini")
READING.add("pytest is started in a project that is configured above", 1, _STRICT, below(*ABOVE[0], inside=True))

for _name, _attempt in (
    (
        "another root is named",
        worse(
            tables(STRICT),
            put("elsewhere/pyproject.toml", _TOML),
            options=["--rootdir=elsewhere", "--model=mine", "--dataset=squares"],
        ),
    ),
    (
        "another configuration is named",
        worse(tables(STRICT), put("other.toml", _TOML), options=["suites", "-c", "other.toml"]),
    ),
    ("a pytest.ini lies beside the settings", worse(tables(STRICT), put("pytest.ini", ABOVE[1][1]))),
):
    READING.add(_name, 1, _STRICT, _attempt)


@READING.way(1, _STRICT)
def pytest_is_started_in_the_folder_of_the_suites(trial: Trial) -> Ending:
    trial.set(STRICT)
    trial.make_worse()
    trial.patched.chdir(trial.path / "suites")
    return trial.run(".")


NEARER = '[tool.segqa]\nmodel = "mine"\ndataset = "../squares"\n\n[tool.segqa.gate]\nrequired = false\n'
_MISSPELT = replace("pyproject.toml", ("[tool.segqa", "[tool.seqqa"))
_OPTIONS = ["suites/test_quality.py", "--model=mine", "--dataset=squares"]

for _name, _code, _says, _attempt in (
    (
        "nearer settings have no bounds",
        0,
        "suites/pyproject.toml",
        worse(tables(STRICT), put("suites/pyproject.toml", NEARER)),
    ),
    (
        "the name of the table is misspelt",
        1,
        "defaults, no pyproject.toml with [tool.segqa]",
        worse(tables(STRICT), _MISSPELT, options=_OPTIONS),
    ),
    (
        "the file is no TOML",
        4,
        "pyproject.toml: Cannot declare",
        worse(tables("[tool.segqa\n"), put("pytest.ini", ABOVE[1][1])),
    ),
):
    READING.add(_name, _code, _says, _attempt)


@READING.way(4, "expected tests with one settings file")
def two_projects_with_settings_of_their_own_run_in_one_session(trial: Trial) -> Ending:
    trial.write("pytest.ini", ABOVE[1][1])
    settings = (trial.path / "pyproject.toml").read_text(encoding="utf-8")
    suite = (trial.path / "suites/test_quality.py").read_text(encoding="utf-8")
    (trial.path / "pyproject.toml").unlink()
    for name, bounds in (("first", ""), ("second", STRICT)):
        trial.write(f"{name}/pyproject.toml", f"{settings}\n{bounds}\n")
        trial.write(f"{name}/suites/test_quality.py", suite)
    trial.make_worse()
    return trial.run("first/suites", "second/suites", "--model=mine", "--dataset=squares")
