"""Which files of a work tree have changed, and which of them segqa itself has written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from segqa.work_tree import find_changes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder of a repository, with three committed files."""
    folder = tmp_path / "repository" / "project"
    folder.mkdir(parents=True)
    for name in ("model.py", "old name.py", "gone.py"):
        (folder / name).write_text(name, encoding="utf-8")
    git(folder, "init", "-q", "..")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    return folder


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed", encoding="utf-8")
    return path


def test_each_change_is_named_with_its_kind(root: Path) -> None:
    assert find_changes(root, []) == []
    write(root / "model.py")
    write(root / "data" / "line\nbreak.txt")
    (root / "gone.py").unlink()
    git(root, "mv", "old name.py", "new name.py")
    assert find_changes(root, []) == [
        "gone.py (deleted)",
        "model.py (changed)",
        "new name.py (renamed)",
        "'data/line\\nbreak.txt' (new)",
    ]


def test_what_segqa_writes_is_left_out(root: Path) -> None:
    for name in ("baselines/a/b.jsonl", ".segqa/x", "reports/y", "tests/__pycache__/z.pyc", "summary.md"):
        write(root / name)
    outputs = [
        root / "baselines",
        root / ".segqa",
        root / "reports",
        root / "summary.md",
        root.parents[2] / "elsewhere",
    ]
    assert find_changes(root, outputs) == []
    write(root / "reports.py")
    assert find_changes(root, outputs) == ["reports.py (new)"]


def test_an_output_folder_that_holds_the_project_hides_nothing(root: Path) -> None:
    write(root / "model.py")
    for output in (root, root.parent, root / "."):
        assert find_changes(root, [output]) == ["model.py (changed)"]


def test_a_folder_outside_of_git_has_no_answer(tmp_path: Path) -> None:
    assert find_changes(tmp_path, []) is None
