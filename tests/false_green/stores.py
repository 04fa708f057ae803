"""Runs and proposals that are kept: old ones, damaged ones, and parts of them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

from tests.false_green.changes import newest_run
from tests.false_green.models import write_by_hand
from tests.false_green.trial import COLLAPSED, SHRUNK, Edit, Ending, Trial
from tests.false_green.way import Ways

STORE = Ways("kept runs and proposals")
SHARDS = Ways("shards")

Folder = Callable[[Path], object]


def keep_good(trial: Trial, edit: Edit = SHRUNK) -> Path:
    """Evaluate the good model, make it worse, and return the folder of the good run."""
    trial.prepare()
    trial.make_worse(edit)
    return newest_run(trial)


def execute(statement: str) -> Folder:
    """Change the cases of a run by SQL."""

    def change(folder: Path) -> None:
        with sqlite3.connect(folder / "cases.sqlite") as connection:
            assert connection.execute(statement).rowcount
        connection.close()

    return change


raise_counts = execute("UPDATE outcomes SET offers = replace(offers, '120, 0, 24', '144, 0, 0')")
"""Give every case the counts of the good model."""

flip_bits = execute("UPDATE outcomes SET offers = replace(offers, '1456', '1457') WHERE case_id = 'C1_v1_05'")
"""Flip one bit of one case."""

drop_case = execute("DELETE FROM outcomes WHERE case_id = 'C1_v1_05'")


def forget_case(folder: Path) -> None:
    """Drop a case, and that it was expected."""
    drop_case(folder)
    execute("DELETE FROM expected WHERE case_id = 'C1_v1_05'")(folder)


def header(**values: object) -> Folder:
    """Change the header of a run."""

    def change(folder: Path) -> None:
        path = folder / "run.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content |= {key: value for key, value in values.items() if key in content}
        content["run"] |= {key: value for key, value in values.items() if key in content["run"]}
        path.write_text(json.dumps(content), encoding="utf-8")

    return change


def judge_worse(change: Folder) -> Callable[[Trial], Ending]:
    """Evaluate the worse model, change its run, and judge that."""

    def attempt(trial: Trial) -> Ending:
        trial.make_worse()
        trial.run()
        folder = newest_run(trial)
        change(folder)
        return trial.run(f"--segqa-run={folder.name}")

    return attempt


for _name, _code, _says, _change, _slow in (
    ("a run whose header says that it is another model's is judged", 4, "damaged", header(model="other"), True),
    ("a run whose header says that it is not finished is judged", 4, "damaged", header(finished=False), True),
    ("a run of another version is judged", 4, "damaged", header(version=1), True),
    ("a run without its cases is judged", 4, "are damaged", lambda folder: (folder / "cases.sqlite").unlink(), True),
    (
        "a run whose file of cases is cut off is judged",
        4,
        "are damaged",
        lambda folder: (folder / "cases.sqlite").write_bytes((folder / "cases.sqlite").read_bytes()[:5000]),
        True,
    ),
    (
        "a run whose file of cases is empty is judged",
        4,
        "are damaged",
        lambda folder: (folder / "cases.sqlite").write_bytes(b""),
        True,
    ),
    ("a run in which the counts were raised is judged", 4, "damaged", raise_counts, False),
    ("a run of which a case was dropped is judged", 4, "damaged", drop_case, True),
    ("a run of which a case was dropped everywhere is judged", 4, "damaged", forget_case, True),
    ("a run in which bits have flipped is judged", 4, "damaged", flip_bits, True),
):
    STORE.add(_name, _code, _says, judge_worse(_change), slow=_slow)


@STORE.way(4, "damaged", slow=False)
def the_cases_of_the_good_run_are_copied_into_the_worse_one(trial: Trial) -> Ending:
    good = keep_good(trial)
    kept = shutil.copytree(good, trial.path / "kept")
    trial.run()
    folder = max(trial.path.glob(".segqa/runs/*"), key=lambda path: path.stat().st_mtime_ns)
    assert folder != good
    shutil.copy(kept / "cases.sqlite", folder / "cases.sqlite")
    return trial.run(f"--segqa-run={folder.name}")


@STORE.way(0, "segqa: mine, run ")
def the_good_run_is_judged_after_the_model_has_become_worse(trial: Trial) -> Ending:
    folder = keep_good(trial)
    return trial.run(f"--segqa-run={folder.name}")


@STORE.way(0, "narrowed by --segqa-limit")
def a_run_of_a_part_is_judged(trial: Trial) -> Ending:
    trial.make_worse(COLLAPSED)
    trial.run("--limit=3")
    return trial.run(f"--segqa-run={newest_run(trial).name}")


@STORE.way(4, "was made with the threshold iou = 0.7")
def a_run_with_another_threshold_is_judged(trial: Trial) -> Ending:
    trial.make_worse()
    trial.run()
    trial.set("[tool.segqa.thresholds]\niou = 0.2")
    return trial.run(f"--segqa-run={newest_run(trial).name}")


@STORE.way(4, "picker")
def a_run_with_another_picker_is_judged(trial: Trial) -> Ending:
    trial.make_worse()
    trial.run("--pick=first")
    return trial.run(f"--segqa-run={newest_run(trial).name}")


OFF = '[tool.segqa.gate]\nfail_on = ["broken:off"]'


@STORE.way(1, "mine: regressed")
def the_command_that_judges_a_kept_run_is_given_the_worse_one(trial: Trial) -> Ending:
    trial.make_worse()
    trial.run()
    return trial.segqa("baseline", "diff", newest_run(trial).name)


@STORE.way(0, "relaxed since the baseline: …broken")
def the_command_that_judges_a_kept_run_reads_relaxed_rules(trial: Trial) -> Ending:
    trial.make_worse(COLLAPSED)
    trial.run()
    trial.set(OFF)
    return trial.segqa("baseline", "diff", newest_run(trial).name)


@STORE.way(0, "1 good cases to zero…0 of 1…not promised")
def the_command_that_tests_the_gate_reads_relaxed_rules(trial: Trial) -> Ending:
    trial.prepare()
    trial.set(OFF)
    return trial.segqa("selftest", "--model", "mine")


class Later(datetime):
    """A clock that is years ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Later:
        """Return a time in the year 2099."""
        return cls(2099, 1, 1, tzinfo=tz)


