"""The baseline is gone, says nothing, is another one, or was edited."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace

from segqa.gate.baseline import read_baseline, write_baseline
from segqa.runs.outcome import Outcome
from tests.false_green.changes import Change, Row, delete, put, rewrite, rewrite_text, tables, update, worse
from tests.false_green.trial import COLLAPSED, SHRUNK, Ending, Trial, name_case
from tests.false_green.way import Attempt, Ways

BASELINE = Ways("the baseline")

FILE = "baselines/squares/mine.jsonl"
BROKEN = name_case(5)
"""The case that the collapsed model breaks."""


def head(**values: object) -> Change:
    """Change keys of the header."""
    return rewrite(lambda header, rows: [header | values, *rows])


def rows(change: Callable[[Row], Row | None], *, count: bool = False) -> Change:
    """Change every row, or leave it out; the header counts them anew if that is said."""

    def edit(header: Row, old: list[Row]) -> Iterable[Row]:
        new = [row for row in map(change, old) if row is not None]
        return [header | ({"cases": len(new)} if count else {}), *new]

    return rewrite(edit)


def as_error(row: Row) -> Row:
    """Return the row of a case that could not be evaluated."""
    return {key: row[key] for key in ("id", "content", "tags")} | {"status": "error"}


def lower(row: Row) -> Row:
    """Return a row with a worse prediction whose counts add up."""
    tp, fp, fn, tn, *inside = row["counts"]
    return row | {"counts": [tp // 2, fp, fn + tp - tp // 2, tn, *inside]}


def of_broken(change: Callable[[Row], Row | None]) -> Callable[[Row], Row | None]:
    """Change the row of the broken case alone."""
    return lambda row: change(row) if row["id"] == BROKEN else row


def gone(_: Row) -> None:
    """Leave a row out."""


def repeat_row(header: Row, old: list[Row]) -> list[Row]:
    """Return the lines with one of them twice."""
    return [header, *old[:3], old[2], *old[3:]]


def keep_one(header: Row, old: list[Row]) -> list[Row]:
    """Return the lines with all cases but one as errors."""
    return [header, old[0], *map(as_error, old[1:])]


def copy_from_another_model(trial: Trial) -> None:
    """Put the baseline of another model in its place."""
    text = trial.baseline.read_text(encoding="utf-8")
    trial.write(FILE, text.replace('"model":"mine"', '"model":"other"'))


def replace_by_folder(trial: Trial) -> None:
    """Put a folder in its place."""
    trial.baseline.unlink()
    trial.baseline.mkdir()


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
_ABSENT = f"no baseline {FILE}"
_BAD = "ERROR: segqa: …mine.jsonl"
_EDITED = "mine.jsonl was edited after it was written"

for _name, _code, _says, _change, _edit, _slow in (
    ("the file is deleted", 1, _ABSENT, delete(FILE), SHRUNK, False),
    ("the folder is deleted", 1, _ABSENT, delete("baselines"), SHRUNK, True),
    ("the file is empty", 4, _BAD, put(FILE, ""), SHRUNK, True),
    ("the file is a folder", 4, _BAD, replace_by_folder, SHRUNK, True),
    ("the file is a pointer to a large-file storage", 4, _BAD, put(FILE, POINTER), SHRUNK, True),
    ("there is nothing but the header", 4, _BAD, rows(gone), SHRUNK, True),
    ("there are no cases, and the header says so", 4, _EDITED, rows(gone, count=True), SHRUNK, False),
    ("every case is an error", 4, _EDITED, rows(as_error), SHRUNK, True),
    ("every case but one is an error", 4, _EDITED, rewrite(keep_one), SHRUNK, True),
    ("the broken case becomes an error", 4, _EDITED, rows(of_broken(as_error)), COLLAPSED, True),
    ("the broken case is taken out", 4, _BAD, rows(of_broken(gone)), COLLAPSED, True),
    ("the broken case is taken out and counted out", 4, _EDITED, rows(of_broken(gone), count=True), COLLAPSED, False),
    ("the last lines are cut off", 4, _BAD, rewrite_text(lambda text: text[:-500]), SHRUNK, True),
    ("counts are lowered with their sum kept", 4, _EDITED, rows(lower), SHRUNK, False),
    ("counts of the broken case are lowered", 4, _EDITED, rows(of_broken(lower)), COLLAPSED, True),
    ("the ids are renamed", 4, _EDITED, rows(lambda row: row | {"id": f"{row['id']}x"}), SHRUNK, True),
    ("the digests of the contents are edited", 4, _EDITED, rows(lambda row: row | {"content": "0" * 16}), SHRUNK, True),
    ("the tags are edited", 4, _EDITED, rows(lambda row: row | {"tags": {"camera": "C9"}}), SHRUNK, True),
    ("a reason is written into the header", 4, _EDITED, head(accepted=["it is fine"]), SHRUNK, True),
    ("a line is there twice", 4, "a second time", rewrite(repeat_row), SHRUNK, True),
    ("a merge left its marks", 4, "merge conflict", rewrite_text(lambda text: f"<<<<<<< a\n{text}"), SHRUNK, True),
    (
        "a merge left its marks between the lines",
        4,
        "merge conflict",
        rewrite_text(lambda text: text.replace("\n", "\n=======\n", 5)),
        SHRUNK,
        True,
    ),
    ("the file is of another version", 4, "version", head(segqa_baseline=99), SHRUNK, True),
    ("the metrics are of another version", 4, _EDITED, head(metric_version=99), SHRUNK, True),
    ("the file of another data set is copied here", 4, _EDITED, head(dataset="circles"), SHRUNK, True),
    (
        "the file of another model is copied here",
        4,
        "is the baseline of model 'other'",
        copy_from_another_model,
        SHRUNK,
        True,
    ),
    ("the header says another policy for empty masks", 4, _EDITED, head(empty="zero"), SHRUNK, True),
    ("the header says another picker", 4, _EDITED, head(pick="first"), SHRUNK, True),
):
    BASELINE.add(_name, _code, _says, worse(_change, edit=_edit), slow=_slow)

_OLD = ("segqa_baseline", "model", "dataset", "cases", "metric_version", "empty", "pick", "fingerprint", "accepted")


def strip_header(header: Row, old: list[Row]) -> list[Row]:
    """Return the lines as an older segqa wrote them, with lower counts."""
    return [{key: header[key] for key in _OLD}, *map(lower, old)]


BASELINE.add(
    "the digest is taken out and counts are lowered",
    0,
    "has no digest…so nobody can check",
    worse(rewrite(strip_header)),
)


def write_anew(change: Callable[[Outcome], Outcome | None]) -> Change:
    """Write the baseline with segqa's own code, with some cases changed or left out."""

    def edit(trial: Trial) -> None:
        run = read_baseline(trial.baseline)
        kept = [outcome for outcome in map(change, run.outcomes) if outcome is not None]
        write_baseline(trial.baseline, replace(run, outcomes=kept, expected=[each.case_id for each in kept]))

    return edit


