"""A worse run is written as the baseline, at once or little by little."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.false_green.baselines import FILE
from tests.false_green.changes import NO_CI, delete, newest_run, tables, worse
from tests.false_green.trial import ERRING, Edit, Ending, Trial
from tests.false_green.way import Attempt, Ways

UPDATE = Ways("updates of the baseline")

WRITE = "--segqa-update-baseline"
REASON = "the old masks were wrong"
ACCEPT = (WRITE, f"--segqa-accept={REASON}")
OFF = [f"--segqa-fail-on={rule}" for rule in ("mean_iou:off", "slice(*).mean_iou:off", "broken:off")]

for _name, _code, _says, _attempt, _slow in (
    ("the worse run is written", 4, "mine not written: the run is a regression", worse(options=[WRITE]), False),
    (
        "the worse run is written and the gate deselected",
        4,
        "not written",
        worse(options=[WRITE, "-k", "not regression"]),
        True,
    ),
    ("the worse run is written with a reason", 0, f"accepted: {REASON}", worse(options=[*ACCEPT, "-rx"]), True),
    (
        "the worse run is written with an empty reason",
        4,
        "must say why",
        worse(options=[WRITE, "--segqa-accept=  "]),
        True,
    ),
    ("a loss is accepted without an update", 4, "--segqa-accept", worse(options=[ACCEPT[1]]), True),
    ("the rules are switched off while it is written", 4, "--segqa-accept", worse(options=[WRITE, *OFF]), True),
    (
        "the file is deleted and written anew",
        4,
        "is gone, but git knows it",
        worse(Trial.commit, delete(FILE), options=[WRITE], alone=True),
        True,
    ),
    (
        "the file is deleted and written anew where git does not answer",
        0,
        "so nobody can tell whether a baseline is gone",
        worse(delete(FILE), options=[WRITE]),
        True,
    ),
    (
        "the file is deleted and written anew where CI is not set",
        0,
        f"wrote {FILE}",
        worse(NO_CI, delete(FILE), options=[WRITE]),
        True,
    ),
    ("a part of the data set is written", 4, "part of a data set", worse(options=[*ACCEPT, "--limit=3"]), True),
    ("a run full of errors is written", 4, "more than the budget", worse(edit=ERRING, options=ACCEPT), True),
):
    UPDATE.add(_name, _code, _says, _attempt, slow=_slow)


def update_often(trial: Trial, edits: Iterable[Edit]) -> Ending:
    """Make the model worse and write the baseline, again and again, until that is refused."""
    ending = Ending(0, "")
    for edit in edits:
        trial.make_worse(edit)
        ending = trial.run(WRITE)
        if ending.code:
            break
    return ending


@UPDATE.way(4, "--segqa-accept")
def eight_updates_each_lose_less_than_the_tolerance(trial: Trial) -> Ending:
    tables('[tool.segqa.gate]\nfail_on = ["mean_iou:-0.1", "slice(*).mean_iou:-0.1"]')(trial)
    return update_often(trial, ({"LOSE": lose} for lose in range(1, 9)))


@UPDATE.way(4, "--segqa-accept")
def eight_updates_each_break_a_case_that_the_rules_allow(trial: Trial) -> Ending:
    bounds = "[tool.segqa.thresholds]\nwrong_object = 1.0\nslice_drop = 1.0"
    tables('[tool.segqa.gate]\nfail_on = ["broken:1", "mean_iou:-0.05"]', bounds)(trial)
    return update_often(trial, ({"BLIND": tuple(range(count))} for count in range(1, 9)))


@UPDATE.way(2, "reason")
def a_stored_run_is_accepted_without_a_reason(trial: Trial) -> Ending:
    trial.make_worse()
    trial.run()
    return trial.segqa("baseline", "accept", newest_run(trial).name)


@UPDATE.way(4, "--reason must say why")
def a_stored_run_is_accepted_with_an_empty_reason(trial: Trial) -> Ending:
    trial.make_worse()
    trial.run()
    return trial.segqa("baseline", "accept", newest_run(trial).name, "--reason", " ")


@UPDATE.way(4, "the work tree has changes")
def a_work_tree_with_changes_is_written(trial: Trial) -> Ending:
    trial.commit()
    trial.append("network.py", "\n")
    return trial.run(WRITE, alone=True)


@UPDATE.way(0, "uncommitted changes")
def a_work_tree_with_changes_is_allowed(trial: Trial) -> Ending:
    trial.commit()
    trial.append("network.py", "\n")
    return trial.run(WRITE, "--segqa-allow-dirty", alone=True)


@UPDATE.way(4, "uncommitted changes")
def a_stored_run_is_accepted_after_its_changes_were_reverted(trial: Trial) -> Ending:
    trial.commit()
    kept = (trial.path / "network.py").read_text(encoding="utf-8")
    trial.append("network.py", "\n")
    trial.run(alone=True)
    trial.write("network.py", kept)
    return trial.segqa("baseline", "accept", newest_run(trial).name, "--reason", "as good as before")


def compare_wrongly(names: Callable[[str], list[str]]) -> Attempt:
    """Compare the worse run; the names on the command line are made from its id."""

    def attempt(trial: Trial) -> Ending:
        trial.make_worse()
        trial.run()
        return trial.segqa("compare", *names(newest_run(trial).name))

    return attempt


for _name, _code, _says, _names in (
    (
        "the worse run and the baseline change places",
        4,
        "is a baseline: expected a run in second place",
        lambda run: [run, FILE],
    ),
    ("the worse run is compared with itself", 4, "compare needs different runs", lambda run: [run, run]),
    (
        "the worse run is compared twice with the baseline",
        4,
        "compare needs different runs",
        lambda run: [FILE, run, run],
    ),
    (
        "the worse run is compared in a table",
        0,
        "no verdict: the format csv has none",
        lambda run: [FILE, run, "--format=csv"],
    ),
):
    UPDATE.add(_name, _code, _says, compare_wrongly(_names))


def accept_and_commit(trial: Trial) -> Ending:
    """Accept the worse run as the baseline in a commit of its own."""
    trial.commit()
    trial.make_worse()
    trial.commit()
    trial.run(alone=True)
    ending = trial.segqa("baseline", "accept", newest_run(trial).name, "--reason", REASON)
    trial.commit()
    return ending


UPDATE.add("a worse run is accepted and what it loses is printed", 0, "mine: regressed, mean IoU", accept_and_commit)


@UPDATE.way(0, "this change lowers baselines/squares/mine.jsonl…mine: regressed")
def the_last_commit_accepts_the_worse_run(trial: Trial) -> Ending:
    accept_and_commit(trial)
    return trial.run(alone=True)


@UPDATE.way(0, f"accepted in the baseline: {REASON}")
def an_earlier_commit_has_accepted_the_worse_run(trial: Trial) -> Ending:
    accept_and_commit(trial)
    trial.write("later.txt", "later")
    trial.commit()
    return trial.run(alone=True)


@UPDATE.way(0, "this change lowers baselines/squares/mine.jsonl")
def a_merge_takes_the_lower_baseline_of_the_other_side(trial: Trial) -> Ending:
    good = trial.baseline.read_text(encoding="utf-8")
    accept_and_commit(trial)
    lower = trial.baseline.read_text(encoding="utf-8")
    for text in (good, lower):
        trial.baseline.write_text(text, encoding="utf-8")
        trial.commit()
    return trial.run(alone=True)


@UPDATE.way(0, "was made at commit…it says nothing of the code here")
def a_run_of_a_commit_that_was_reverted_is_accepted(trial: Trial) -> Ending:
    trial.commit()
    trial.make_worse()
    trial.commit()
    trial.run(alone=True)
    trial.make_worse({"LOSE": 0})
    trial.commit()
    return trial.segqa("baseline", "accept", newest_run(trial).name, "--reason", REASON)
