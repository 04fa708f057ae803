import os
import pty
import subprocess
import sys

import pytest

from segqa.plugin.progress import LogProgress

SLOW = """
import time
import segqa
from segqa import Proposals


class Slow:
    def predict(self, images, prompts):
        print("the model chatters")
        time.sleep(0.15)
        return [Proposals.single(image[:, :, 0] > 100) for image in images]


@segqa.model
def bright():
    return Slow()
"""


def on_a_terminal(repository: pytest.Pytester, *options: str) -> str:
    """What a person sees who runs the quality suite."""
    repository.makeconftest(SLOW)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", "suites/test_quality.py", "--segqa-batch-size=2", *options]
    process = subprocess.Popen(command, cwd=repository.path, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:  # how Linux says that the other side has closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return seen.decode()


def test_a_person_sees_a_bar_although_pytest_captures(repository: pytest.Pytester) -> None:
    seen = on_a_terminal(repository)
    assert "bright:" in seen
    assert "8/16" in seen
    assert "cases/s" in seen
    assert "the model chatters" not in seen


def test_quiet_is_quiet(repository: pytest.Pytester) -> None:
    assert "cases/s" not in on_a_terminal(repository, "-q")


def test_a_log_gets_no_bar(repository: pytest.Pytester) -> None:
    repository.makeconftest(SLOW)
    repository.runpytest_subprocess("suites/test_quality.py").stdout.no_fnmatch_line("*cases/s*")


def test_a_log_gets_a_line_now_and_then() -> None:
    said: list[str] = []
    lines = LogProgress(said.append, "unet", every=0)
    for done in (10, 20, 30):
        lines(done, 30)
    assert len(said) == 1
    assert said[0].startswith("\nunet: 20 of 30 cases, ")
    assert "cases/s" in said[0]
    assert "s left" in said[0]


def test_a_log_is_left_alone_in_between() -> None:
    said: list[str] = []
    lines = LogProgress(said.append, "unet", every=1000)
    lines(0, 30)
    lines(10, 30)
    assert said == []
