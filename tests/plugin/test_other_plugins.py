"""Sessions without pytest's terminal, and with pytest-timeout."""

from __future__ import annotations

import json

import pytest

from tests.plugin.workers import WORKERS

Repository = pytest.Pytester

TIMEOUT = """
def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(timeout, method, func_only): as pytest-timeout has it")


def pytest_collection_finish(session):
    for item in session.items:
        marker = item.get_closest_marker("timeout")
        print(f"MARKED {item.originalname} {marker and (marker.args, marker.kwargs)}")
"""

TESTS = """
import pytest

def test_alone(): pass

def test_scores(evaluation): pass

@pytest.mark.timeout(7)
def test_with_its_own(evaluation): pass
"""


@pytest.mark.parametrize("workers", WORKERS)
def test_without_a_terminal_tests_run_and_are_reported(repository: Repository, workers: tuple[str, ...]) -> None:
    options = ["-p", "no:terminal", "suites/test_quality.py", "--model=inverted", *workers]
    result = repository.runpytest_subprocess(*options)
    assert (result.ret, result.outlines, result.errlines) == (1, [], [])
    (path,) = repository.path.glob("reports/*/verdict.json")
    verdict = json.loads(path.read_text(encoding="utf-8"))
    assert verdict["exit_status"] == 1
    assert "suites/test_quality.py::test_mean_iou[inverted]" in [failure["test"] for failure in verdict["failing"]]


def test_without_a_terminal_the_reason_of_a_failing_session_is_on_stderr(repository: Repository) -> None:
    options = ["suites/test_quality.py", "--segqa-require-baseline", "-p", "no:terminal"]
    result = repository.runpytest_subprocess(*options)
    assert result.ret == 1
    result.stderr.fnmatch_lines(["ERROR: segqa: bright: no baseline at *: commit it"])


def test_a_timeout_counts_the_test_and_not_the_evaluation(repository: Repository) -> None:
    repository.makepyfile(timeout=TIMEOUT)
    (repository.path / "suites" / "test_mine.py").write_text(TESTS, encoding="utf-8")
    result = repository.runpytest_subprocess("-p", "timeout", "suites/test_mine.py", "--collect-only", "-q", "-s")
    result.stdout.fnmatch_lines(
        [
            "MARKED test_alone None",
            "MARKED test_scores ((), {'func_only': True})",
            "MARKED test_with_its_own ((7,), {})",
        ],
        consecutive=True,
    )