@STORE.way(1, "mine: regressed")
def the_clock_goes_back_and_stored_proposals_are_scored_again(trial: Trial) -> Ending:
    write_by_hand(trial)
    with trial.patched.context() as ahead:
        ahead.setattr("segqa.plugin.session.datetime", Later)
        trial.prepare()
    trial.make_worse()
    trial.edit("network.py", ("'mine-v3'", "'mine-v4'"))
    trial.run()
    return trial.run("--segqa-rescore")


@STORE.way(4, "24 of 24 cases have no stored proposals of mine")
def proposals_are_gone_and_scored_again(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.prepare()
    for path in trial.path.glob(".segqa/*"):
        if path.name != "runs":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    trial.make_worse()
    return trial.run("--segqa-rescore")


def evaluate_shards(trial: Trial, of: int = 2) -> list[str]:
    """Evaluate all shards, each in a store of its own, and return the folders of their runs."""
    for number in range(1, of + 1):
        trial.prepare(f"--segqa-shard={number}/{of}", f"--segqa-cache-dir=parts/{number}")
    return [str(path) for path in sorted(trial.path.glob("parts/*/runs/*"))]


@SHARDS.way(1, "mine: regressed")
def shards_are_merged_and_judged(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.make_worse()
    merged = trial.segqa("merge", *evaluate_shards(trial))
    return trial.run(f"--segqa-run={merged.text.strip().splitlines()[0]}")


@SHARDS.way(4, "11 of 24 cases are missing")
def the_shard_with_the_broken_case_is_left_out(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.make_worse(COLLAPSED)
    return trial.segqa("merge", evaluate_shards(trial)[0])


@SHARDS.way(4, "2 times")
def a_good_shard_is_merged_twice(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.make_worse(COLLAPSED)
    parts = evaluate_shards(trial)
    return trial.segqa("merge", parts[0], parts[0])


@SHARDS.way(4, "fingerprint")
def shards_of_two_models_are_merged(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.prepare("--segqa-shard=1/2", "--segqa-cache-dir=parts/1")
    trial.make_worse()
    trial.edit("network.py", ("'mine-v3'", "'mine-v4'"))
    trial.prepare("--segqa-shard=2/2", "--segqa-cache-dir=parts/2")
    return trial.segqa("merge", *map(str, sorted(trial.path.glob("parts/*/runs/*"))))


@SHARDS.way(4, "parts must have the same threshold of IoU")
def shards_with_two_thresholds_are_merged(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.make_worse()
    trial.prepare("--segqa-shard=1/2", "--segqa-cache-dir=parts/1")
    trial.set("[tool.segqa.thresholds]\niou = 0.2")
    trial.prepare("--segqa-shard=2/2", "--segqa-cache-dir=parts/2")
    return trial.segqa("merge", *map(str, sorted(trial.path.glob("parts/*/runs/*"))))


@SHARDS.way(4, "shard")
def a_shard_is_judged_as_a_run(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.make_worse(COLLAPSED)
    trial.prepare("--segqa-shard=1/2")
    return trial.run(f"--segqa-run={newest_run(trial).name}")


@SHARDS.way(4, "damaged")
def a_shard_in_which_the_counts_were_raised_is_merged(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.make_worse()
    parts = evaluate_shards(trial)
    raise_counts(Path(parts[0]))
    return trial.segqa("merge", *parts)


@SHARDS.way(1, "errors:+0")
def a_shard_is_full_of_errors(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.make_worse({"FAIL": (5,)})
    merged = trial.segqa("merge", *evaluate_shards(trial))
    return trial.run(f"--segqa-run={merged.text.strip().splitlines()[0]}")


@STORE.way(0, "does not say its commit, so nobody can tell whether it is of the code here")
def a_good_run_that_was_made_without_git_is_judged(trial: Trial) -> Ending:
    folder = keep_good(trial)
    trial.commit()
    return trial.run(f"--segqa-run={folder.name}", alone=True)


@STORE.way(0, "was made at commit…it says nothing of the code here")
def a_good_run_of_another_commit_is_judged(trial: Trial) -> Ending:
    trial.commit()
    folder = keep_good(trial)
    trial.commit()
    return trial.run(f"--segqa-run={folder.name}", alone=True)


@SHARDS.way(0, "a part of run…(shard 1/2) was made at commit…it says nothing of the code here")
def good_shards_of_two_other_commits_are_merged_and_judged(trial: Trial) -> Ending:
    write_by_hand(trial)
    shards = []
    for number in (1, 2):
        trial.write("step.txt", str(number))
        trial.commit()
        trial.prepare(f"--segqa-shard={number}/2", alone=True)
        shards.append(str(newest_run(trial)))
    trial.make_worse()
    trial.commit()
    assert trial.segqa("merge", *shards).code == 0
    return trial.run(f"--segqa-run={newest_run(trial).name}", alone=True)
