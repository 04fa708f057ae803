"""`segqa serve` as a user has it: another process, a model that is a fixture, signals."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest

from segqa.plugin.model_host import host
from tests.serving.conftest import make_png

CONFTEST = '''
import pytest
import segqa
from segqa.plugin.options import add_short_options


def pytest_addoption(parser):
    add_short_options(parser)


@pytest.fixture(scope="session")
def cutoff(pytestconfig):
    return 100


@segqa.model
def bright(model_options, cutoff):
    """Segments what is bright."""

    class Bright:
        fingerprint = "bright"

        def predict(self, images, prompts):
            if prompts[0].startswith("fail"):
                raise ValueError(f"cannot find {prompts[0]}")
            return [segqa.Proposals.single(image[:, :, 0] > cutoff, **model_options("bright")) for image in images]

    yield Bright()
    print("bright is gone", flush=True)


@segqa.model
def dim():
    """Another one."""


def test_is_never_run():
    raise AssertionError
'''
SERVE = "from segqa.cli import app; app(prog_name='segqa')"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    pytest.importorskip("httpx", reason="asking a server needs segqa[http]")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    # what a server would not survive if pytest were left to its settings
    settings = """
        [tool.pytest.ini_options]
        addopts = ["-n", "2"]
        log_level = "DEBUG"
        filterwarnings = ["error"]

        [tool.segqa.models.bright]
        score = 0.25
        """
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    return tmp_path


@contextmanager
def started(here: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and its URL, once it answers."""
    command = [sys.executable, "-c", SERVE, "serve", "--port=0", *arguments]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert " on http" in said, said + process.stdout.read()
            yield process, said.split(" on ")[1].split()[0]
        finally:
            process.kill()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_fixture_is_served_until_a_signal_and_cleans_up(here: Path, sign: signal.Signals) -> None:
    import httpx

    with started(here, "--model=bright") as (process, url):
        answer = httpx.post(f"{url}/predict", content=make_png()).json()
        process.send_signal(sign)
        assert process.stdout is not None
        rest = process.stdout.read()
        code = process.wait(20)
    assert answer["predictions"][0]["mask_score"] == 0.25
    assert (code, rest.strip()) == (0, "bright is gone")
    assert sorted(path.name for path in here.iterdir() if path.name != "__pycache__") == [
        "conftest.py",
        "pyproject.toml",
    ]


def test_settings_and_options_of_the_suites_hold(here: Path) -> None:
    import httpx

    options = ["--segqa-model-option=bright.score=0.5", "--pick=first", "--prompt=dog."]
    with started(here, "--model=bright", "--queue=3", "--", *options) as (_, url):
        card = httpx.get(f"{url}/model").json()
        answer = httpx.post(f"{url}/predict", content=make_png()).json()
    assert (card["pick"], card["prompt"], card["limits"]["queue"]) == ("first", "dog.", 3)
    assert answer["predictions"][0]["mask_score"] == 0.5


def test_the_log_says_at_once_why_the_model_failed(here: Path) -> None:
    import httpx

    with started(here, "--model=bright") as (process, url):
        forged = "fail\n2026-01-01 12:00:00,000 INFO all is well\x1b[2J"
        assert httpx.post(f"{url}/predict", params={"prompt": forged}, content=make_png()).status_code == 500
        assert process.stdout is not None
        said = list(iter(process.stdout.readline, "    2026-01-01 12:00:00,000 INFO all is well\\x1b[2J\n"))
    assert "ERROR segqa.serving: the model failed:" in said[0]
    assert all(line.startswith("    ") for line in said[1:])
    assert said[-1] == "    ValueError: cannot find fail\n"


def test_failures_of_the_model_are_not_kept_in_memory(here: Path) -> None:
    kept: list[int] = []

    def use(_: object) -> None:
        logging.getLogger("segqa.serving").error("the model failed:\n%s", "x" * 100_000)
        for handler in logging.getLogger().handlers:
            stream = getattr(handler, "stream", None)
            kept.append(len(getattr(handler, "records", [])))
            kept.append(stream.tell() if isinstance(stream, StringIO) else 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert host("bright", use, ["-p", "no:xdist", "-o", "addopts="]) == 0
    assert not any(kept)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model=brihgt"], "unknown model 'brihgt'; did you mean 'bright'?"),
        (["--model=bright,dim"], "expected the name of one model, got 2"),
        (["--model=dim"], "model dim: expected a model, got None"),
        (["--model=bright", "--token-env=NO_SUCH_TOKEN"], "found none"),
        (["--model=bright", "--max-megapixels=1000"], "pixels must be at most 89478485"),
        (["--model=bright", "--host=256.0.0.1"], "cannot listen on 256.0.0.1:0"),
    ],
)
def test_what_cannot_be_served_is_said_with_exit_code_4(here: Path, arguments: list[str], said: str) -> None:
    command = [sys.executable, "-c", SERVE, "serve", "--port=0", *arguments]
    ended = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False, timeout=60)
    assert said in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert ended.returncode == 4


def test_a_token_is_asked_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    monkeypatch.setenv("SERVE_TOKEN", "s3cret")
    with started(here, "--model=bright", "--token-env=SERVE_TOKEN") as (_, url):
        headers = {"Authorization": "Bearer s3cret"}
        assert httpx.get(f"{url}/model").status_code == 401
        assert httpx.get(f"{url}/model", headers=headers).status_code == 200
