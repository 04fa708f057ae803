"""What is judged by has to be what was committed; where it is not, or nobody can tell, a line says so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segqa.plugin import baselines
from segqa.support.git import explain_silence
from segqa.support.git_comparison import describe_change


def run_git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    allowed = ["-c", "protocol.file.allow=always"]
    subprocess.run(["git", *who, *allowed, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    run_git(folder, "init", "-q")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "one")


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "baselines" / "mine.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("one\n", encoding="utf-8")
    commit(path.parents[1])
    return path


def describe(path: Path) -> str:
    return describe_change(path, f"{path.parent.name}/{path.name}")


def test_a_committed_file_is_nothing_to_mention(committed: Path) -> None:
    assert not describe(committed)


def test_line_ends_of_the_checkout_are_no_change(committed: Path) -> None:
    run_git(committed.parent, "config", "core.autocrlf", "true")
    committed.write_bytes(b"one\r\n")
    assert not describe(committed)


def test_a_file_that_was_written_since_is_named(committed: Path) -> None:
    committed.write_text("two", encoding="utf-8")
    assert describe(committed) == "baselines/mine.jsonl is not as it was committed"
    run_git(committed.parent, "add", "-A")
    assert describe(committed) == "baselines/mine.jsonl is not as it was committed"


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_a_change_that_git_status_leaves_out_is_named(committed: Path, flag: str) -> None:
    run_git(committed.parent, "update-index", flag, committed.name)
    committed.write_text("two", encoding="utf-8")
    assert describe(committed) == "baselines/mine.jsonl is not as it was committed"


@pytest.mark.parametrize("ignored", [False, True])
def test_a_file_that_git_does_not_know_is_named(committed: Path, ignored: bool) -> None:
    other = committed.with_name("other.jsonl")
    other.write_text("x", encoding="utf-8")
    if ignored:
        (committed.parent / ".gitignore").write_text("other.jsonl", encoding="utf-8")
    assert describe(other) == "git does not know baselines/other.jsonl: it is in no commit"


def test_a_file_that_is_gone_is_named_with_its_commit(committed: Path) -> None:
    committed.unlink()
    assert describe(committed).startswith("baselines/mine.jsonl is gone, but git knows it (commit ")
    committed.parent.rmdir()
    assert describe(committed).startswith("baselines/mine.jsonl is gone, but git knows it (commit ")
    assert not describe(committed.with_name("never.jsonl"))


def test_a_submodule_at_another_commit_is_named(committed: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    run_git(outer, "init", "-q")
    run_git(outer, "submodule", "add", "-q", str(committed.parents[1]), "kept")
    run_git(outer, "commit", "-qm", "one")
    path = outer / "kept" / "baselines" / "mine.jsonl"
    assert not describe(path)
    path.write_text("two", encoding="utf-8")
    assert describe(path) == "baselines/mine.jsonl is not as it was committed"
    run_git(path.parent, "commit", "-qam", "two")
    assert "is not as it was committed: its submodule is at " in describe(path)


def test_outside_of_a_repository_nobody_can_tell(committed: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.jsonl"
    other.write_text("x", encoding="utf-8")
    assert describe(other).startswith("git does not answer here (there is no repository), so nobody can tell whether")
    assert not describe(tmp_path / "never.jsonl")


def test_without_git_nobody_can_tell(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert describe(committed) == (
        "git does not answer here (it is not installed), so nobody can tell whether baselines/mine.jsonl is as it was "
        "committed"
    )


def test_in_a_hook_of_git_the_file_is_compared_too(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    assert not describe(committed)
    committed.write_text("two", encoding="utf-8")
    assert describe(committed) == "baselines/mine.jsonl is not as it was committed"


def test_a_repository_of_another_user_is_named(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert explain_silence(committed.parent).startswith("the repository belongs to another user")


def make_session(root: Path, *, ci: bool) -> Any:
    return SimpleNamespace(root=root, shorten_path=lambda path: os.path.relpath(path, root), changes={}, ci=ci)


def test_git_is_asked_once_for_a_file(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = make_session(committed.parents[1], ci=True)
    committed.write_text("two", encoding="utf-8")
    said = baselines.describe_change(session, committed)
    monkeypatch.setenv("PATH", "")
    assert said == baselines.describe_change(session, committed) != ""


def test_on_a_laptop_a_file_that_was_just_written_is_nothing_to_mention(committed: Path) -> None:
    committed.write_text("two", encoding="utf-8")
    assert not baselines.describe_change(make_session(committed.parents[1], ci=False), committed)