def fail(outcome: Outcome) -> Outcome:
    """Return an error in place of an outcome."""
    return Outcome(case_id=outcome.case_id, tags=outcome.tags, digest=outcome.digest, error="lost")


_NEW = f"1 of 24 cases is not in the baseline, so nothing judges it, such as {BROKEN}"
_FEW = "expected at least half"

for _name, _code, _says, _outcome in (
    ("it is written anew without the broken case", 0, _NEW, lambda each: None if each.case_id == BROKEN else each),
    ("it is written anew without any case", 4, "incomparable", lambda _: None),
    ("it is written anew with nothing but errors", 4, _FEW, fail),
    (
        "it is written anew with one case that is no error",
        4,
        _FEW,
        lambda each: each if each.case_id == BROKEN else fail(each),
    ),
):
    BASELINE.add(_name, _code, _says, worse(write_anew(_outcome), edit=COLLAPSED))

BASELINE.add("a folder is named that is not there", 1, "no baseline", worse(options=["--segqa-baseline=elsewhere"]))


@BASELINE.way(0, "the baselines are those in elsewhere")
def another_folder_with_a_lower_baseline_is_named(trial: Trial) -> Ending:
    trial.make_worse()
    update(trial, "--segqa-baseline=elsewhere")
    return trial.run("--segqa-baseline=elsewhere")


@BASELINE.way(0, "the baselines are those in elsewhere")
def the_settings_name_another_folder_with_a_lower_baseline(trial: Trial) -> Ending:
    trial.set('[tool.segqa.gate]\nbaseline = "elsewhere"')
    trial.make_worse()
    update(trial)
    return trial.run()


@BASELINE.way(0, f"1 of 24 cases is an error in the baseline, so nothing judges it, such as {BROKEN}")
def the_broken_case_was_an_error_in_the_baseline(trial: Trial) -> Ending:
    tables("[tool.segqa.thresholds]\nerrors = 0.1")(trial)
    trial.make_worse({"FAIL": (5,)})
    trial.baseline.unlink()
    update(trial)
    trial.make_worse({"FAIL": (), **COLLAPSED})
    return trial.run()


@BASELINE.way(4, "mine.jsonl")
def the_command_that_verifies_reads_an_edited_file(trial: Trial) -> Ending:
    rows(lower)(trial)
    return trial.segqa("baseline", "verify", "baselines")


@BASELINE.way(1, "mine: regressed")
def the_baseline_lies_behind_a_link(trial: Trial) -> Ending:
    shutil.move(trial.path / "baselines", trial.path / "kept")
    (trial.path / "baselines").symlink_to("kept")
    trial.make_worse()
    return trial.run()


def write_lower(*changes: Change) -> Attempt:
    """Make the model worse, change something, write the baseline anew where `CI` is not set, and judge by it."""

    def attempt(trial: Trial) -> Ending:
        trial.make_worse()
        for change in changes:
            change(trial)
        update(trial, "--segqa-accept=so", "--segqa-allow-dirty")
        return trial.run(alone=True)

    return attempt


def git(*arguments: str) -> Change:
    """Run git in the repository."""
    return lambda trial: subprocess.run(["git", *arguments], cwd=trial.path, check=True, capture_output=True)


def ignore_baseline(trial: Trial) -> None:
    """Commit a repository that ignores its baselines."""
    trial.commit()
    git("rm", "-rq", "--cached", "baselines")(trial)
    trial.append(".gitignore", "baselines/\n")
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qam", "ignore")(trial)


for _name, _says, _changes in (
    ("a lower one is written in the job", f"{FILE} is not as it was committed", (Trial.commit,)),
    (
        "a lower one is written in the job and git told to skip it",
        f"{FILE} is not as it was committed",
        (Trial.commit, git("update-index", "--skip-worktree", FILE)),
    ),
    ("a lower one is written and git ignores it", f"git does not know {FILE}", (ignore_baseline,)),
    (
        "a lower one is written in the job and git does not answer",
        f"git does not answer here (there is no repository), so nobody can tell whether {FILE} is as it was committed",
        (),
    ),
):
    BASELINE.add(_name, 0, _says, write_lower(*_changes))
