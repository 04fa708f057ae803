"""The model changes, its author forgets the fingerprint, and stored proposals of the good model answer in its place."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

from tests.false_green import models
from tests.false_green.changes import Change, replace
from tests.false_green.models import nothing, read_from, write_by_hand
from tests.false_green.trial import COLLAPSED, Ending, Trial
from tests.false_green.way import Attempt, Ways

HAND = Ways("a hand-written fingerprint")

_STALE = "ERROR: segqa: mine no longer gives its stored answers"
_CHANGED = "ERROR: segqa: 24 of 24 stored answers of mine are from other source or options"
_OFF = ("--segqa-spot-check=0",)

BATCHES = "--segqa-batch-size=4"
STOP = "    if len(ASKED) > 16:\n        raise KeyboardInterrupt\n"
BLIND = "BLIND = (int((Path(__file__).parent / 'weights.txt').read_text()),)\nLOSE = 0"


def leave_stale(before: Change, change: Change, *options: str) -> Attempt:
    """Store proposals under a hand-written fingerprint, change the model, and run again."""

    def attempt(trial: Trial) -> Ending:
        before(trial)
        write_by_hand(trial)
        trial.prepare()
        change(trial)
        return trial.run(*options)

    return attempt


for _name, _before, _change, _slow in (
    ("the body of predict changes", nothing, models.change_body, False),
    ("a constant of the module changes", nothing, models.worsen, True),
    ("a function that predict calls changes", nothing, models.change_function, True),
    ("a module that the model imports changes", models.call_helper, models.change_helper, False),
    ("a module that a function imports changes", models.call_helper_late, models.change_helper, True),
    ("a module deep in a package changes", models.call_package, models.change_package, True),
    ("the base class in another module changes", models.inherit, models.change_base, True),
    ("the decorator of predict changes", models.decorate, models.change_decorator, True),
    ("the fixture wraps predict", nothing, models.wrap_predict, True),
    ("the file of weights is replaced", models.read_weights, models.LOSES_MORE, False),
    ("the weights are replaced unseen", models.read_weights, models.replace_weights_unseen, True),
    ("the file of configuration is edited", models.read_configuration, models.change_configuration, True),
    ("an option of the settings changes", models.take_option, models.change_option, True),
    ("a variable of the environment changes", models.read_variable, models.change_variable, True),
    ("an installed package gets another version", models.use_package, models.upgrade, True),
):
    HAND.add(_name, 1, _STALE, leave_stale(_before, _change), slow=_slow)

for _name, _code, _says, _attempt in (
    ("the fixture returns another class", 1, "mine: regressed", leave_stale(nothing, models.return_another_class)),
    ("the source changes and no spot check is made", 1, _CHANGED, leave_stale(nothing, models.worsen, *_OFF)),
    (
        "the weights change and the spot check is lenient",
        0,
        "stored…IoU…0.8333",
        leave_stale(models.read_weights, models.LOSES_MORE, "--segqa-spot-check-iou=0.5"),
    ),
    (
        "the weights change and the spot check accepts everything",
        4,
        "spot-check-iou",
        leave_stale(models.read_weights, models.LOSES_MORE, "--segqa-spot-check-iou=0"),
    ),
    (
        "the weights change and no spot check is made",
        0,
        "none of its 24 stored answers is checked",
        leave_stale(models.read_weights, models.LOSES_MORE, *_OFF),
    ),
    (
        "the source changes and stored proposals are scored again",
        1,
        _CHANGED,
        leave_stale(nothing, models.worsen, "--segqa-rescore"),
    ),
    (
        "the weights change and stored proposals are scored again",
        0,
        "24 of 24 answered from stored proposals",
        leave_stale(models.read_weights, models.LOSES_MORE, "--segqa-rescore"),
    ),
):
    HAND.add(_name, _code, _says, _attempt)


@HAND.way(1, _STALE)
def the_source_changes_where_CI_is_not_set(trial: Trial) -> Ending:  # noqa: N802 - the variable's name
    write_by_hand(trial)
    trial.prepare()
    trial.make_worse()
    trial.patched.delenv("CI")
    return trial.run()


@HAND.way(0, "spot check…3 of 24")
def the_weights_are_worse_in_a_case_that_the_spot_check_does_not_ask(trial: Trial) -> Ending:
    read_from(BLIND, "weights.txt", "99")(trial)
    replace("network.py", ("BLIND = ()", ""))(trial)
    write_by_hand(trial)
    trial.prepare()
    trial.write("weights.txt", "5")
    # by chance, that case is asked in one of eight runs
    trial.patched.setattr("segqa.inference.spot_check.random", SimpleNamespace(Random=lambda _: Random(0)))  # noqa: S311 - no secret
    return trial.run()


@HAND.way(1, _STALE)
def a_run_that_was_interrupted_is_continued_by_a_changed_model(trial: Trial) -> Ending:
    write_by_hand(trial)
    count = f"ASKED = []\n\n\ndef segment(image):\n    ASKED.append(1)\n{STOP}"
    trial.edit("network.py", ("def segment(image):\n", count))
    trial.run(BATCHES, alone=True)
    trial.edit("network.py", (STOP, ""), ("LOSE = 0", "LOSE = 2"))
    return trial.run(BATCHES)


@HAND.way(4, "source")
def a_shard_of_the_good_model_is_merged_with_one_of_the_changed_model(trial: Trial) -> Ending:
    write_by_hand(trial)
    trial.prepare("--segqa-shard=1/2", "--segqa-cache-dir=parts/1")
    trial.make_worse(COLLAPSED)
    trial.prepare("--segqa-shard=2/2", "--segqa-cache-dir=parts/2")
    return trial.segqa("merge", *map(str, trial.path.glob("parts/*/runs/*")))
