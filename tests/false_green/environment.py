"""Variables of the environment that decide what a missing verdict means."""

from __future__ import annotations

from tests.false_green.changes import NO_CI, append, delete, in_fixture, in_predict, tables, variable, worse
from tests.false_green.way import Ways

ENVIRONMENT = Ways("the environment")

_BASELINE = "baselines/squares/mine.jsonl"
_REGRESSED = "ERROR: segqa: …regressed"
_REQUIRED = tables("[tool.segqa.gate]\nrequired = true")
_CLEAN = """
@pytest.fixture(scope="session", autouse=True)
def clean_environment():
    import os
    os.environ["CI"] = "false"
"""

for _value in ("1", "TRUE", "yes", "woodpecker"):
    ENVIRONMENT.add(
        f"CI is set to {_value} and there is no baseline",
        1,
        f"no baseline {_BASELINE}",
        worse(variable("CI", _value), delete(_BASELINE)),
        slow=True,
    )
for _value in ("false", "0", ""):
    ENVIRONMENT.add(
        f"CI is set to {_value or 'nothing'} and there is no baseline",
        0,
        f"mine: not judged: no baseline at {_BASELINE}",
        worse(variable("CI", _value), delete(_BASELINE)),
        slow=_value != "false",
    )
for _variable in ("JENKINS_URL", "TF_BUILD", "GITHUB_ACTIONS"):
    ENVIRONMENT.add(
        f"CI is not set where {_variable} is, and there is no baseline",
        1,
        f"no baseline {_BASELINE}",
        worse(NO_CI, variable(_variable, "True"), delete(_BASELINE)),
        slow=True,
    )
for _name, _code, _says, _attempt in (
    (
        "CI is set to false where JENKINS_URL is set",
        0,
        f"mine: not judged: no baseline at {_BASELINE}",
        worse(variable("CI", "false"), variable("JENKINS_URL", "x"), delete(_BASELINE)),
    ),
    (
        "CI is not set and the model skips",
        0,
        "mine has no evaluation…where CI is set this is exit code 1",
        worse(NO_CI, in_fixture("pytest.skip('no gpu')")),
    ),
    ("CI is set to false", 1, "mine: regressed", worse(variable("CI", "false"))),
    ("CI is not set", 1, "mine: regressed", worse(NO_CI)),
    (
        "CI is not set and there is no baseline",
        0,
        f"mine: not judged: no baseline at {_BASELINE}",
        worse(NO_CI, delete(_BASELINE)),
    ),
    (
        "a baseline is required by the settings and CI is false",
        1,
        f"no baseline {_BASELINE}",
        worse(_REQUIRED, variable("CI", "false"), delete(_BASELINE)),
    ),
    (
        "the model's fixture unsets CI and there is no baseline",
        1,
        f"no baseline {_BASELINE}",
        worse(in_fixture("import os", "del os.environ['CI']"), delete(_BASELINE)),
    ),
    (
        "predict unsets CI and the gate is deselected",
        1,
        _REGRESSED,
        worse(in_predict("import os", "os.environ.pop('CI', None)"), options=["-k", "not regression"]),
    ),
    (
        "a fixture of the session sets CI to false",
        1,
        f"no baseline {_BASELINE}",
        worse(append("conftest.py", _CLEAN), delete(_BASELINE)),
    ),
    ("PYTEST_ADDOPTS deselects the gate", 1, _REGRESSED, worse(variable("PYTEST_ADDOPTS", "-k 'not regression'"))),
    (
        "plugins are not loaded",
        4,
        "unrecognized arguments",
        worse(variable("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"), alone=True),
    ),
):
    ENVIRONMENT.add(_name, _code, _says, _attempt)
