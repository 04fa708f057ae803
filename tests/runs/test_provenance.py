"""A run keeps the uncommitted changes that any of its outcomes were made with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.data.subsets import Shard
from segqa.inference.evaluator import Evaluation
from segqa.inference.merge_shards import merge_parts, read_part
from segqa.models.protocol import Proposals
from segqa.runs.provenance import describe_commits, read_changes
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.support.git import WorkTree

Squares = Callable[[int], Path]


class Bright:
    """Finds what is bright; stops when it is asked too often."""

    fingerprint = "bright"

    def __init__(self, stops_after: int = 100) -> None:
        self.left = stops_after

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        masks = [image[:, :, 0] > 100 for image in images]
        return [Proposals(mask[None], np.ones(1), np.ones(1), np.zeros((1, 4))) for mask in masks]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed model; the store is in the work tree and not ignored."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "model.py").write_text("good", encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    return folder


@pytest.fixture
def store(project: Path) -> Store:
    return Store(project / ".segqa")


def how(project: Path, shard: Shard | None = None) -> Evaluation:
    return Evaluation(batch_size=2, work_tree=WorkTree(project), shard=shard)


def edit(project: Path) -> None:
    (project / "model.py").write_text("worse", encoding="utf-8")


def revert(project: Path) -> None:
    (project / "model.py").write_text("good", encoding="utf-8")


def changed(run: Run) -> tuple[str, ...]:
    found = read_changes(run.provenance)
    assert found is not None
    assert bool(found) == run.provenance["dirty"]
    return found.files


EDITED = ("model.py (changed)",)


def test_what_segqa_has_written_is_no_change(project: Path, store: Store, squares: Squares) -> None:
    data = open_folder(squares(4))
    for _ in range(2):
        assert changed(how(project).run(Bright(), "bright", data, store)) == ()


def test_a_run_keeps_the_changes_that_are_reverted_later(project: Path, store: Store, squares: Squares) -> None:
    edit(project)
    run = how(project).run(Bright(), "bright", open_folder(squares(4)), store)
    revert(project)
    assert changed(store.load(run.id)) == EDITED


def test_a_run_that_goes_on_keeps_the_changes_of_each_time(project: Path, store: Store, squares: Squares) -> None:
    data = open_folder(squares(8))
    with pytest.raises(KeyboardInterrupt):
        how(project).run(Bright(1), "bright", data, store)
    edit(project)
    with pytest.raises(KeyboardInterrupt):
        how(project).run(Bright(1), "bright", data, store)
    revert(project)
    run = how(project).run(Bright(), "bright", data, store)
    assert run.provenance["resumed_at"] == 4
    assert changed(store.load(run.id)) == EDITED


def test_a_rescored_run_keeps_the_changes_of_the_run_that_asked_the_model(
    project: Path, store: Store, squares: Squares
) -> None:
    data = open_folder(squares(4))
    edit(project)
    how(project).run(Bright(), "bright", data, store)
    revert(project)
    for _ in range(2):
        assert changed(how(project).rescore("bright", data, store)) == EDITED


def test_a_merged_run_keeps_the_changes_of_each_shard(project: Path, squares: Squares, tmp_path: Path) -> None:
    data, folders = open_folder(squares(4)), []
    for number in (1, 2):
        if number == 2:
            edit(project)
        own = Store(tmp_path / f"machine {number}")
        run = how(project, Shard(number, 2)).run(Bright(), "bright", data, own)
        folders.append(own.run_folder(run.id))
    whole = merge_parts([read_part(folder) for folder in folders], Store(tmp_path / "whole"))
    assert changed(whole) == EDITED
    assert any("made with no changes" in note and "changes (model.py" in note for note in whole.provenance["notes"])


@pytest.mark.parametrize("with_unknown", [False, True])
def test_shards_of_other_commits_are_named(project: Path, with_unknown: bool) -> None:
    head = WorkTree(project).find_head()
    commits = {"1/4": "a" * 40, "2/4": head, "3/4": "a" * 40, "4/4": ""}
    parts = [{"shard": shard, "commit": commit} for shard, commit in commits.items()]
    said = describe_commits("r", {"commit": "", "parts": parts}, WorkTree(project), with_unknown=with_unknown)
    other, *unknown = said
    assert other.startswith("a part of run r (shard 1/4 and 3/4) was made at commit aaaaaaaaaa, which this repository")
    expected = [
        "a part of run r (shard 4/4) does not say its commit, so nobody can tell whether it is of the code here"
    ]
    assert unknown == (expected if with_unknown else [])


def test_a_run_of_the_commit_here_is_nothing_to_mention(project: Path) -> None:
    tree = WorkTree(project)
    made = {"commit": tree.find_head(), "parts": [{"shard": "1/1", "commit": "a" * 40}]}
    assert not list(describe_commits("r", made, tree, with_unknown=True))


def test_a_run_is_of_nobody_knows_which_code_where_git_does_not_answer(tmp_path: Path) -> None:
    tree = WorkTree(tmp_path)
    (said,) = describe_commits("r", {"commit": "a" * 40}, tree, with_unknown=True)
    assert said.startswith("git does not answer here (there is no repository), so nobody can tell whether run r is")
    assert not list(describe_commits("r", {"commit": "a" * 40}, tree, with_unknown=False))
