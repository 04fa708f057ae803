"""A session goes on past what is damaged or odd, says it in one line, and never lets it start a line of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from filelock import FileLock

from segqa.plugin.xdist import remove_leftovers
from segqa.runs.store import Store
from tests.conftest import bright_square, write_case

Repository = pytest.Pytester


def no_line_begins(text: str, with_: str) -> bool:
    return not any(line.strip().startswith(with_) for line in text.splitlines())


def test_names_that_are_not_utf8_and_names_with_newlines_are_cases(repository: Repository) -> None:
    """One recorded error, whatever reads its text: terminal, JUnit, Markdown, pytest-html, the page; and again."""
    folder = repository.path / "squares"
    evil = "A_zz\n::error title=x::owned\x1b[2J"
    write_case(folder, evil, bright_square(3)[0], ~bright_square(3)[1])
    (folder / "images" / "\n::warning::note.txt").write_text("")
    for part in ("images", "masks"):
        (folder / part / "A_000.png").rename(os.fsdecode(os.fsencode(folder / part) + b"/p\xe9.png"))
    command = [sys.executable, "-m", "pytest", "suites", "--segqa-markdown=out.md", "--junitxml=out.xml"]
    for times in range(2):
        done = subprocess.run(command, cwd=repository.path, capture_output=True, check=False)
        said = done.stdout.decode()
        assert done.returncode == 1, said + done.stderr.decode()
        assert "16 scored, 0 missing, 1 error" in said, (times, said)
        assert no_line_begins(said, "::"), said
        assert "\x1b[2J" not in said
        assert r"\n::warning::note.txt" in said
    markdown = (repository.path / "out.md").read_text(encoding="utf-8")
    assert no_line_begins(markdown, "::")
    assert "\x1b" not in markdown
    assert "\x1b" not in (repository.path / "out.xml").read_text(encoding="utf-8")
    assert len(list(repository.path.glob("reports/*/index.html"))) == 2
    shown = subprocess.run(
        [sys.executable, "-m", "segqa", "show", Store(repository.path / ".segqa").run_ids()[-1]],
        cwd=repository.path, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    assert no_line_begins(shown, "::")
    assert "\x1b" not in shown


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff" * 40, b'{"version": 2, "run": 3}'])
def test_a_damaged_run_of_another_model_is_named_and_left_out(repository: Repository, damage: bytes) -> None:
    repository.runpytest("suites", "--segqa-model=inverted", "--segqa-limit=4")
    (other,) = Store(repository.path / ".segqa").run_ids()
    (repository.path / ".segqa" / "runs" / other / "run.json").write_bytes(damage)
    result = repository.runpytest("suites")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"warning: segqa: run {other} is left out: *run.json*"])
    assert len(list(repository.path.glob("reports/*-bright-*/index.html"))) == 1
    listed = repository.run(sys.executable, "-m", "segqa", "runs")
    assert listed.ret == 0
    listed.stdout.fnmatch_lines([f"{other}  *run.json*", "*-bright-squares  mean IoU 1.0000*"])
    good = next(each for each in Store(repository.path / ".segqa").run_ids() if each != other)
    assert repository.run(sys.executable, "-m", "segqa", "show", good).ret == 0


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_a_full_disk_is_one_sentence_with_exit_code_4(repository: Repository, workers: Sequence[str]) -> None:
    """As a full disk, a quota is felt where something is written: here where a file would grow above 24 kB."""
    start = (
        "import resource, sys, pytest\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, 24_000))\n"
        "sys.exit(pytest.main(sys.argv[1:]))\n"
    )
    (repository.path / "full.py").write_text(start, encoding="utf-8")
    command = [sys.executable, "full.py", "suites", "-p", "no:cacheprovider", *workers]
    done = subprocess.run(command, cwd=repository.path, capture_output=True, check=False)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 4, said
    assert "segqa: cannot use the " in said
    assert "--segqa-cache-dir keeps" in said
    assert "remove the file" not in said
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said


def test_folders_of_killed_sessions_go_after_a_day(tmp_path: Path) -> None:
    store = Store(tmp_path)
    yesterday = time.time() - 2 * 24 * 3600
    for name in ("killed", "running", "new", "held"):
        folder = tmp_path / "sessions" / name
        folder.mkdir(parents=True)
        for file in ("bright.run", "bright.run.lock"):
            (folder / file).write_text("")
    for name, file in (("killed", ""), ("held", ""), ("running", "bright.run.lock")):
        for path in (tmp_path / "sessions" / name).iterdir():
            if not file or path.name == file:
                os.utime(path, (yesterday, yesterday))
        os.utime(tmp_path / "sessions" / name, (yesterday, yesterday))
    lock = FileLock(tmp_path / "sessions" / "held" / "bright.run.lock")
    with lock:
        os.utime(lock.lock_file, (yesterday, yesterday))
        remove_leftovers(store)
    assert sorted(path.name for path in (tmp_path / "sessions").iterdir()) == ["held", "new", "running"]
    remove_leftovers(Store(tmp_path / "nothing"))


def test_a_report_folder_has_a_name_for_every_file_system(repository: Repository) -> None:
    repository.makefile(
        ".toml", pyproject='[tool.segqa]\nmodel = "bright"\ndataset = "squares"\ndataset_name = "a:b c?"\n'
    )
    assert repository.runpytest("suites", "--segqa-limit=2").ret == 0
    (folder,) = (repository.path / "reports").iterdir()
    assert folder.name.endswith("-bright-a-b-c-")


def test_a_failure_that_quotes_a_lone_surrogate_reaches_the_controller(repository: Repository) -> None:
    """pytest-xdist alone loses the test, and exits with 0."""
    repository.makepyfile(
        test_odd=r"""
        def test_odd(evaluation):
            raise ValueError("quoted \udce9")
        """
    )
    result = repository.runpytest_subprocess("test_odd.py", "-n", "2", "--segqa-limit=2")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*quoted \\udce9*"])
