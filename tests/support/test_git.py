"""Which files of a work tree have changed, and which of them segqa itself has written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from segqa.support.git import Changes, WorkTree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder of a repository, with three committed files."""
    folder = tmp_path / "repository" / "project"
    folder.mkdir(parents=True)
    for name in ("model.py", "old name.py", "gone.py"):
        (folder / name).write_text(name, encoding="utf-8")
    run_git(folder, "init", "-q", "..")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "all")
    return folder


def run_git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed", encoding="utf-8")
    return path


def find_changes(root: Path, *outputs: Path) -> tuple[str, ...]:
    found = WorkTree(root, outputs).read_changes()
    assert found is not None
    return found.files


def compute_digest(root: Path) -> str:
    found = WorkTree(root).read_changes()
    assert found is not None
    return found.digest


def test_each_change_is_named_with_its_kind_from_the_top_of_the_repository(root: Path) -> None:
    assert find_changes(root) == ()
    assert compute_digest(root) == ""
    write(root / "model.py")
    write(root / "data" / "line\nbreak.txt")
    write(root.parent / "shared.py")
    (root / "gone.py").unlink()
    run_git(root, "mv", "old name.py", "new name.py")
    assert set(find_changes(root)) == {
        "project/gone.py (deleted)",
        "project/model.py (changed)",
        "project/new name.py (renamed)",
        "'project/data/line\\nbreak.txt' (new)",
        "shared.py (new)",
    }


def test_a_change_that_is_only_staged_is_named(root: Path) -> None:
    write(root / "model.py")
    write(root / "added.py")
    run_git(root, "add", "-A")
    (root / "model.py").write_text("model.py", encoding="utf-8")
    assert set(find_changes(root)) == {"project/model.py (changed)", "project/added.py (new)"}


def test_what_the_configuration_of_git_hides_is_named(root: Path) -> None:
    run_git(root, "config", "status.showUntrackedFiles", "no")
    run_git(root, "config", "diff.ignoreSubmodules", "all")
    write(root / "added.py")
    assert find_changes(root) == ("project/added.py (new)",)


def test_the_files_that_changed_in_a_submodule_are_named(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write(other / "layers.py")
    run_git(other, "init", "-q")
    run_git(other, "add", "-A")
    run_git(other, "commit", "-qm", "all")
    run_git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "other")
    run_git(root, "commit", "-qam", "a submodule")
    inside = root / "other"
    assert find_changes(root) == ()
    write(inside / "baselines" / "a.jsonl")
    assert find_changes(root, inside / "baselines") == ()
    (inside / "layers.py").write_text("x", encoding="utf-8")
    assert find_changes(root, inside / "baselines") == ("project/other/layers.py (changed)",)
    run_git(inside, "commit", "-qam", "layers")
    assert find_changes(root, inside / "baselines") == ("project/other (changed)",)


def test_the_digest_is_of_the_content(root: Path) -> None:
    write(root / "model.py")
    once = compute_digest(root)
    assert once == compute_digest(root)
    (root / "model.py").write_text("other", encoding="utf-8")
    assert compute_digest(root) != once


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
    assert find_changes(root, *outputs) == ()
    write(root / "reports.py")
    assert find_changes(root, *outputs) == ("project/reports.py (new)",)


def test_an_output_folder_that_holds_the_project_hides_nothing(root: Path) -> None:
    write(root / "model.py")
    for output in (root, root.parent, root / "."):
        assert find_changes(root, output) == ("project/model.py (changed)",)


def test_a_folder_outside_of_git_has_no_answer(tmp_path: Path) -> None:
    tree = WorkTree(tmp_path)
    assert (tree.read_changes(), tree.find_head()) == (None, "")


def test_without_git_there_is_no_answer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert (WorkTree(root).read_changes(), WorkTree(root).find_head()) == (None, "")


def test_another_commit_is_named(root: Path) -> None:
    tree = WorkTree(root)
    first = tree.find_head()
    assert not tree.describe_other(first)
    write(root / "model.py")
    run_git(root, "commit", "-qam", "more")
    assert tree.describe_other(first) == f"was made at commit {first[:10]}, and {tree.find_head()[:10]} is checked out"
    assert "which this repository does not have" in tree.describe_other("f" * 40)
    assert not tree.describe_other("")


def test_many_changes_are_counted_and_some_kept(root: Path) -> None:
    for number in range(250):
        write(root / f"{number}.txt")
    found = WorkTree(root).read_changes()
    assert found is not None
    assert (found.count, len(found.files)) == (250, 200)
    assert Changes.from_json(found.to_json()) == found
    assert str(found).endswith(" and 245 more")


def test_changes_of_parts_are_merged() -> None:
    one, two = Changes(("a (new)",), 1, "1"), Changes(("b (new)",), 1, "2")
    both = Changes.merge([one, Changes(), two, None])
    assert both is not None
    assert both.files == ("a (new)", "b (new)")
    assert both.digest not in {"", "1", "2"}
    assert Changes.merge([one, one, Changes()]) == one
    assert Changes.merge([Changes(), None]) is None
    assert Changes.merge([Changes(), Changes()]) == Changes()
