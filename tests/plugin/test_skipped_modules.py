"""Which tests ask for an evaluation, read without importing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segqa.plugin.skipped_modules import asks_for_evaluation, is_test_file


class _Config:
    def __init__(self, **values: list[str]) -> None:
        self.values = values

    def getini(self, name: str) -> list[str]:
        return self.values.get(name, [])


def asks(text: str, **values: list[str]) -> bool:
    config: Any = _Config(**values)
    return asks_for_evaluation(text, config)


FIXTURE = "import pytest\n@pytest.fixture\ndef mine(evaluation): pass\n"


@pytest.mark.parametrize(
    "text",
    [
        "def test_x(evaluation): pass",
        "async def test_x(gate): pass",
        "def test_x(*, whole_run): pass",
        "class TestX:\n    def test_x(self, clusters): pass",
        f"{FIXTURE}def test_x(mine): pass",
        "import pytest\n@pytest.mark.usefixtures('speed')\ndef test_x(): pass",
        "import pytest\npytestmark = pytest.mark.usefixtures('robustness')\ndef test_x(): pass",
    ],
)
def test_a_module_asks_if_one_of_its_tests_does(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "import segqa",
        "def test_x(tmp_path): pass",
        "def helper(evaluation): pass\ndef test_x(): helper(1)",
        FIXTURE,
        f"{FIXTURE}def test_x(tmp_path): pass",
        "from pytest import fixture\n@fixture(scope='session')\ndef test_run(evaluation): pass",
    ],
)
def test_fixtures_and_helpers_alone_ask_for_nothing(text: str) -> None:
    assert not asks(text)


def test_other_names_of_tests_are_those_of_the_settings() -> None:
    assert not asks("def check_x(evaluation): pass")
    assert asks("def check_x(evaluation): pass", python_functions=["check_*"])
    assert asks("def check_x(evaluation): pass", python_functions=["check"])


def test_only_files_that_pytest_takes_are_test_modules() -> None:
    config: Any = _Config(python_files=["check_*.py"])
    names = ["test_x.py", "x_test.py", "check_x.py", "fixtures.py", "conftest.py"]
    assert [is_test_file(Path(name), config) for name in names] == [True, True, True, False, False]
