"""What is judged by has to be what was committed; where it is not, the output says so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from segqa.plugin.baselines import describe_change


class _Session:
    def __init__(self, root: Path) -> None:
        self.root = self.here = root
        self.uncommitted: dict[Path, str] = {}


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CI", "true")
    path = tmp_path / "baselines" / "mine.jsonl"
    path.parent.mkdir()
    path.write_text("one", encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return path


def described(path: Path) -> str:
    return describe_change(_Session(path.parents[1]), path)  # type: ignore[arg-type]


def test_a_committed_file_is_nothing_to_mention(committed: Path) -> None:
    assert not described(committed)


def test_a_file_that_was_written_since_is_named(committed: Path) -> None:
    committed.write_text("two", encoding="utf-8")
    assert described(committed) == "baselines/mine.jsonl is not as it was committed"


def test_git_is_asked_once_for_a_file(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _Session(committed.parents[1])
    committed.write_text("two", encoding="utf-8")
    said = describe_change(session, committed)  # type: ignore[arg-type]
    monkeypatch.setenv("PATH", "")
    assert said == describe_change(session, committed) != ""  # type: ignore[arg-type]


def test_a_file_that_git_does_not_know_is_named(committed: Path) -> None:
    other = committed.with_name("other.jsonl")
    other.write_text("x", encoding="utf-8")
    assert described(other) == "baselines/other.jsonl is not as it was committed"


def test_a_file_that_is_gone_is_named_with_its_commit(committed: Path) -> None:
    committed.unlink()
    assert described(committed).startswith("baselines/mine.jsonl is gone, but git knows it (commit ")


def test_on_a_laptop_a_file_that_was_just_written_is_nothing_to_mention(
    committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI")
    committed.write_text("two", encoding="utf-8")
    assert not described(committed)
